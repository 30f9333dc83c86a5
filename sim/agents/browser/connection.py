"""The one WebSocket of a tab: opened, lost, opened again after a growing while (JsSIP's Transport)."""

from __future__ import annotations

from random import Random
from typing import Final, Protocol

from engine.boundary import NEVER, Close, Effect, Flow, Input, Send, StreamClosed, StreamOpened, Unreachable
from engine.timers import Timed, TimerQueue
from sim.agents.browser.config import BrowserConfig
from sim.agents.notes import Connected, Disconnected

IDLE: Final = "idle"
CONNECTING: Final = "connecting"
OPEN: Final = "open"
WAITING: Final = "waiting"  # until the next attempt
CLOSED: Final = "closed"  # for good, by the page

_MOST_DOUBLINGS: Final = 16


class ConnectionUser(Protocol):
    """Who waits for the connection."""

    def on_open(self, now: float) -> None: ...


class WebSocket(Timed):
    """Its timer is the next attempt."""

    __slots__ = ("_attempts", "_config", "_out", "_random", "_timers", "_user", "_way", "flow", "state")

    def __init__(
        self, config: BrowserConfig, user: ConnectionUser, out: list[Effect], timers: TimerQueue, random: Random
    ) -> None:
        super().__init__()
        self._config = config
        self._user = user
        self._out = out
        self._timers = timers
        self._random = random
        self._way = Flow(config.phones.interface.name, config.phones.server)
        self._attempts = 0
        self.flow: Flow | None = None
        self.state = IDLE

    def open(self, at: float) -> None:
        """Connect at this moment; nothing is said yet."""
        self.state = WAITING
        self._timers.arm(self, at)

    def close(self) -> None:
        """The page, or its end, closes it, and it is not opened again."""
        if self.state == OPEN and self.flow is not None:
            self._out.append(Close(self.flow))
        self.state = CLOSED
        self._timers.arm(self, NEVER)

    def fire(self, now: float) -> None:
        if self.state == WAITING:
            self.state = CONNECTING
            self._out.append(Send(self._way, b""))

    def receive(self, event: Input, now: float) -> None:
        """Take what concerns the connection itself."""
        if isinstance(event, StreamOpened):
            self._opened(event.flow, now)
        elif isinstance(event, StreamClosed):
            if event.flow == self.flow and self.state == OPEN:
                self.flow = None
                self._lost(event.reason, now)
        elif isinstance(event, Unreachable) and not event.flow.stream and self.state == CONNECTING:
            self._lost(event.reason, now)

    def _opened(self, flow: Flow, now: float) -> None:
        if self.state == CLOSED:  # while it was being set up
            self._out.append(Close(flow))
            return
        self.state, self.flow = OPEN, flow
        self._out.append(Connected(self._attempts))
        self._attempts = 0
        self._user.on_open(now)

    def _lost(self, reason: str, now: float) -> None:
        self.state = IDLE
        config = self._config
        if config.reconnects:
            self._attempts += 1
            # JsSIP: a whole number of seconds below 2 to the power of the attempts, within bounds
            doubled = 2 ** min(self._attempts, _MOST_DOUBLINGS)
            drawn_s = float(int(self._random.random() * doubled) + 1)
            wait_s = min(max(drawn_s, config.reconnect_min_s), config.reconnect_max_s)
            self.state = WAITING
            self._timers.arm(self, now + wait_s)
            self._out.append(Disconnected(reason, wait_s))
        else:
            self._out.append(Disconnected(reason, NEVER))
