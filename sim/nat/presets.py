"""Kinds of NAT by name, and where their figures come from.

The first four have the names of RFC 3489 §5, which say something about mapping and filtering only; the rest of
them is RFC 4787's and RFC 5382's. A preset of several stages is several NATs in a row, the innermost first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Final, TypeAlias

from sim.nat.settings import NatSettings

Quantiles: TypeAlias = tuple[tuple[float, float], ...]
"""Shares from 0 to 1 and the values there, in seconds; linear in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOuts:
    """How time-outs are spread over devices; the fields are those of `NatSettings`."""

    unreplied_s: Quantiles
    replied_s: Quantiles
    tcp_established_s: Quantiles

    def draw(self, settings: NatSettings, rng: Random) -> NatSettings:
        """One device's. One share for all: a device that is hasty in one thing is so in the others."""
        share = rng.random()
        return replace(
            settings,
            unreplied_s=_quantile(self.unreplied_s, share),
            replied_s=_quantile(self.replied_s, share),
            tcp_established_s=_quantile(self.tcp_established_s, share),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """NATs in a row, innermost first; where ``spread`` is given, each device draws the innermost's time-outs."""

    stages: tuple[NatSettings, ...]
    source: str
    spread: TimeOuts | None = None

    def devices(self, rng: Random) -> tuple[NatSettings, ...]:
        """The settings of one customer's devices."""
        if self.spread is None:
            return self.stages
        inner, *rest = self.stages
        return (self.spread.draw(inner, rng), *rest)


def _quantile(points: Quantiles, share: float) -> float:
    index = min(bisect_right(points, (share, float("inf"))), len(points) - 1)
    (below, low), (above, high) = points[index - 1], points[index]
    return float(round(low + (high - low) * (share - below) / (above - below)))


_HOME: Final = NatSettings(
    filtering="address_and_port_dependent",
    hairpinning=False,
    timer="session",
    unreplied_s=90.0,
    replied_s=180.0,
    tcp_established_s=3600.0,
)

# Hätönen et al., "An Experimental Study of Home Gateway Characteristics", IMC 2010, 34 devices: after a single
# packet the shortest time-out is 30 s and nearly all are below RFC 4787's 120 s (UDP-1); with traffic both ways
# the median is 180 s (UDP-3); TCP goes from 4 min to beyond a day with a median of an hour (TCP-1), where the
# tests ended. The ends are the study's; the quantiles between ends and medians are drawn as straight lines.
_HOME_TIME_OUTS: Final = TimeOuts(
    unreplied_s=((0.0, 30.0), (0.2, 30.0), (0.5, 90.0), (0.9, 120.0), (1.0, 600.0)),
    replied_s=((0.0, 30.0), (0.1, 60.0), (0.5, 180.0), (0.9, 300.0), (1.0, 600.0)),
    tcp_established_s=((0.0, 239.0), (0.25, 900.0), (0.5, 3600.0), (0.8, 7440.0), (1.0, 86_400.0)),
)

LINUX: Final = NatSettings(
    filtering="address_and_port_dependent",
    overloading=True,
    parity=False,
    hairpinning=False,
    timer="session",
    unreplied_s=30.0,
    replied_s=120.0,
    stream_after_s=2.0,
    tcp_established_s=432_000.0,
    tcp_transitory_s=120.0,
    tcp_unknown="adopt",
    max_sessions=262_144,
)

PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "full_cone": Preset(
            stages=(NatSettings(),),
            source="RFC 3489 §5; RFC 4787 with all that it requires and recommends",
        ),
        "restricted": Preset(
            stages=(NatSettings(filtering="address_dependent"),),
            source="RFC 3489 §5; RFC 4787 REQ-8, the stringent choice",
        ),
        "port_restricted": Preset(
            stages=(NatSettings(filtering="address_and_port_dependent"),),
            source="RFC 3489 §5",
        ),
        "symmetric": Preset(
            stages=(
                NatSettings(
                    mapping="address_and_port_dependent",
                    filtering="address_and_port_dependent",
                    preserve_port=False,
                    parity=False,
                    hairpinning=False,
                    timer="session",
                    unreplied_s=120.0,
                    replied_s=120.0,
                ),
            ),
            source="RFC 3489 §5; RFC 4787 REQ-5's least time-out",
        ),
        "linux_masquerade": Preset(
            stages=(LINUX,),
            source="Linux 6, nf_conntrack's and nf_nat's defaults; the tests compare it with the kernel",
        ),
        "carrier_grade": Preset(
            stages=(
                _HOME,
                NatSettings(filtering="address_and_port_dependent", pooling="paired", preserve_port=False),
            ),
            source="RFC 6888: a home gateway behind an RFC 4787 NAT; REQ-1, REQ-2 (paired); no ports preserved, "
            "for thousands of customers share each address",
        ),
        "home_gateway": Preset(
            stages=(_HOME,),
            source="Hätönen et al., IMC 2010, 34 devices; its ends and medians, straight lines between them",
            spread=_HOME_TIME_OUTS,
        ),
    }
)
