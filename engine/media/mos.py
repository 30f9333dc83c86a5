"""Speech quality by the E-model (ITU-T G.107, 06/2015): delay, loss and codec to a rating R, and that to a MOS.

Only what a relay can measure is varied; every other parameter has the default of G.107 Table 2, with which R is
93.2 and the MOS 4.41.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log10
from types import MappingProxyType
from typing import Final, NamedTuple

_R_DEFAULT: Final = (
    93.2  # Ro - Is of G.107 with the defaults of Table 2, and neither delay nor equipment impairment
)


class Impairment(NamedTuple):
    """How much a codec takes from R: ``ie`` without loss, ``bpl`` is its robustness against it (ITU-T G.113)."""

    ie: float
    bpl: float


# G.113 (11/2007) Appendix I: G.711 has Ie 0 and, with the concealment of its own Appendix I, Bpl 25.1; G.729A has
# Ie 11, Bpl 19; GSM FR has Ie 20, Bpl 43. G.722 and Opus are wide-band codecs, which the narrow-band model of
# G.107 does not rate: they are taken as not worse than G.711.
_G711: Final = Impairment(0.0, 25.1)
IMPAIRMENTS: Final[Mapping[bytes, Impairment]] = MappingProxyType(
    {
        b"pcmu": _G711,
        b"pcma": _G711,
        b"g722": _G711,
        b"opus": _G711,
        b"g729": Impairment(11.0, 19.0),
        b"gsm": Impairment(20.0, 43.0),
    }
)


def rating(
    delay_ms: float,
    loss: float,
    codec: bytes = b"pcmu",
    second_codec: bytes | None = None,
    burst_ratio: float = 1.0,
) -> float:
    """The rating R, 0 to 93.2.

    Parameters
    ----------
    delay_ms
        One way, mouth to ear, jitter buffer included.
    loss
        Share of packets lost, 0 to 1.
    codec, second_codec
        Names as in rtpmap, in lower case; the second where the call is transcoded. Unknown ones count as G.711.
    burst_ratio
        1 where losses are independent, above where they come in bursts (G.107 §7.3).
    """
    impairment = IMPAIRMENTS.get(codec, _G711)
    base = impairment.ie
    if second_codec is not None:  # impairments of codecs in tandem add up (G.113 §7)
        base += IMPAIRMENTS.get(second_codec, _G711).ie
    loss_percent = 100.0 * min(max(loss, 0.0), 1.0)
    # Ie-eff, G.107 (7-29)
    effective = base + (95.0 - base) * loss_percent / (loss_percent / max(burst_ratio, 1.0) + impairment.bpl)
    return min(max(_R_DEFAULT - _delay_impairment(max(delay_ms, 0.0)) - effective, 0.0), _R_DEFAULT)


def mos(r: float) -> float:
    """The mean opinion score that R stands for, 1 to 4.5 (G.107 Annex B, B-4)."""
    if r <= 0.0:
        return 1.0
    if r >= 100.0:
        return 4.5
    # Below R = 6.5 the polynomial goes under 1, the worst that anyone can say.
    return max(1.0, 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6)


def _delay_impairment(delay_ms: float) -> float:
    """Idd, the impairment by delay without echo (G.107 (7-27), (7-28)), with sT = 1 and mT = 100 ms."""
    if delay_ms <= 100.0:
        return 0.0
    x = log10(delay_ms / 100.0) / log10(2.0)
    return float(25.0 * ((1.0 + x**6) ** (1 / 6) - 3.0 * (1.0 + (x / 3.0) ** 6) ** (1 / 6) + 2.0))
