"""Links: how long a packet takes from one place to another, and whether it arrives.

The model of one direction of a link:

- *latency* is constant; *jitter* adds a delay drawn from an exponential distribution of mean ``jitter_ms``. The
  mean difference between two such delays is ``jitter_ms`` too, so that the interarrival jitter of RFC 3550 §6.4.1
  measured over the link shows the value that was set.
- *Order is kept*: a packet that jitter delays holds up those behind it, as a queue does. Reordering is a setting
  of its own: a ``reorder`` share of the packets takes a detour of up to ``reorder_by_ms`` and is overtaken
  meanwhile.
- *loss* and *duplicate* hit each packet independently of the others.
- Streams (TCP) lose, duplicate and reorder nothing: a lost segment comes late by the retransmission time-out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

RETRANSMIT_AFTER_S = 0.2
"""Linux's least retransmission time-out of TCP; it doubles with each loss in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Settings of both directions between two places; shares are from 0 to 1. The default is a quiet LAN."""

    latency_ms: float = 0.25
    jitter_ms: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    reorder_by_ms: float = 20.0
    duplicate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("latency_ms", "jitter_ms", "reorder_by_ms"):
            value = getattr(self, name)
            if not 0.0 <= value < math.inf:
                raise ValueError(f"{name} is {value}: give a duration of 0 ms or more")
        for name in ("loss", "reorder", "duplicate"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value}: give a share from 0 to 1")


def delay_until(now: float, at: float) -> float:
    """The delay that takes a clock from ``now`` to ``at`` or the next float, never to a moment before it.

    SimPy schedules by delay, and ``now + (at - now)`` can fall short of ``at`` by one rounding: a timer would wake
    too early, and packets that are to stay in order could swap.
    """
    delay = max(at - now, 0.0)
    while now + delay < at:
        delay += math.ulp(at)
    return delay


class Queue:
    """First in, first out: whoever is sent later never arrives earlier."""

    __slots__ = ("_last_s",)

    def __init__(self) -> None:
        self._last_s = 0.0

    def delay(self, now: float, delay_s: float) -> float:
        """``delay_s``, or longer where something sent before would be overtaken."""
        at = now + delay_s
        if at < self._last_s:
            delay_s = delay_until(now, self._last_s)
            at = now + delay_s
        self._last_s = at
        return delay_s


class Direction:
    """One direction of a link at work: settings, random stream, queue, and whether a partition cuts it."""

    __slots__ = ("_latency_s", "_link", "_plain", "_queue", "_rng", "blocked")

    def __init__(self, link: Link, rng: Random) -> None:
        self._rng = rng
        self._queue = Queue()
        self.blocked = False
        self.link = link

    @property
    def link(self) -> Link:
        return self._link

    @link.setter
    def link(self, link: Link) -> None:
        self._link = link
        self._latency_s = link.latency_ms / 1000.0
        self._plain = not (link.jitter_ms or link.loss or link.reorder or link.duplicate)

    def datagram(self, now: float) -> tuple[float, ...]:
        """The delay of each copy of a datagram sent now: none when it is lost, two when it is duplicated."""
        if self._plain:
            return (self._queue.delay(now, self._latency_s),)
        link, rng = self._link, self._rng
        if link.loss and rng.random() < link.loss:
            return ()
        first = self._datagram_delay(now)
        if link.duplicate and rng.random() < link.duplicate:
            return (first, self._datagram_delay(now))
        return (first,)

    def segment(self) -> float:
        """The delay of a stream's segment sent now; the connection keeps its own order."""
        delay = self._latency_s + self._jitter()
        wait = RETRANSMIT_AFTER_S
        # A link that loses everything is a partition by another name: the retries end somewhere.
        while wait < 60.0 and self._link.loss and self._rng.random() < self._link.loss:
            delay += wait
            wait *= 2.0
        return delay

    def _datagram_delay(self, now: float) -> float:
        link = self._link
        delay = self._latency_s + self._jitter()
        if link.reorder and self._rng.random() < link.reorder:
            return delay + self._rng.uniform(0.0, link.reorder_by_ms / 1000.0)
        return self._queue.delay(now, delay)

    def _jitter(self) -> float:
        if not self._link.jitter_ms:
            return 0.0
        # To the nanosecond: the last bit of a logarithm differs between C libraries, and a run must not.
        return round(self._rng.expovariate(1000.0 / self._link.jitter_ms), 9)
