"""The rtpengines of one edge: which live, how many calls each has, and who is chosen for the next.

A server's health is a node's (``engine.nodes.state``), told by pings, orders without an answer, and ICMP. What an
operator orders stands beside it: a server that drains takes no new calls and is watched on, for its calls are
moved when it dies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterator
from typing import Final, Literal, NamedTuple

from engine.boundary import NEVER, Effect
from engine.media.ng.bencode import Told
from engine.media.ng.client import NgClient, Outcome, Silence, Then
from engine.media.ng.settings import NgConfig, NgServerConfig
from engine.media.ng.wire import NgMessage
from engine.nodes import state
from engine.notes import RelayStateChanged
from engine.timers import Timed, TimerQueue

REMOVED: Final = "removed"
"""The last state of a server that new settings don't have, told when its last call has ended."""

_PING: Final = {"command": "ping"}


class RelaySnapshot(NamedTuple):
    """One server for a table."""

    name: str
    address: str
    state: str
    weight: int
    calls: int


class NgServer(Timed):
    """One rtpengine as the edge knows it. Only ``NgServers`` changes it."""

    __slots__ = ("_servers", "answered_pings", "calls", "config", "health", "missed", "ordered")

    def __init__(self, config: NgServerConfig, servers: NgServers) -> None:
        super().__init__()
        self.config = config
        self.health: str = state.ACTIVE
        self.ordered: Literal["", "draining", "disabled"] = "" if config.enabled else "disabled"
        self.calls = 0
        self.missed = 0  # pings in a row
        self.answered_pings = 0  # in a row, since it was down
        self._servers = servers

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def state(self) -> str:
        """What is shown: the order, unless it is down."""
        return self.health if self.health == state.DOWN else self.ordered or self.health

    def fire(self, now: float) -> None:
        self._servers.ping(self, now)


class NgServers:
    """Chooses and watches. ``on_down`` is told of each server that died, ``on_life`` of each answer to a ping."""

    def __init__(
        self,
        config: NgConfig,
        client: NgClient,
        timers: TimerQueue,
        out: list[Effect],
        rng: random.Random,
        on_down: Callable[[NgServer, float], None],
        on_life: Callable[[NgServer, float], None],
    ) -> None:
        self._config = config
        self._client = client
        self._timers = timers
        self._out = out
        self._rng = rng
        self._on_down = on_down
        self._on_life = on_life
        self._servers = {server.name: NgServer(server, self) for server in config.servers}
        self._leaving: dict[NgServer, None] = {}  # no longer of the settings: they stay until their last call ends

    def __iter__(self) -> Iterator[NgServer]:
        return iter(self._servers.values())

    def get(self, name: str) -> NgServer | None:
        return self._servers.get(name)

    def start(self, now: float) -> None:
        """Begin to ping, each somewhere within the first interval."""
        for server in self:
            self._timers.arm(server, now + self._rng.random() * self._config.ping_interval_s)

    def snapshot(self) -> list[RelaySnapshot]:
        return [
            RelaySnapshot(
                each.name, "{}:{}".format(*each.config.address), each.state, each.config.weight, each.calls
            )
            for each in (*self, *self._leaving)
        ]

    # --- choosing

    def choose(self, tried: Container[str] = ()) -> NgServer | None:
        """Who has the fewest calls for its weight; a suspect one only where no other can serve."""
        usable = [each for each in self if not each.ordered and each.config.weight and each.name not in tried]
        for health in (state.ACTIVE, state.SUSPECT):
            found = [each for each in usable if each.health == health]
            if found:
                return min(found, key=lambda each: (each.calls + 1) / each.config.weight)
        return None

    def took(self, server: NgServer) -> None:
        """A call is there from now on."""
        server.calls += 1

    def lost(self, server: NgServer) -> None:
        """A call is there no more."""
        server.calls -= 1
        if not server.calls and server in self._leaving:
            self._remove(server)

    def order(self, server: NgServer, content: Told, then: Then, now: float) -> None:
        """Have a server do something; what becomes of it tells of its health."""

        def ended(outcome: Outcome, now: float) -> None:
            self._heard(server, outcome, now)
            then(outcome, now)

        self._client.order(server.config, content, ended, now)

    # --- health

    def ping(self, server: NgServer, now: float) -> None:
        if server.ordered == "disabled":
            return
        if self._servers.get(server.name) is not server and server not in self._leaving:
            return  # removed, and nothing hangs on it any more
        jitter = self._config.jitter * (self._rng.random() - 0.5)
        self._timers.arm(server, now + self._config.ping_interval_s * (1.0 + jitter))

        def ended(outcome: Outcome, now: float) -> None:
            self._pinged(server, outcome, now)

        self._client.order(server.config, _PING, ended, now, self._config.ping_timeout_s)

    def _pinged(self, server: NgServer, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, NgMessage) and outcome.text(b"result") == b"pong":
            server.missed = 0
            server.answered_pings += 1
            if server.health != state.DOWN and server.health != state.RETURNING:
                self._step(server, state.ANSWERED, now, "it answered")
            elif server.answered_pings >= self._config.return_after:
                self._step(server, state.RECOVERED, now, f"answered {server.answered_pings} ping(s)")
            else:
                self._step(server, state.PROBE_ANSWERED, now, "answered a ping")
            self._on_life(server, now)
        elif isinstance(outcome, Silence) and outcome.gone:
            self._step(server, state.GONE, now, outcome.why)
        else:
            server.missed += 1
            server.answered_pings = 0
            if server.missed >= self._config.leave_after:
                self._step(server, state.GONE, now, f"{server.missed} pings in a row failed")
            else:
                self._step(server, state.SILENT, now, "a ping failed")

    def _heard(self, server: NgServer, outcome: Outcome, now: float) -> None:
        """An order has ended: another sign of life, or of its lack."""
        if isinstance(outcome, NgMessage):
            server.missed = 0
            self._step(server, state.ANSWERED, now, "it answered")
        elif outcome.gone:
            self._step(server, state.GONE, now, outcome.why)
        elif server.health == state.ACTIVE:
            self._step(server, state.SILENT, now, outcome.why)
            self._timers.arm(server, now)

    def _step(self, server: NgServer, event: str, now: float, why: str) -> None:
        before = server.health
        after = state.NODE_STATES[before].get(event)
        if after is None or after == before:
            return
        server.health = after
        self._tell(server, before, after, why)
        if after == state.DOWN:
            server.answered_pings = 0
            self._on_down(server, now)

    def _tell(self, server: NgServer, before: str, after: str, why: str) -> None:
        self._out.append(RelayStateChanged(server.name, before, after, why, server.calls))

    # --- operators

    def instruct(self, name: str, order: Literal["drain", "resume", "disable", "enable"], now: float) -> bool:
        """Carry out an operator's order; whether there is such a server."""
        server = self._servers.get(name)
        if server is None:
            return False
        before = server.state
        ordered: dict[str, Literal["draining", "disabled"]] = {"drain": "draining", "disable": "disabled"}
        server.ordered = ordered.get(order, "")
        self._timers.arm(server, NEVER if server.ordered == "disabled" else now)
        if server.state != before:
            self._tell(server, before, server.state, "by order")
        return True

    def replace(self, config: NgConfig, now: float) -> None:
        """Other servers, by new settings. One that stays keeps its state and calls; one that goes, or has moved to
        another address, is drained, and gone when its last call has ended."""
        self._config = self._client.config = config
        wanted = {each.name: each for each in config.servers}
        for name, server in list(self._servers.items()):
            if name not in wanted or wanted[name].address != server.config.address:
                del self._servers[name]
                self._leave(server)
        for name, each in wanted.items():
            found = self._servers.get(name) or self._returning(each)
            if found is None:
                found = NgServer(each, self)
                self._timers.arm(found, now)
            found.config = each
            self._servers[name] = found
        self._servers = {name: self._servers[name] for name in wanted}

    def _leave(self, server: NgServer) -> None:
        before, server.ordered = server.state, "draining"
        self._leaving[server] = None
        if not server.calls:
            self._remove(server)
        elif server.state != before:
            self._tell(server, before, server.state, "no longer in the settings")

    def _returning(self, wanted: NgServerConfig) -> NgServer | None:
        """The server of these settings, if it was about to leave."""
        for server in self._leaving:
            if server.name == wanted.name and server.config.address == wanted.address:
                del self._leaving[server]
                before, server.ordered = server.state, "" if wanted.enabled else "disabled"
                if server.state != before:
                    self._tell(server, before, server.state, "in the settings again")
                return server
        return None

    def _remove(self, server: NgServer) -> None:
        del self._leaving[server]
        self._timers.arm(server, NEVER)
        self._tell(server, server.state, REMOVED, "no longer in the settings")
