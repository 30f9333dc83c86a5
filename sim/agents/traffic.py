"""A call generator: many users on one interface, calls by a law of arrivals, as SIPp makes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from engine.boundary import NEVER, AgentOrder, Drain, Effect, Input
from engine.timers import Timed
from sim.agents.arrivals import Arrivals
from sim.agents.durations import Duration
from sim.agents.notes import OrderRefused
from sim.agents.phones import Phones, PhonesConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Calls to some numbers in turn. All times are in seconds, from the start of the machine."""

    to: tuple[str, ...]
    arrivals: Arrivals = field(default_factory=Arrivals)
    hold: Duration = field(default_factory=lambda: Duration(mean=20.0))
    patience: Duration = field(default_factory=lambda: Duration(mean=20.0))
    calls: int | None = None  # at most so many
    begins_s: float = 0.0
    ends_s: float = NEVER  # no new call from then on


def call_id_of(load: int, number: int, machine: str) -> str:
    """The Call-ID of a load's n-th call."""
    return f"c{f'{load}-' if load else ''}{number:06d}@{machine}"


def streams_of(random: Random) -> tuple[Random, Random, Random]:
    """The streams of a load's own, for arrivals, hold times and patience, taken from its machine's."""
    arrivals, hold, patience = (Random(random.getrandbits(64)) for _ in range(3))
    return arrivals, hold, patience


class Traffic:
    """A machine that places the calls of its loads, and answers calls to its users.

    ``random`` gives each load streams of its own for arrivals, hold times and patience; the n-th call of a load
    has the same of each whatever became of the others, so policies can be compared call by call.
    """

    def __init__(self, config: PhonesConfig, loads: Sequence[Load], random: Random) -> None:
        self._sources = [_Source(self, index, load, random) for index, load in enumerate(loads)]
        self._phones = Phones(config, Random(random.getrandbits(64)))
        self.config = config

    def start(self, now: float) -> Sequence[Effect]:
        """Begin to register and to call."""
        self._phones.start(now)
        for source in self._sources:
            source.begin(now)
        return self._phones.take_effects()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take a message; Drain stops new calls, and so does the order ``stop``."""
        if isinstance(event, Drain) or (isinstance(event, AgentOrder) and event.order == "stop"):
            for source in self._sources:
                self._phones.timers.arm(source, NEVER)
        elif isinstance(event, AgentOrder):
            self._phones.out.append(OrderRefused(self.config.name, event.order, "known orders: stop"))
        else:
            self._phones.receive(event, now)
        return self._phones.take_effects()

    def tick(self, now: float) -> Sequence[Effect]:
        """Let due timers fire: arrivals, hang-ups, retransmissions."""
        self._phones.timers.fire_due(now)
        return self._phones.take_effects()

    def deadline(self) -> float:
        """When the next timer is due."""
        return self._phones.timers.deadline()

    @property
    def phones(self) -> Phones:
        """The user agents inside, for those who look after leaks."""
        return self._phones


class _Source(Timed):
    """One load at work. Its timer is the next arrival."""

    __slots__ = (
        "_hold_random",
        "_index",
        "_load",
        "_number",
        "_patience_random",
        "_started_at",
        "_times",
        "_traffic",
    )

    def __init__(self, traffic: Traffic, index: int, load: Load, random: Random) -> None:
        super().__init__()
        self._traffic = traffic
        self._load = load
        self._index = index
        arrivals_random, self._hold_random, self._patience_random = streams_of(random)
        self._times: Iterator[float] = load.arrivals.times(arrivals_random)
        self._number = 0
        self._started_at = 0.0

    def begin(self, now: float) -> None:
        self._started_at = now
        self._arm_next()

    def fire(self, now: float) -> None:
        traffic, load = self._traffic, self._load
        config = traffic.config
        self._number += 1
        traffic.phones.place(
            config.users[(self._number - 1) % len(config.users)],
            load.to[(self._number - 1) % len(load.to)],
            call_id_of(self._index, self._number, config.name),
            hold_s=load.hold.draw(self._hold_random),
            patience_s=load.patience.draw(self._patience_random),
            now=now,
        )
        self._arm_next()

    def _arm_next(self) -> None:
        load = self._load
        if load.calls is not None and self._number >= load.calls:
            return
        time_s = next(self._times, NEVER) + load.begins_s
        if time_s < load.ends_s:
            self._traffic.phones.timers.arm(self, self._started_at + time_s)
