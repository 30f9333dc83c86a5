"""How long calls last and callers wait: distributions, drawn by inversion.

Each draw takes exactly one number of its stream, so the n-th draw is the same whatever was done with those
before, and a longer mean stretches the same draws (common random numbers). Draws are rounded to the nanosecond:
the last bit of a logarithm differs between C libraries, and a run must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from random import Random
from statistics import NormalDist
from typing import Literal

_STANDARD_NORMAL = NormalDist()
_LEAST = 2.0**-53  # random() may say 0, whose logarithm and quantile are infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A distribution of durations in seconds.

    ``mean`` is for all but uniform, which has ``low`` and ``high``; ``deviation`` (standard deviation) is for
    lognormal, and is the mean where it is not given.
    """

    distribution: Literal["fixed", "exponential", "lognormal", "uniform"] = "fixed"
    mean: float = 0.0
    deviation: float | None = None
    low: float = 0.0
    high: float = 0.0

    def draw(self, random: Random) -> float:
        """The next duration, in seconds."""
        share = random.random()
        if self.distribution == "fixed":
            return self.mean
        if self.distribution == "uniform":
            return self.low + (self.high - self.low) * share
        if self.distribution == "exponential":
            return round(-self.mean * log(1.0 - share), 9)
        deviation = self.mean if self.deviation is None else self.deviation
        variance = log(1.0 + (deviation / self.mean) ** 2)
        median = self.mean / sqrt(1.0 + (deviation / self.mean) ** 2)
        quantile = _STANDARD_NORMAL.inv_cdf(max(share, _LEAST))
        # beyond 700, no float can hold it
        return round(median * exp(min(sqrt(variance) * quantile, 700.0)), 9)
