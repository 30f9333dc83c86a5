"""All users on one interface: what they share, and the way of each message to the call that it belongs to."""

from __future__ import annotations

from random import Random

from engine.boundary import Effect, Flow, Input
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, ServerTransaction, TransactionLayer
from engine.sip.uri import escape_user, host_port, parse_uri, unescape
from engine.timers import TimerQueue
from sim.agents.dialogs import Dialog
from sim.agents.messages import Block, block, reply
from sim.agents.phones.config import PhonesConfig
from sim.agents.phones.incoming import IncomingCall
from sim.agents.phones.outgoing import OutgoingCall
from sim.agents.phones.registration import Registration
from sim.agents.phones.user import User
from sim.agents.sdp import phone_description
from sim.agents.wire import Wire, reliable_among

USER_AGENT = b"User-Agent: siptwin phone"
ALLOW = b"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY, MESSAGE"
_ANSWERED = frozenset((b"OPTIONS", b"INFO", b"UPDATE", b"NOTIFY", b"MESSAGE"))


class Phones:
    """The core of the softphone and of the call generator; ``random`` makes tags and branches only."""

    def __init__(self, config: PhonesConfig, random: Random) -> None:
        interface = config.interface
        self.config = config
        self.password = config.password.encode()
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        self.layer = TransactionLayer(self, self.out, self.timers, config.timers, reliable_among((interface,)))
        self.indifferent = _Indifferent()
        self.way = Flow(interface.name, config.server)
        self.user_agent = block(USER_AGENT)
        self.description = phone_description(interface.public_host, config.media_port)
        self.registrar = b"sip:" + config.domain.encode()
        self._random = random
        self._wire = Wire(self.layer, self.out)
        sent_by = host_port(interface.public_host, interface.public_port)
        protocol = interface.transport.upper().encode()
        self._via_start = b"Via: SIP/2.0/%b %b;rport;branch=z9hG4bK" % (protocol, sent_by)
        self._allow = block(USER_AGENT, ALLOW)
        self._calls: dict[bytes, OutgoingCall | IncomingCall] = {}
        transport = b";transport=tcp" if interface.transport == "tcp" else b""
        self._users = {
            name: User(
                name,
                self.uri_of(name),
                b"sip:%b@%b%b" % (escape_user(name.encode()), sent_by, transport),
                USER_AGENT,
            )
            for name in config.users
        }
        self._registrations = [Registration(self, user) for user in self._users.values()]

    # --- the host's side: a machine's methods, but for orders

    def start(self, now: float) -> None:
        if self.config.registers:
            apart_s = self.config.register_spread_s / max(len(self._registrations), 1)
            for index, registration in enumerate(self._registrations):
                self.timers.arm(registration, now + index * apart_s)

    def receive(self, event: Input, now: float) -> None:
        self._wire.receive(event, now)

    def take_effects(self) -> list[Effect]:
        """The effects since the last time."""
        effects = self.out.copy()
        self.out.clear()
        return effects

    # --- what users do

    def place(
        self, user: str, to: str, call_id: str, *, hold_s: float, patience_s: float, now: float
    ) -> OutgoingCall:
        """Let a user call; ``hold_s`` runs from the answer to the caller's BYE."""
        call = OutgoingCall(self, self._users[user], to, call_id, hold_s)
        self._calls[call_id.encode("latin-1")] = call
        call.begin(patience_s, now)
        return call

    def hang_up_all(self, now: float) -> None:
        """Every user hangs up, or cancels."""
        for call in list(self._calls.values()):
            call.hang_up(now)

    def unregister_all(self, now: float) -> None:
        """Every user that registers withdraws its registration."""
        if self.config.registers:
            for registration in self._registrations:
                registration.withdraw(now)

    @property
    def calls(self) -> int:
        """How many calls are being set up, up, or being ended."""
        return len(self._calls)

    @property
    def transactions(self) -> int:
        """How many transactions live."""
        return len(self.layer)

    # --- what calls need

    def token(self) -> bytes:
        """A tag, cnonce or part of a Call-ID that no one else has."""
        return b"%012x" % self._random.getrandbits(48)

    def via_line(self) -> bytes:
        """A Via with a branch of its own."""
        return self._via_start + b"%012x" % self._random.getrandbits(48)

    def uri_of(self, user: str) -> bytes:
        """The address of a user, or dialled number, in our domain."""
        return b"sip:%b@%b" % (escape_user(user.encode()), self.config.domain.encode())

    def ringing_headers(self, contact_line: bytes) -> Block:
        return Block(["contact", "user-agent"], [contact_line, USER_AGENT])

    def forget(self, call_id: str) -> None:
        self._calls.pop(call_id.encode("latin-1"), None)

    def answer_in_dialog(self, transaction: ServerTransaction, dialog: Dialog, now: float) -> None:
        """Answer what changes nothing in a call."""
        request = transaction.request
        if request.method == b"UPDATE":
            dialog.refresh_target(request)
        status = 200 if request.method in _ANSWERED else 405
        transaction.respond(reply(request, status, headers=self._allow), now)

    # --- TransactionUser

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        method = request.method
        if method == b"CANCEL":
            self._on_cancel(transaction, now)
        elif request.to.tag:
            call = self._calls.get(request.call_id)
            if call is None or call.tag != request.to.tag:
                transaction.respond(reply(request, 481, headers=self.user_agent), now)
            else:
                call.on_request(transaction, now)
        elif method == b"INVITE":
            self._on_invite(transaction, now)
        elif method in _ANSWERED and method != b"UPDATE":
            transaction.respond(reply(request, 200, self.token(), self._allow), now)
        else:
            status = 481 if method in (b"BYE", b"UPDATE") else 405
            transaction.respond(reply(request, status, self.token(), self._allow), now)

    def on_ack(self, request: Request, flow: Flow, now: float) -> None:
        call = self._calls.get(request.call_id)
        if call is not None and call.tag == request.to.tag:
            call.on_ack(request, now)

    def on_stray_response(self, response: Response, flow: Flow, now: float) -> None:
        """A response to something long forgotten; nothing is owed."""

    def _on_cancel(self, transaction: ServerTransaction, now: float) -> None:
        invite = self.layer.invite_of(transaction.request)
        status = 481 if invite is None else 200
        transaction.respond(reply(transaction.request, status, self.token(), self.user_agent), now)
        if invite is not None and isinstance(invite.user, IncomingCall):
            invite.user.cancel(now)

    def _on_invite(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        tag = self.token()
        user = self._users.get(unescape(parse_uri(request.uri).user or b"").decode("utf-8", "replace"))
        if user is None:
            transaction.respond(reply(request, 404, tag, self.user_agent), now)
        elif request.call_id in self._calls:  # §8.2.2.2: the same call came by two ways
            transaction.respond(reply(request, 482, tag, self.user_agent), now)
        else:
            try:
                dialog = Dialog.of_callee(request, tag, transaction.flow)
            except SipError as error:
                transaction.respond(reply(request, error.status, tag, self.user_agent), now)
                return
            call = IncomingCall(self, user, transaction, dialog)
            self._calls[request.call_id] = call
            call.begin(now)


class _Indifferent:
    """The user of a request whose outcome changes nothing: a CANCEL, the BYE of a stray fork."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Nothing to do."""

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        """Nothing to do."""

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        """Nothing to do."""
