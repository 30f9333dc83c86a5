"""Means with confidence intervals, by Student's t: replications are independent, and few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from statistics import fmean, stdev

from lab.errors import InputError


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of ``n`` values, and what lies around it with the confidence asked for; NaN where n is too small."""

    n: int
    mean: float
    half_width: float

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.half_width:.2g} (n = {self.n})"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean of independent values and its confidence interval (Student's t with n - 1 degrees of freedom).

    Examples
    --------
    >>> found = interval([4.0, 5.0, 6.0])
    >>> round(found.mean, 2), round(found.half_width, 2)
    (5.0, 2.48)
    """
    from scipy.special import stdtrit

    if not 0 < confidence < 1:
        raise InputError(f"a confidence lies between 0 and 1, not at {confidence:g} - write 0.95")
    kept = [float(value) for value in values if value == value]
    if not kept:
        return Interval(0, nan, nan)
    if len(kept) == 1:
        return Interval(1, kept[0], nan)
    quantile = float(stdtrit(len(kept) - 1, 0.5 + confidence / 2))
    return Interval(len(kept), fmean(kept), quantile * stdev(kept) / sqrt(len(kept)))
