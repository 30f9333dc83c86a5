"""The machine: phases of its process, admission, and the way of each request to what answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from engine.boundary import (
    NEVER,
    AgentOrder,
    Drain,
    Effect,
    Flow,
    Input,
    StreamClosed,
    StreamData,
    StreamOpened,
)
from engine.sip.errors import SipError
from engine.sip.message import KNOWN_METHODS, Request, Response
from engine.sip.transactions import ServerTransaction
from engine.timers import Timed
from engine.ua.parts import block, reply
from sim.agents.freeswitch import causes, dialplan, registrar
from sim.agents.freeswitch.authenticator import CHALLENGED, FORBIDDEN
from sim.agents.freeswitch.caller import CallerLeg
from sim.agents.freeswitch.causes import Cause
from sim.agents.freeswitch.config import FreeSwitchConfig
from sim.agents.freeswitch.node import Node
from sim.agents.freeswitch.outbound import originate
from sim.agents.freeswitch.registrations import Registrations
from sim.agents.freeswitch.source import note_source
from sim.agents.freeswitch.wording import FULL_REASON, NO_DIALOG_REASON, RETRY_AFTER
from sim.agents.messages import trying
from sim.agents.notes import OrderCarriedOut, OrderRefused
from sim.agents.wire import Wire

MOST_HELD = 1_000  # inputs that wait while it starts, as many datagrams as a socket's buffer has room for

_OF_STREAMS = (StreamData, StreamOpened, StreamClosed)
_NEED_DIALOG = frozenset((b"BYE", b"INFO", b"UPDATE", b"REFER", b"PRACK", b"NOTIFY"))


class FreeSwitch:
    """One modelled node.

    ``registrations`` is handed in where it outlives the process (its SQLite file) or is shared between nodes.
    ``wall_clock_offset_s`` added to ``now`` is Unix time, for the Date header. Orders: ``originate`` (argument
    ``user/1000 &echo``), ``pause`` and ``unpause``, ``full`` and ``not_full``, ``hupall``, ``shutdown``.
    """

    def __init__(
        self,
        config: FreeSwitchConfig,
        random: Random,
        registrations: Registrations | None = None,
        wall_clock_offset_s: float = 0.0,
    ) -> None:
        table = Registrations() if registrations is None else registrations
        self._node = Node(config, random, table, wall_clock_offset_s, self)
        self._wire = Wire(self._node.layer, self._node.out, config.interfaces, note_source)
        self._config = config
        self._deaf_until = 0.0
        self._deaf_from = NEVER
        self._starting_until = 0.0
        self._paused = False
        self._said_full = False
        self._events_interface = config.events.name if config.events is not None else ""
        self._node.events.paused = lambda: self._paused
        self._housekeeping = _Housekeeping(self._node)
        self._starting = _Starting(self._take)

    # --- the host's side

    def start(self, now: float) -> Sequence[Effect]:
        """The process starts: silent first, then refusing, then ready."""
        config = self._config
        self._starting_until = now + config.startup_s
        self._deaf_until = self._starting_until - config.startup_refusing_s
        self._node.timers.arm(self._housekeeping, now + config.expiry_check_s)
        if self._deaf_until > now:
            self._node.timers.arm(self._starting, self._deaf_until)
        return ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take a message or an order."""
        if now < self._deaf_until:
            self._starting.hold(event)
            return ()
        if now >= self._deaf_from:
            return ()
        self._take(event, now)
        return self._take_effects()

    def _take(self, event: Input, now: float) -> None:
        if isinstance(event, AgentOrder):
            self._carry_out(event.order, event.argument, now)
        elif isinstance(event, Drain):
            self._carry_out("pause", "", now)
        elif isinstance(event, _OF_STREAMS) and event.flow.interface == self._events_interface:
            self._node.events.receive(event, now)
        else:
            self._wire.receive(event, now)

    def tick(self, now: float) -> Sequence[Effect]:
        """Let due timers fire; after a shutdown nothing is sent any more."""
        self._node.timers.fire_due(now)
        effects = self._take_effects()
        return effects if now < self._deaf_from else ()

    def deadline(self) -> float:
        """When the next timer is due."""
        return self._node.timers.deadline()

    def _take_effects(self) -> list[Effect]:
        effects = self._node.out.copy()
        self._node.out.clear()
        return effects

    @property
    def sessions(self) -> int:
        """Sessions in use, those held by refused INVITEs included."""
        return self._node.sessions.in_use

    @property
    def transactions(self) -> int:
        """Live transactions."""
        return len(self._node.layer)

    @property
    def registrations(self) -> Registrations:
        """The table that the node uses."""
        return self._node.registrations

    # --- orders

    def _carry_out(self, order: str, argument: str, now: float) -> None:
        why = ""
        if order in ("pause", "unpause"):
            self._paused = order == "pause"
        elif order in ("full", "not_full"):
            self._said_full = order == "full"
        elif order == "hupall":
            self._hang_up_all(causes.NORMAL_CLEARING, now)
        elif order == "shutdown":
            self._shut_down(now)
        elif order == "originate":
            why = self._originate(argument, now)
        else:
            why = "known orders: originate, pause, unpause, full, not_full, hupall, shutdown"
        name = self._config.name
        self._node.out.append(OrderRefused(name, order, why) if why else OrderCarriedOut(name, order, argument))

    def _originate(self, argument: str, now: float) -> str:
        destination, _, application = argument.strip().partition(" ")
        if not destination.startswith("user/") or application.strip() != "&echo":
            return f"{argument!r} is not user/NAME &echo"
        if self._refusing(now):
            return FULL_REASON.decode()
        cause = originate(self._node, destination.removeprefix("user/"), now)
        return cause.reason.decode() if cause else ""

    def _hang_up_all(self, cause: Cause, now: float) -> None:
        for leg in list(self._node.sessions.legs.values()):
            leg.hang_up(cause, now)

    def _shut_down(self, now: float) -> None:
        self._hang_up_all(causes.SHUTDOWN, now)
        self._node.events.say_farewell()
        self._paused = True
        self._deaf_from = now + self._config.shutdown_refusing_s

    # --- TransactionUser

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if request.method == b"CANCEL":
            self._cancel(transaction, now)
            return
        tag = request.to.tag
        if tag:
            leg = self._node.sessions.legs.get(request.call_id)
            if leg is not None and leg.tag == tag:
                leg.on_request(transaction, now)
                return
            self._node.after(self._config.reply_delay_s, self._refuse_stray, transaction, now)
            return
        self._node.after(self._config.reply_delay_s, self._handle, transaction, now)

    def on_ack(self, request: Request, flow: Flow, now: float) -> None:
        leg = self._node.sessions.legs.get(request.call_id)
        if leg is not None and leg.tag == request.to.tag:
            leg.confirm()

    def on_stray_response(self, response: Response, flow: Flow, now: float) -> None:
        """A response to something long forgotten; nothing is owed."""

    def _cancel(self, transaction: ServerTransaction, now: float) -> None:
        """Answered by the stack itself, at once (RFC 3261 §9.2)."""
        invite = self._node.layer.invite_of(transaction.request)
        if invite is None:
            transaction.respond(reply(transaction.request, 481, self._node.tag()), now)
            return
        leg = invite.user
        tag = leg.tag if isinstance(leg, CallerLeg) else self._node.tag()
        transaction.respond(reply(transaction.request, 200, tag), now)
        if isinstance(leg, CallerLeg):
            leg.cancel(now)
        else:  # it came before the INVITE's turn
            invite.respond(reply(invite.request, 487, tag, self._node.wording.rich), now)

    # --- requests whose turn has come

    def _refuse_stray(self, transaction: ServerTransaction, now: float) -> None:
        base = self._node.wording.base
        transaction.respond(reply(transaction.request, 481, b"", base, reason=NO_DIALOG_REASON), now)

    def _handle(self, transaction: ServerTransaction, now: float) -> None:
        if transaction.answered:
            return
        method = transaction.request.method
        if method == b"INVITE":
            self._invite(transaction, now)
        elif method == b"OPTIONS":
            self._options(transaction, now)
        elif method == b"REGISTER":
            if self._refusing(now):
                self._refuse_full(transaction, now)
            else:
                registrar.register(self._node, transaction, now)
        else:
            self._other(transaction, method, now)

    def _invite(self, transaction: ServerTransaction, now: float) -> None:
        node, request = self._node, transaction.request
        call_id = request.call_id
        if call_id in node.sessions.legs:  # §8.2.2.2: a second branch of one INVITE
            transaction.respond(reply(request, 482, node.tag(), reason=b"Request Merged"), now)
            return
        node.sessions.take_over(call_id)
        if self._refusing(now):
            self._refuse_full(transaction, now)
            return
        user = ""
        if self._config.auth and transaction.flow.peer[0] not in self._config.trusted:
            proven = self._authenticate(transaction, now)
            if proven is None:
                node.sessions.linger(call_id, now)
                return
            user = proven
        try:
            leg = CallerLeg(node, transaction, user)
        except SipError as error:
            transaction.respond(reply(request, error.status, node.tag(), node.wording.rich), now)
            return
        transaction.respond(trying(request, node.wording.agent), now)
        node.events.created(leg, now)
        dialplan.route(node, leg, now)

    def _authenticate(self, transaction: ServerTransaction, now: float) -> str | None:
        """The user that proved itself; None where the request was answered 407 or 403."""
        node, request = self._node, transaction.request
        headers = node.wording.rich if request.method == b"INVITE" else node.wording.base
        verdict = node.authenticator.check(request, "proxy-authorization", now)
        if verdict.outcome == CHALLENGED and verdict.challenge is not None:
            headers += block(b"Proxy-Authenticate: " + bytes(verdict.challenge))
            transaction.respond(reply(request, 407, node.tag(), headers), now)
            return None
        if verdict.outcome == FORBIDDEN:
            transaction.respond(reply(request, 403, node.tag(), headers), now)
            return None
        return verdict.user

    def _options(self, transaction: ServerTransaction, now: float) -> None:
        node = self._node
        if self._refusing(now) and (self._config.version == "1.10.12" or now < self._starting_until):
            self._refuse_full(transaction, now)
            return
        headers = node.places[transaction.flow.interface].profile_contact + node.wording.rich
        transaction.respond(reply(transaction.request, 200, node.tag(), headers), now)

    def _other(self, transaction: ServerTransaction, method: bytes, now: float) -> None:
        node, request = self._node, transaction.request
        base = node.wording.base
        if method in _NEED_DIALOG:
            response = reply(request, 481, node.tag(), base, reason=NO_DIALOG_REASON)
        elif method not in KNOWN_METHODS:
            response = reply(request, 501, node.tag(), base)
        elif method != b"MESSAGE":
            response = reply(request, 405, node.tag(), base)
        elif (
            self._config.auth
            and transaction.flow.peer[0] not in self._config.trusted
            and self._authenticate(transaction, now) is None
        ):
            return
        else:
            response = reply(request, 202, node.tag(), base)
        transaction.respond(response, now)

    # --- admission

    def _refusing(self, now: float) -> bool:
        return self._paused or self._said_full or now < self._starting_until or self._node.full

    def _refuse_full(self, transaction: ServerTransaction, now: float) -> None:
        node, request = self._node, transaction.request
        wording = node.wording
        usual = {b"INVITE": wording.rich, b"OPTIONS": wording.events}.get(request.method, wording.base)
        transaction.respond(reply(request, 503, node.tag(), RETRY_AFTER + usual, reason=FULL_REASON), now)


class _Starting(Timed):
    """Between the opening of its sockets and its first word, datagrams wait; then all are answered at once."""

    __slots__ = ("_held", "_take")

    def __init__(self, take: Callable[[Input, float], None]) -> None:
        super().__init__()
        self._take = take
        self._held: list[Input] = []

    def hold(self, event: Input) -> None:
        if len(self._held) < MOST_HELD:
            self._held.append(event)

    def fire(self, now: float) -> None:
        held, self._held = self._held, []
        for event in held:
            self._take(event, now)


class _Housekeeping(Timed):
    """Looks for what is overdue, at FreeSWITCH's own pace."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def fire(self, now: float) -> None:
        node = self._node
        registrar.sweep(node, now)
        node.authenticator.sweep(now)
        node.timers.arm(self, now + node.config.expiry_check_s)
