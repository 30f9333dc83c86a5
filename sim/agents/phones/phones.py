"""All users on one interface: what they share, and the way of each message to the call that it belongs to."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from random import Random
from typing import Literal

from engine.boundary import Effect, Flow, Input, StreamClosed, StreamData, StreamOpened
from engine.media.sdp.attributes import Fingerprint, IceNames
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, ServerTransaction, TransactionLayer
from engine.sip.uri import escape_user, parse_uri, unescape
from engine.timers import TimerQueue
from engine.ua.dialog import Dialog
from engine.ua.parts import Block, block, reply
from sim.agents.phones.config import PhonesConfig
from sim.agents.phones.dialect import Dialect
from sim.agents.phones.incoming import IncomingCall
from sim.agents.phones.keepalive import KeepAlive
from sim.agents.phones.outgoing import OutgoingCall
from sim.agents.phones.registration import Registration
from sim.agents.phones.user import User
from sim.agents.sdp import phone_description, unfit
from sim.agents.wire import Wire, reliable_among

NOWHERE = -1
"""The number of a connection that never was: what is sent on it fails."""

_ANSWERED = frozenset((b"OPTIONS", b"INFO", b"UPDATE", b"NOTIFY", b"MESSAGE"))


class Phones:
    """The core of the softphone, the browser and the call generator.

    ``random`` makes what no one else may have (tags, branches, instances), and the jitter of timers.
    """

    def __init__(self, config: PhonesConfig, random: Random, dialect: Dialect | None = None) -> None:
        interface = config.interface
        self.config = config
        self.password = config.password.encode()
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        self.layer = TransactionLayer(self, self.out, self.timers, config.timers, reliable_among((interface,)))
        self.indifferent = _Indifferent()
        self.dialect = dialect or Dialect(random)
        # To the server: on the connection while one stands.
        self.way = Flow(interface.name, config.server, 0 if self.dialect.opens_by_request else NOWHERE)
        self.user_agent = block(self.dialect.user_agent)
        self.registrar = b"sip:" + config.domain.encode()
        self._random = random
        self._wire = Wire(self.layer, self.out, (interface,), self.dialect.note_source)
        self._allow = block(self.dialect.user_agent, self.dialect.allow)
        self._calls: dict[bytes, OutgoingCall | IncomingCall] = {}
        self._keep_alive = KeepAlive(self, random)
        self.ice_names = IceNames(self.token(), self.token() * 2) if config.webrtc else IceNames(b"", b"")
        modelled = Fingerprint(b"sha-256", random.randbytes(32) if config.webrtc else b"")
        self.certificate = config.certificate or modelled
        self._media_calls = 0
        self._settle()
        self._registrations = [Registration(self, user) for user in self._users.values()]
        self._servers = deque((config.server, *config.other_servers))

    def _settle(self) -> None:
        """Everything in which the client's own address stands."""
        self.description = phone_description(self.config.interface.public_host, self.config.media_port)
        self._via_start = self.dialect.via_start(self)
        self._users = {name: self.dialect.user(self, name) for name in self.config.users}
        self._called = {unescape(parse_uri(user.contact).user or b""): user for user in self._users.values()}
        self._called |= {name.encode(): user for name, user in self._users.items()}

    # --- the host's side: a machine's methods, but for orders

    def start(self, now: float) -> None:
        if self.config.registers:
            apart_s = self.config.register_spread_s / max(len(self._registrations), 1)
            for index, registration in enumerate(self._registrations):
                self.timers.arm(registration, now + self.config.comes_s + index * apart_s)
        if not self.config.interface.reliable:
            self._keep_alive.begin(now)

    def receive(self, event: Input, now: float) -> None:
        if isinstance(event, StreamData):
            self._keep_alive.heard(now)
        elif isinstance(event, StreamOpened) and not event.accepted:
            self.way = event.flow
            self._keep_alive.begin(now)
        self._wire.receive(event, now)
        if isinstance(event, StreamClosed) and event.flow == self.way:
            self._way_lost(event.reason, now)

    def _way_lost(self, reason: str, now: float) -> None:
        """The connection to the server is gone. Calls that stand go on."""
        self._keep_alive.stop()
        if self.dialect.opens_by_request:
            self.way = Flow(self.config.interface.name, self.config.server)
            if self.config.outbound:  # RFC 5626 §4.4; without, nobody knows before the next refresh
                for registration in self._registrations:
                    registration.flow_failed(reason, now, self.dialect.retry_after_s(self))
            return
        # What is sent on the old way fails from now on.
        for call in list(self._calls.values()):
            call.way_lost(reason, now)
        for registration in self._registrations:
            registration.flow_failed(reason, now)

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

    def register_all(self, now: float) -> None:
        """Every user that registers does so at once."""
        if self.config.registers:
            for registration in self._registrations:
                registration.begin(now)

    def abandon_all(self, why: str, now: float) -> None:
        """The client is gone in the midst of its calls, and can tell no one."""
        for call in list(self._calls.values()):
            call.abandon(why, now)

    def move(self, host: str, now: float) -> None:
        """The client has another address: its users register it at once, calls under way keep the old one."""
        interface = replace(self.config.interface, host=host, advertised_host=None)
        self.config = replace(self.config, interface=interface)
        self._settle()
        if self.config.registers:
            for registration, user in zip(self._registrations, self._users.values(), strict=True):
                registration.move(user, now)

    def next_server(self) -> bool:
        """Go on to another server; False where that is the first one again, after all have failed."""
        self._servers.rotate(-1)
        self.way = Flow(self.config.interface.name, self._servers[0])
        return self._servers[0] != self.config.server

    def unregister_all(self, now: float) -> None:
        """Every user that registers withdraws its registration."""
        if self.config.registers:
            for registration in self._registrations:
                registration.withdraw(now)

    def hold_all(self, held: bool, now: float) -> None:
        """Every call that stands is put on hold, or taken back."""
        for call in list(self._calls.values()):
            call.hold(held, now)

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

    def next_media_port(self) -> int:
        """The port of another call: RTP's, the one behind it for RTCP, and two where it sends from others."""
        port = self.config.media_port + self._media_calls % self.config.media_calls * 4
        self._media_calls += 1
        return port

    def via_line(self) -> bytes:
        """A Via with a branch of its own."""
        return self._via_start + b"%012x" % self._random.getrandbits(48)

    def uri_of(self, user: str) -> bytes:
        """The address of a user, or dialled number, in our domain."""
        return b"sip:%b@%b" % (escape_user(user.encode()), self.config.domain.encode())

    def ringing_headers(self, contact_line: bytes) -> Block:
        return Block(["contact", "user-agent"], [contact_line, self.dialect.user_agent])

    def flow_of(self, dialog: Dialog) -> Flow:
        """Where the next request of a dialog goes; a client with a connection to its server uses no other way.

        Raises
        ------
        SipError
            Where route or remote target is no SIP URI.
        """
        return self.way if self.config.interface.reliable else dialog.flow()

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
        if self.dialect.heeds_uri and self._called_by(request) is None:
            transaction.respond(reply(request, 404, self.token(), self.user_agent), now)
        elif method == b"CANCEL":
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
        if self.dialect.heeds_uri and self._called_by(request) is None:
            return
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

    @property
    def _takes(self) -> Literal["any", "rtp", "webrtc"]:
        """Which offers are taken."""
        if self.config.talks:
            return "webrtc" if self.config.webrtc else "rtp"
        return self.config.media

    def _called_by(self, request: Request) -> User | None:
        """Who is meant: named by number, or by the user part of its Contact."""
        return self._called.get(unescape(parse_uri(request.uri).user or b""))

    def _on_invite(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        tag = self.token()
        user = self._called_by(request)
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
            if refusal := unfit(request.body, self._takes):
                transaction.respond(reply(request, refusal, tag, self.user_agent), now)
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
