"""What a voice stream takes on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lab.errors import InputError
from topologies.errors import did_you_mean

RTP_BYTES: Final = 12  # RFC 3550 §5.1, without contributing sources
UDP_BYTES: Final = 8
IP_BYTES: Final[Mapping[int, int]] = MappingProxyType({4: 20, 6: 40})
SRTP_TAG_BYTES: Final = 10  # RFC 3711 §5.2: HMAC-SHA1-80
ETHERNET_BYTES: Final = 38  # header 14, check sequence 4, preamble 8, gap between frames 12 (IEEE 802.3)


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec: its name in SDP, its payload rate, and the length of a frame, of which packets are made."""

    name: str
    kbit_per_s: float
    frame_ms: float


CODECS: Final[Mapping[str, Codec]] = MappingProxyType(
    {
        each.name.casefold(): each
        for each in (
            Codec("PCMA", 64.0, 0.125),  # RFC 3551 §4.5.14
            Codec("PCMU", 64.0, 0.125),
            Codec("G722", 64.0, 0.125),  # RFC 3551 §4.5.2
            Codec("G729", 8.0, 10.0),  # RFC 3551 §4.5.6
            Codec("GSM", 13.2, 20.0),  # RFC 3551 §4.5.8: 33 octets each 20 ms
            Codec("iLBC", 15.2, 20.0),  # RFC 3952 §2: 38 octets each 20 ms
            Codec("opus", 32.0, 2.5),  # RFC 6716 §2.1.1: 28-40 kbit/s for full-band speech
        )
    }
)
_ALIASES: Final = {"g711": "pcma", "g.711": "pcma", "g.729": "g729", "g.722": "g722"}


def codec(name: str) -> Codec:
    """A codec by its name in SDP, or ``g711``.

    Raises
    ------
    InputError
        If it is not known.
    """
    folded = _ALIASES.get(name.casefold(), name.casefold())
    if folded not in CODECS:
        known = [each.name for each in CODECS.values()]
        raise InputError(f"unknown codec {name!r} - {did_you_mean(name, known)}")
    return CODECS[folded]


def stream_kbit_per_s(
    of: str | Codec, packet_ms: float = 20.0, *, ip: int = 4, srtp: bool = False, ethernet: bool = False
) -> float:
    """Rate of one RTP stream in one direction, headers included, in kbit/s of IP.

    Parameters
    ----------
    of : str or Codec
        The codec.
    packet_ms : float
        Speech in a packet (``ptime`` in SDP): a multiple of the codec's frame.
    ip : {4, 6}
        Version of IP.
    srtp : bool
        Whether packets carry an authentication tag.
    ethernet : bool
        Count what a frame takes on the cable, not the IP packet alone.

    Raises
    ------
    InputError
        If the codec is not known, or cannot make such packets.

    Examples
    --------
    >>> stream_kbit_per_s("PCMA"), stream_kbit_per_s("G729")
    (80.0, 24.0)
    """
    used = codec(of) if isinstance(of, str) else of
    frames = packet_ms / used.frame_ms
    if packet_ms <= 0 or abs(frames - round(frames)) > 1e-9:
        raise InputError(
            f"{used.name} has frames of {used.frame_ms:g} ms, so no packets of {packet_ms:g} ms - "
            f"take a multiple, such as {max(20.0, used.frame_ms):g}"
        )
    headers = RTP_BYTES + UDP_BYTES + IP_BYTES[ip]
    headers += (SRTP_TAG_BYTES if srtp else 0) + (ETHERNET_BYTES if ethernet else 0)
    return used.kbit_per_s + headers * 8 / packet_ms
