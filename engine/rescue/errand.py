"""A request of our own to an agent, whose connection may be lost on the way.

One that was lost a moment ago is waited for (``engine.registrar.returns``); where one breaks before the answer,
the request is sent again on the next.
"""

from __future__ import annotations

from typing import Final, Protocol

from engine.boundary import NEVER
from engine.rescue.ground import Ground
from engine.rescue.node_side import NodeSide
from engine.sip.errors import SipError
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction
from engine.sip.transactions.transaction import UNATTENDED, cancel_of
from engine.timers import Timed
from engine.ua.parts import Block

_MOST_SENDINGS: Final = 4
_ANSWERS_WITHIN_S: Final = (
    32.0  # 64*T1 from a provisional response on: nobody has to be asked to accept a re-INVITE
)


class ErrandUser(Protocol):
    """Who is told what became of it."""

    def on_answer(self, errand: Errand, response: Response, now: float) -> None:
        """A final response came; a 2xx to an INVITE each time."""
        ...

    def on_failure(self, errand: Errand, why: str, now: float) -> None:
        """None will come."""
        ...


class Nobody:
    """Of requests whose outcome changes nothing."""

    def on_answer(self, errand: Errand, response: Response, now: float) -> None:
        pass

    def on_failure(self, errand: Errand, why: str, now: float) -> None:
        pass


NOBODY: Final = Nobody()


class Errand(Timed):
    """``sent`` while its answer is waited for; not while its agent is."""

    __slots__ = (
        "_body",
        "_by_edge",
        "_cancelled",
        "_ground",
        "_headers",
        "_heard",
        "_sendings",
        "_transaction",
        "_until",
        "_user",
        "method",
        "number",
        "side",
    )

    def __init__(
        self,
        ground: Ground,
        side: NodeSide,
        method: bytes,
        headers: Block,
        body: bytes,
        user: ErrandUser,
    ) -> None:
        super().__init__()
        self._ground = ground
        self.side = side
        self._headers = headers
        self._body = body
        self._user = user
        self._until = 0.0  # the agent's return is waited for
        self._sendings = 0
        self._by_edge = False  # another edge was asked to reach the agent
        self._heard = False  # a provisional response came
        self._cancelled = False
        self._transaction: ClientTransaction | None = None
        self.method = method
        self.number = 0

    def begin(self, now: float) -> None:
        self._go("", now)

    @property
    def sent(self) -> bool:
        return self._transaction is not None

    def give_up(self, now: float) -> None:
        """Its outcome changes nothing any more."""
        self._user = NOBODY
        self._wait_no_more()
        if self._heard:
            self._cancel(now)

    # --- sending

    def _go(self, why: str, now: float) -> None:
        ground, side = self._ground, self.side
        try:
            way = ground.ways.to(side.agent_key, side.agent_flow, side.key[0])
        except SipError as error:
            self._wait(why or error.why, now)
            return
        self._wait_no_more()
        dialog = side.dialog
        branch = ground.branch()
        self.number = dialog.next_number()
        via = ground.here.via(way.flow.interface, branch)
        request = dialog.request(self.method, via, self.number, self._headers, self._body)
        self._by_edge = bool(way.route)
        if way.route:
            request.add_first("route", way.route)
        self._sendings += 1
        self._heard = False
        if way.flow.stream:
            ground.on_streams.setdefault(way.flow, {})[self] = None
        self._transaction = ground.layer.send(request, way.flow, self, now, branch)

    def _wait(self, why: str, now: float) -> None:
        """Until its agent is back, if that is worth it."""
        ground, key = self._ground, self.side.agent_key
        until = self._until or ground.ways.until(key, now)
        if now >= until:
            self._wait_no_more()
            self._user.on_failure(self, why, now)
            return
        if not self._until:
            self._until = until
            ground.ways.wait(key, self)
        ground.timers.arm(self, until)

    def _wait_no_more(self) -> None:
        if self._until:
            self._until = 0.0
            self._ground.ways.leave(self.side.agent_key, self)
        self._ground.timers.arm(self, NEVER)

    def returned(self, now: float) -> None:
        """The agent is bound again."""
        self._ground.timers.arm(self, now)  # behind what answers the REGISTER

    def fire(self, now: float) -> None:
        if self._transaction is None:
            self._go("", now)
        else:
            self._cancel(now)

    def _cancel(self, now: float) -> None:
        """An INVITE is not waited for any longer (RFC 3261 §9.1); its end is still to come."""
        client = self._transaction
        if client is None or client.request is None or self._cancelled:
            return
        self._cancelled = True
        self._ground.layer.send(cancel_of(client.request), client.flow, UNATTENDED, now)
        client.cancelled(now)

    # --- what becomes of it

    def flow_lost(self, reason: str, now: float) -> None:
        """The connection is gone, and the request or its answer with it."""
        if self._transaction is not None:
            self._transaction.unreachable(reason, now)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            self._provisional(now)
            return
        if transaction is self._transaction:
            self._answered()
            if response.status == 430 and self._by_edge:  # it reaches the agent no more
                self._wait("answered 430", now)
                return
        self._user.on_answer(self, response, now)

    def _provisional(self, now: float) -> None:
        if self.method != b"INVITE" or self._cancelled:
            return
        self._heard = True
        if self._user is NOBODY:
            self._cancel(now)
        else:
            self._ground.timers.arm(self, now + _ANSWERS_WITHIN_S)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._lost(transaction, "no answer", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._lost(transaction, reason, now)

    def _lost(self, transaction: ClientTransaction, why: str, now: float) -> None:
        flow = transaction.flow
        self._answered()
        broke = flow.stream and not self._ground.ways.stands(flow)
        wanted = self._user is not NOBODY and not self._cancelled
        if broke and wanted and self._sendings < _MOST_SENDINGS:
            self._go(why, now)
        else:
            self._user.on_failure(self, why, now)

    def _answered(self) -> None:
        transaction, self._transaction = self._transaction, None
        self._ground.timers.arm(self, NEVER)
        if transaction is None or not transaction.flow.stream:
            return
        errands = self._ground.on_streams.get(transaction.flow)
        if errands is not None:
            errands.pop(self, None)
            if not errands:
                del self._ground.on_streams[transaction.flow]
