"""Orders to rtpengines and their answers: cookies, repetition, time-outs.

Pure, as all of the core: it puts Sends into the edge's list of effects and is told what comes. An order ends once,
by an answer or by a reason; who gave it is called then. On UDP an order is repeated under its cookie, so that
rtpengine knows it again; TCP repeats by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from engine.boundary import NEVER, Close, Effect, Flow, Send
from engine.media.ng.bencode import BencodeError, Told
from engine.media.ng.settings import NgConfig, NgServerConfig
from engine.media.ng.wire import NgMessage, NgStream, read_message, write_message
from engine.notes import RelayAnswersDropped
from engine.tally import Tally
from engine.timers import Timed, TimerQueue


class Silence(NamedTuple):
    """No answer, and why. ``gone``: its host says that nothing listens there."""

    why: str
    gone: bool = False


Outcome: TypeAlias = NgMessage | Silence
Then: TypeAlias = Callable[[Outcome, float], None]
"""Called once with the outcome of an order, and the time."""


class _Order(Timed):
    """One order under way."""

    __slots__ = ("_client", "_times", "cookie", "data", "due_at", "flow", "server", "then")

    def __init__(self, client: NgClient, server: NgServerConfig, flow: Flow, cookie: bytes, data: bytes) -> None:
        super().__init__()
        self._client = client
        self._times = 0
        self.server = server
        self.flow = flow
        self.cookie = cookie
        self.data = data
        self.due_at = NEVER
        self.then: Then | None = None

    def fire(self, now: float) -> None:
        if now >= self.due_at:
            self._client.end(self, Silence("no answer in time"), now)
        else:
            self._client.send(self, now)

    def next_look(self, now: float, repeats: tuple[float, ...]) -> float:
        """When to look again, having sent it now."""
        pause = repeats[self._times] if self._times < len(repeats) else NEVER
        self._times += 1
        return min(now + pause, self.due_at)


class NgClient:
    """Gives orders. ``interfaces`` names, by transport, the interfaces of ours on which rtpengines are reached."""

    def __init__(
        self,
        config: NgConfig,
        interfaces: dict[str, str],
        timers: TimerQueue,
        tally: Tally,
        out: list[Effect],
        rng: random.Random,
    ) -> None:
        self.config = config
        self._interfaces = interfaces
        self._timers = timers
        self._tally = tally
        self._out = out
        self._rng = rng
        self._orders: dict[bytes, _Order] = {}
        self._streams: dict[Flow, NgStream] = {}

    # --- giving orders

    def order(
        self, server: NgServerConfig, content: Told, then: Then, now: float, timeout_s: float | None = None
    ) -> None:
        """Have an rtpengine do something."""
        if len(self._orders) >= self.config.pending:
            then(Silence("too many orders wait"), now)
            return
        cookie = b"%032x" % self._rng.getrandbits(128)
        flow = Flow(self._interfaces[server.transport], server.address)
        order = _Order(self, server, flow, cookie, write_message(cookie, content))
        order.then = then
        order.due_at = now + (self.config.timeout_s if timeout_s is None else timeout_s)
        self._orders[cookie] = order
        self.send(order, now)

    def send(self, order: _Order, now: float) -> None:
        """Send an order, the first time or again."""
        self._out.append(Send(order.flow, order.data))
        repeats = self.config.resend_after_s if order.server.transport == "udp" else ()
        self._timers.arm(order, order.next_look(now, repeats))

    def end(self, order: _Order, outcome: Outcome, now: float) -> None:
        """An order is over."""
        if self._orders.pop(order.cookie, None) is None:
            return
        self._timers.arm(order, NEVER)
        then, order.then = order.then, None
        if then is not None:
            then(outcome, now)

    def __len__(self) -> int:
        return len(self._orders)

    # --- what comes

    def datagram(self, flow: Flow, data: bytes, now: float) -> None:
        """A datagram came on an interface of ours."""
        if len(data) > self.config.reply_bytes:
            self._drop(flow, "longer than is taken", now)
            return
        try:
            message = read_message(data)
        except BencodeError as error:
            self._drop(flow, str(error), now)
            return
        self._answered(flow, message, now)

    def stream_data(self, flow: Flow, data: bytes, now: float) -> None:
        """A piece of a connection came."""
        stream = self._streams.setdefault(flow, NgStream(self.config.reply_bytes))
        try:
            messages = stream.feed(data)
        except BencodeError as error:
            self._drop(flow, str(error), now)
            self._out.append(Close(flow))
            self.stream_closed(flow, "not understood", now)
            return
        for message in messages:
            self._answered(flow, message, now)

    def stream_closed(self, flow: Flow, reason: str, now: float) -> None:
        """A connection ended: what was asked over it is not answered any more."""
        self._streams.pop(flow, None)
        self.unreachable(flow, reason, now)

    def unreachable(self, flow: Flow, reason: str, now: float) -> None:
        """What was sent to an rtpengine can't arrive."""
        for order in [each for each in self._orders.values() if each.flow[:2] == flow[:2]]:
            self.end(order, Silence(reason, gone=True), now)

    def _answered(self, flow: Flow, message: NgMessage, now: float) -> None:
        order = self._orders.get(message.cookie)
        if order is None:
            self._drop(flow, "answer to no order, or to one that is over", now)
        elif order.server.is_numeric and flow.peer != order.server.address:
            self._drop(flow, "answer from elsewhere", now)
        else:
            self.end(order, message, now)

    def _drop(self, flow: Flow, why: str, now: float) -> None:
        self._tally.add(RelayAnswersDropped, flow.interface, why, now)
