"""When calls begin: Poisson, evenly spaced, or Poisson with a rate that changes over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, log
from random import Random
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """A law of arrivals. ``profile`` holds (second, calls per second) pairs: from that second on, that rate."""

    law: Literal["poisson", "fixed", "profile"] = "poisson"
    rate_per_s: float = 1.0
    profile: tuple[tuple[float, float], ...] = ()

    def times(self, random: Random) -> Iterator[float]:
        """The instants of the calls, in seconds from the start, without end unless the profile's last rate is 0.

        A Poisson arrival takes exactly one number of the stream, whatever the rate: the same calls come sooner or
        later when the rate is changed, and none is drawn anew.
        """
        if self.law == "fixed":
            return _even(self.rate_per_s)
        return _poisson(self.profile if self.law == "profile" else ((0.0, self.rate_per_s),), random)


def _even(rate_per_s: float) -> Iterator[float]:
    number = 0
    while rate_per_s > 0:
        yield number / rate_per_s
        number += 1


def _poisson(profile: tuple[tuple[float, float], ...], random: Random) -> Iterator[float]:
    """Unit-rate arrivals, mapped back through the integral of the rate."""
    steps = [*profile, (inf, 0.0)]
    index = 0
    now = steps[0][0]
    while True:
        # Expected number of calls until the next one; rounded, for the last bit of a logarithm differs between C
        # libraries, and a run must not.
        due = round(-log(1.0 - random.random()), 9)
        while True:
            rate, end = steps[index][1], steps[index + 1][0]
            room = rate * (end - now) if rate else 0.0
            if due < room:
                break
            if end == inf:
                return
            due -= room
            now = end
            index += 1
        now += due / rate
        yield now
