"""One user's browser. Orders: ``call 9196 for 20``, ``hangup``, ``unregister``, ``close_tab``, ``open_tab``,
``hide``, ``show``; ``move`` (another address) is no news to a page."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from engine.boundary import (
    NEVER,
    AgentOrder,
    Close,
    Drain,
    Effect,
    Input,
    StreamClosed,
    StreamData,
    StreamOpened,
)
from engine.timers import Timed
from sim.agents.browser.config import BrowserConfig
from sim.agents.browser.connection import WebSocket
from sim.agents.browser.dialect import JsSip
from sim.agents.browser.throttle import MINUTE_S, Throttle
from sim.agents.notes import TabClosed
from sim.agents.phones import Person, Phones

GRACE_S: Final = 2.0
"""JsSIP's ``stop()`` leaves so long to what is under way, then closes the connection."""

_ALSO = ", close_tab, open_tab, hide, show, move HOST"


class Browser:
    """A machine with one user, in one tab at a time."""

    def __init__(self, config: BrowserConfig, random: Random) -> None:
        self.config = config
        self._random = random
        self._throttle = Throttle(config.throttling == "intensive", random.random() * MINUTE_S)
        self._out: list[Effect] = []
        self._tab = Tab(config, random)
        self._closed = False

    def start(self, now: float) -> Sequence[Effect]:
        """Open the page: connect first, all else follows."""
        if self.config.throttling != "none":
            self._throttle.hide(now)
        self._tab.open(now, self.config.phones.comes_s)
        return self._take_effects()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take a message, news of the connection, or an order. A browser without a tab hears nothing."""
        if isinstance(event, AgentOrder):
            self._carry_out(event, now)
        elif not self._closed:
            if isinstance(event, Drain):
                self._tab.stop(now)
            else:
                self._tab.receive(event, now)
        elif isinstance(event, StreamOpened):
            self._out.append(Close(event.flow))  # asked for by a tab that is gone
        return self._take_effects()

    def tick(self, now: float) -> Sequence[Effect]:
        """Let due timers fire, as far as the browser lets them."""
        if self.deadline() <= now:
            self._tab.phones.timers.fire_due(now)
        return self._take_effects()

    def deadline(self) -> float:
        """When the next timer rings."""
        if self._closed:
            return NEVER
        phones = self._tab.phones
        due = phones.timers.deadline()
        return due if phones.calls else self._throttle.rings_at(due)

    @property
    def phones(self) -> Phones:
        """The user agent inside, for those who look after leaks."""
        return self._tab.phones

    def _carry_out(self, order: AgentOrder, now: float) -> None:
        if order.order == "open_tab":
            if self._closed:
                self._closed = False
                self._tab = Tab(self.config, self._random)
                self._tab.open(now)
        elif order.order == "close_tab":
            if not self._closed:
                self._closed = True
                self._out += self._tab.abandon(now)
                self._out.append(TabClosed(self.config.phones.users[0]))
        elif order.order == "hide":
            self._throttle.hide(now)
        elif order.order == "show":
            self._throttle.show()
        elif order.order != "move" and not self._closed:
            self._tab.person.carry_out(order, now, also=_ALSO)

    def _take_effects(self) -> list[Effect]:
        effects = self._out.copy() if self._closed else self._out + self._tab.phones.take_effects()
        self._out.clear()
        return effects


class Tab:
    """One page, from its loading to its end: JsSIP's UA."""

    def __init__(self, config: BrowserConfig, random: Random) -> None:
        self.phones = Phones(config.phones, random, JsSip(config, random))
        self.person = Person(self.phones)
        self._socket = WebSocket(config, self, self.phones.out, self.phones.timers, random)
        self._farewell = _Farewell(self._socket)

    def open(self, now: float, after_s: float = 0.0) -> None:
        """The page is loaded, and connects."""
        self._socket.open(now + after_s)

    def receive(self, event: Input, now: float) -> None:
        """Take a message, or news of the connection."""
        if isinstance(event, (StreamData, StreamClosed)) and event.flow != self._socket.flow:
            return  # of an earlier connection
        self.phones.receive(event, now)
        self._socket.receive(event, now)

    def stop(self, now: float) -> None:
        """The page says good-bye: calls end, the registration is withdrawn, then the connection is closed."""
        self.phones.hang_up_all(now)
        self.phones.unregister_all(now)
        self.phones.timers.arm(self._farewell, now + GRACE_S)

    def abandon(self, now: float) -> list[Effect]:
        """The tab is closed: the browser ends its connection, and nothing is said over it."""
        self.phones.out.clear()
        self.phones.abandon_all("tab closed", now)
        self._socket.close()
        return self.phones.take_effects()

    # --- the connection tells

    def on_open(self, now: float) -> None:
        self.phones.register_all(now)


class _Farewell(Timed):
    __slots__ = ("_socket",)

    def __init__(self, socket: WebSocket) -> None:
        super().__init__()
        self._socket = socket

    def fire(self, now: float) -> None:
        self._socket.close()
