"""One transaction: a state of its table, two timers, and what must be kept to repeat itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from engine.boundary import Flow, Send
from engine.sip.message import Request, Response
from engine.sip.transactions import tables
from engine.sip.transactions.tables import Step, Table
from engine.timers import NEVER, Timed

if TYPE_CHECKING:
    from engine.sip.transactions.layer import TransactionLayer
    from engine.sip.transactions.timing import Durations

ServerKey = tuple[bytes | int, ...]
ClientKey = tuple[bytes, bytes]


class ClientUser(Protocol):
    """Who sent a request, and is told what became of it."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response came: every provisional one, the first final one, every 2xx to an INVITE."""
        ...

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        """Timer B or F: no final response will come. The transaction is gone."""
        ...

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        """The request can't arrive. The transaction is gone."""
        ...


class Unattended:
    """The user of requests whose outcome no one waits for."""

    __slots__ = ()

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        pass

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        pass

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        pass


UNATTENDED: Final = Unattended()


class _Transaction(Timed):
    """What clients and servers share: stepping through the table, and the two timers."""

    __slots__ = (
        "_expire_at",
        "_interval",
        "_layer",
        "_message",
        "_resend_at",
        "_table",
        "durations",
        "flow",
        "state",
    )

    def __init__(
        self, layer: TransactionLayer, table: Table, state: str, flow: Flow, durations: Durations
    ) -> None:
        super().__init__()
        self._layer = layer
        self._table = table
        self.state = state
        self.flow = flow
        self.durations = durations
        self._interval = 0.0
        self._resend_at = NEVER
        self._expire_at = NEVER
        self._message = b""  # what is repeated: the request of a client, the last response of a server

    def fire(self, now: float) -> None:
        # A late host may find both due: what expires is not repeated first.
        if self._expire_at <= now:
            self._expire_at = NEVER
            self.step(tables.EXPIRE, now)
        elif self._resend_at <= now:
            self.step(tables.RESEND, now)
        else:
            self._arm()

    def _leads_to(self, event: str) -> Step | None:
        """What this event would do now; nothing once the transaction has ended."""
        state = self._table.get(self.state)
        return None if state is None else state.on.get(event)

    def step(self, event: str, now: float, response: Response | None = None) -> bool:
        """Let one event happen; False where this state has no use for it."""
        before = self.state
        step = self._leads_to(event)
        if step is None:
            return False
        if step.state != before:
            self._enter(step.state, now)
        elif event == tables.RESEND:
            self._next_interval(now)
        for action in step.actions:
            self._act(action, response, now)
        if self.state == tables.TERMINATED:
            self._let_go()
        return True

    def _enter(self, state: str, now: float) -> None:
        left = self._table[self.state]
        self.state = state
        if state == tables.TERMINATED:
            self._resend_at = self._expire_at = NEVER
            self._layer.timers.arm(self, NEVER)
            self._forget()
            return
        entered = self._table[state]
        if entered.absorbs and self.durations.expire[entered.expire] > 0.0:
            self._resend_at = NEVER
            self._expire_at = now + self.durations.expire[entered.expire]
            self._layer.timers.arm_loosely(self, self._expire_at)
            return
        if entered.expire != left.expire or self._expire_at == NEVER:
            self._expire_at = now + self.durations.expire[entered.expire] if entered.expire else NEVER
        if not entered.resend:
            self._resend_at = NEVER
        elif entered.resend != left.resend:
            self._interval = self.durations.t1
            self._resend_at = now + self._interval
        self._arm()

    def _begin(self, now: float) -> None:
        """Start the timers of the first state."""
        state = self._table[self.state]
        if state.resend:
            self._interval = self.durations.t1
            self._resend_at = now + self._interval
        if state.expire:
            self._expire_at = now + self.durations.expire[state.expire]
        self._arm()

    def _next_interval(self, now: float) -> None:
        self._interval = self._longer(self._interval)
        self._resend_at = now + self._interval
        self._arm()

    def _arm(self) -> None:
        resend, expire = self._resend_at, self._expire_at
        self._layer.timers.arm(self, resend if resend < expire else expire)

    def _longer(self, interval: float) -> float:
        """E and G double up to T2 (§17.1.2.2, §17.2.1)."""
        return min(2 * interval, self.durations.t2)

    def _act(self, action: str, response: Response | None, now: float) -> None:
        raise NotImplementedError

    def _forget(self) -> None:
        raise NotImplementedError

    def _let_go(self) -> None:
        """Drop the user, who knows this transaction too: only the garbage collector would find such a circle."""
        raise NotImplementedError

    def _retransmit(self) -> None:
        if self._message:
            self._layer.out.append(Send(self.flow, self._message))


_WAITING: Final = frozenset((tables.CALLING, tables.TRYING))


class ClientTransaction(_Transaction):
    """A request that this element sent (§17.1). Made by ``TransactionLayer.send``."""

    __slots__ = ("_failure", "_user", "heeds_errors", "key", "request")

    def __init__(
        self,
        layer: TransactionLayer,
        request: Request,
        flow: Flow,
        durations: Durations,
        user: ClientUser,
        key: ClientKey,
    ) -> None:
        invite = request.method == b"INVITE"
        table = tables.INVITE_CLIENT if invite else tables.NON_INVITE_CLIENT
        super().__init__(layer, table, tables.CALLING if invite else tables.TRYING, flow, durations)
        self.request: Request | None = request  # kept while an ACK or CANCEL may have to be built from it
        self._user = user
        self._failure = ""
        self.heeds_errors = True  # False: transport errors are ignored, and only the timers end it
        self.key = key

    def begin(self, now: float) -> None:
        self._message = b"" if self.request is None else self.request.wire()
        self._begin(now)
        self._retransmit()

    def receive(self, response: Response, now: float) -> None:
        if self.state in _WAITING:
            self._layer.waits_no_more(self)
        status = response.status
        if status < 200:
            event = tables.PROVISIONAL
        elif self._table is tables.NON_INVITE_CLIENT:
            event = tables.FINAL
        else:
            event = tables.SUCCESS if status < 300 else tables.FAILURE
        self.step(event, now, response)
        if status >= 200:
            self._message = b""
            if self._table is tables.NON_INVITE_CLIENT:
                self._let_go()  # what may still come are repetitions
            elif status < 300:
                self.request = None

    def unreachable(self, reason: str, now: float) -> None:
        self._failure = reason
        self.step(tables.UNREACHABLE, now)

    def stop_resending(self) -> None:
        """Don't repeat the request any more, though a late response is still welcome."""
        self._resend_at = NEVER
        self._arm()

    def cancelled(self, now: float) -> None:
        """A CANCEL was sent: where no final response follows for 64*T1, none will (§9.1)."""
        if self.state == tables.PROCEEDING:
            self._expire_at = now + self.durations.expire["B"]
            self._arm()

    def _longer(self, interval: float) -> float:
        if self._table is tables.INVITE_CLIENT:
            return 2 * interval  # timer A doubles without a cap (§17.1.1.2)
        if self.state == tables.PROCEEDING:
            return self.durations.t2  # §17.1.2.2
        return super()._longer(interval)

    def _act(self, action: str, response: Response | None, now: float) -> None:
        if action == tables.PASS_UP and response is not None:
            self._user.on_response(self, response, now)
        elif action == tables.RETRANSMIT:
            self._retransmit()
        elif action == tables.SEND_ACK and response is not None and self.request is not None:
            self._layer.out.append(Send(self.flow, ack_of(self.request, response).wire()))
        elif action == tables.TIME_OUT:
            self._user.on_timeout(self, now)
        elif action == tables.REPORT:
            self._user.on_unreachable(self, self._failure, now)

    def _forget(self) -> None:
        self._layer.waits_no_more(self)
        self._layer.forget_client(self)

    def _let_go(self) -> None:
        self._user = UNATTENDED
        self.request = None


_DONE: Final = Request(b"", b"", [], [])  # stands for a request that nobody will read again


class ServerTransaction(_Transaction):
    """A request that this element received (§17.2). ``user`` is for whoever answers it, to find itself again."""

    __slots__ = ("key", "request", "user")

    def __init__(
        self, layer: TransactionLayer, request: Request, flow: Flow, durations: Durations, key: ServerKey
    ) -> None:
        invite = request.method == b"INVITE"
        table = tables.INVITE_SERVER if invite else tables.NON_INVITE_SERVER
        super().__init__(layer, table, tables.PROCEEDING if invite else tables.TRYING, flow, durations)
        self.request = request
        self.key = key
        self.user: object = None

    @property
    def answered(self) -> bool:
        """Whether a final response was sent."""
        return self.state not in (tables.PROCEEDING, tables.TRYING)

    @property
    def takes_success(self) -> bool:
        """Whether a 2xx would go out: none has failed it, and it lives."""
        event = tables.FINAL if self._table is tables.NON_INVITE_SERVER else tables.SUCCESS
        return self._leads_to(event) is not None

    def respond(self, response: Response, now: float) -> None:
        """Send a response; one that this state has no use for (a second final one, say) is dropped (§17.2.1)."""
        status = response.status
        if status < 200:
            event = tables.PROVISIONAL
        elif self._table is tables.NON_INVITE_SERVER:
            event = tables.FINAL
        else:
            event = tables.SUCCESS if status < 300 else tables.FAILURE
        self.step(event, now, response)

    def release(self, user: object) -> None:
        """This user is done with it. An INVITE's may still hear of it: of a CANCEL, of another 2xx."""
        if self.user is user and self._table is tables.NON_INVITE_SERVER:
            self.user = None
            self.request = _DONE

    def abandon(self) -> None:
        """End without a final response, where none would be welcome any more (RFC 4320 §4.2)."""
        self._enter(tables.TERMINATED, 0.0)
        self._let_go()

    def _act(self, action: str, response: Response | None, now: float) -> None:
        if action == tables.SEND_RESPONSE and response is not None:
            self._message = response.wire()
            self._retransmit()
            if self.state == tables.ACCEPTED:
                self._message = b""  # RFC 6026 §7.1: repeating a 2xx is the user's business
        elif action == tables.RETRANSMIT:
            self._retransmit()

    def _forget(self) -> None:
        self._layer.forget_server(self)

    def _let_go(self) -> None:
        self.user = None


_ACK_COPIES: Final = frozenset(("from", "call-id", "route"))


def ack_of(invite: Request, response: Response) -> Request:
    """The ACK of a client transaction to a final response other than 2xx (§17.1.1.3)."""
    names: list[str] = ["via"]
    lines: list[bytes] = [b"Via: " + invite.first("via")]
    for name, line in zip(invite.names, invite.lines, strict=True):
        if name in _ACK_COPIES:
            names.append(name)
            lines.append(line)
    names += ["to", "cseq", "max-forwards", "content-length"]
    to = response.lines[response.names.index("to")]
    lines += [to, b"CSeq: %d ACK" % invite.cseq.number, b"Max-Forwards: 70", b"Content-Length: 0"]
    return Request(b"ACK", invite.uri, names, lines)


def cancel_of(invite: Request, *extra: bytes) -> Request:
    """The CANCEL of a request sent before (§9.1); ``extra`` lines, such as Reason, are added."""
    names: list[str] = ["via"]
    lines: list[bytes] = [b"Via: " + invite.first("via")]
    for name, line in zip(invite.names, invite.lines, strict=True):
        if name in _ACK_COPIES or name == "to":
            names.append(name)
            lines.append(line)
    names += ["cseq", "max-forwards", *["reason"] * len(extra), "content-length"]
    lines += [b"CSeq: %d CANCEL" % invite.cseq.number, b"Max-Forwards: 70", *extra, b"Content-Length: 0"]
    return Request(b"CANCEL", invite.uri, names, lines)
