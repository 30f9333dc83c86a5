"""Scenarios: who calls whom, how often and for how long, and what goes wrong meanwhile."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from topologies.base import Positive, Seconds, Section, SipUser
from topologies.errors import RefusedError
from topologies.faults import Fault
from topologies.nodes import RANGE, UserRange


class Spread(Section):
    """How long something lasts. Short form: a number of seconds, always the same."""

    distribution: Literal["fixed", "exponential", "lognormal", "uniform"] = Field(
        default="fixed", description="fixed, exponential, lognormal, or uniform between low_s and high_s."
    )
    mean: Seconds | None = Field(default=None, description="Mean, in seconds (not for uniform).")
    deviation: Positive | None = Field(
        default=None, description="Standard deviation, in seconds; lognormal only, default: mean."
    )
    low: Seconds | None = Field(default=None, description="Shortest, in seconds; uniform only.")
    high: Seconds | None = Field(default=None, description="Longest, in seconds; uniform only.")

    @model_validator(mode="after")
    def _complete(self) -> Spread:
        needed = {"low", "high"} if self.distribution == "uniform" else {"mean"}
        optional = {"deviation"} if self.distribution == "lognormal" else set()
        given = {name for name in ("mean", "deviation", "low", "high") if getattr(self, name) is not None}
        if missing := needed - given:
            raise RefusedError(
                f"a {self.distribution} duration lacks {', '.join(sorted(missing))}", "add it, in seconds"
            )
        if odd := given - needed - optional:
            raise RefusedError(f"a {self.distribution} duration has no {', '.join(sorted(odd))}", "leave it out")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise RefusedError(f"low {self.low:g} is above high {self.high:g}", "swap the two")
        if self.distribution == "lognormal" and not self.mean:
            raise RefusedError("a lognormal duration cannot have the mean 0", "write a mean above 0")
        return self


def _seconds(given: Any) -> Any:
    return given if isinstance(given, (dict, Spread)) else {"distribution": "fixed", "mean": given}


Duration = Annotated[Spread, BeforeValidator(_seconds)]


class Traffic(Section):
    """Calls from one client."""

    source: str = Field(validation_alias="from", serialization_alias="from", description="The client that calls.")
    to: SipUser = Field(
        description="Number or user that is called, for example 9196 (echo); a range such as 1000-1019 in turn."
    )
    rate_per_s: Positive | None = Field(default=None, description="Calls started per second.")
    arrivals: Literal["poisson", "fixed", "profile"] = Field(
        default="poisson", description="poisson; fixed: evenly spaced; profile: poisson at the rates of profile:."
    )
    profile: tuple[tuple[Seconds, Seconds], ...] = Field(
        default=(), description="[second, calls per second] pairs: from that second on, that rate."
    )
    calls: int | None = Field(
        default=None, ge=1, description="Stop after so many calls; default: call until the end."
    )
    hold_s: Duration = Field(
        default=Spread(distribution="fixed", mean=20),
        description="From answer to BYE: seconds, or distribution: and mean:.",
    )
    patience_s: Duration = Field(
        default=Spread(distribution="fixed", mean=20),
        description="The caller gives up (CANCEL) if not answered for so long.",
    )

    @model_validator(mode="before")
    @classmethod
    def _profile_implied(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("profile") and "arrivals" not in given:
            return {**given, "arrivals": "profile"}
        return given

    @model_validator(mode="after")
    def _numbers_known(self) -> Traffic:
        match = RANGE.fullmatch(self.to)
        if match and int(match[1]) > int(match[2]):
            raise RefusedError(f"{self.to} is no range of numbers", "write the lowest first")
        return self

    @model_validator(mode="after")
    def _rate_known(self) -> Traffic:
        if (self.arrivals == "profile") != bool(self.profile):
            raise RefusedError("arrivals: profile and profile: go together", "write both, or neither")
        if self.profile and self.rate_per_s is not None:
            raise RefusedError("rate_per_s and profile are both given", "keep one of the two")
        if not self.profile and self.rate_per_s is None:
            raise RefusedError("the rate of the calls is missing", "add rate_per_s: 10, or a profile:")
        starts = [start for start, _ in self.profile]
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise RefusedError("the profile's seconds do not rise", "order the pairs by their first number")
        return self

    @property
    def numbers(self) -> tuple[str, ...]:
        """What is called, one after the other."""
        match = RANGE.fullmatch(self.to)
        return UserRange(first=int(match[1]), last=int(match[2])).names if match else (self.to,)


class Scenario(Section):
    """One run: its length, its traffic, its faults."""

    description: str = Field(default="", description="What it shows.")
    duration_s: Positive = Field(default=60.0, description="New calls arrive for so long; then the last ones end.")
    warm_up_s: Seconds = Field(
        default=0.0, description="Calls that start before this second are left out of the figures."
    )
    traffic: tuple[Traffic, ...] = Field(default=(), description="Who calls whom.")
    media: Literal["none", "streams", "packets"] | None = Field(
        default=None,
        description="Who hears whom (simulation only). none: it is not looked at; streams: media are counted in "
        "stretches; packets: one by one, for short calls. Default: streams where an edge has a relay.",
    )
    faults: tuple[Fault, ...] = Field(default=(), description="What goes wrong, and when.")
