"""Each speaker a tone: what an agent says goes through any node and any codec, and is known again by its pitch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from engine.live.relay.codecs import can_transcode
from lab.rehearsal.speech import SOUND, Voice

if TYPE_CHECKING:
    from engine.live.relay.chain import Chain

Samples = npt.NDArray[np.float64]

_RATE_HZ: Final = 8_000
_PACKET: Final = 160  # samples of 20 ms
_FIRST_HZ, _STEP_HZ, _PITCHES = 700.0, 150.0, 17  # in the band of a telephone, each some bins from the next
_OTHERS_HZ: Final = 440.0  # of those who have no pitch of their own
_NEAR_HZ: Final = 75.0
_BEAT_HZ: Final = 5.0  # a steady tone is taken for noise by whoever suppresses silence
_MOSTLY: Final = 0.5  # so much of what is heard is one tone, or it is some other sound
_SILENCE: Final = 1e-3  # of full scale
_PACKET_MS: Final = 20
_BASE: Final = b"pcmu"  # what other codecs are made from, and taken back to
_STATIC: Final[Mapping[int, str]] = {0: "pcmu", 8: "pcma", 9: "g722"}  # RFC 3551 Table 4

PLAIN: Final = frozenset((b"pcmu", b"pcma"))
"""The codecs that take nothing but arithmetic."""


def producible() -> frozenset[bytes]:
    """The codecs in which tones can be said here."""
    return PLAIN | {b"g722", b"opus"} if can_transcode() else PLAIN


class Tones:
    """A pitch for each of these speakers, in turn: beyond seventeen the first ones come again."""

    def __init__(self, speakers: Sequence[str]) -> None:
        self._hz = {name: _FIRST_HZ + _STEP_HZ * (index % _PITCHES) for index, name in enumerate(speakers)}
        self._by_pitch: dict[float, str] = {}
        for name, hz in self._hz.items():
            self._by_pitch.setdefault(hz, name)

    def voice(self, codec: str, payload_type: int) -> Voice:
        return _Voice(self, codec, payload_type)

    def samples(self, name: str, number: int) -> Samples:
        """One packet's, between -1 and 1."""
        t = (number * _PACKET + np.arange(_PACKET)) / _RATE_HZ
        loudness = 0.3 + 0.2 * np.sin(2 * np.pi * _BEAT_HZ * t)
        return np.asarray(loudness * np.sin(2 * np.pi * self._hz.get(name, _OTHERS_HZ) * t))

    def recognise(self, samples: Samples) -> str:
        """Whose tone this is; empty for silence."""
        if not len(samples) or float(np.sqrt(np.mean(samples**2))) < _SILENCE:
            return ""
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        at = np.fft.rfftfreq(len(samples), 1 / _RATE_HZ)
        everything = float(power[at > 100].sum())
        for hz, name in self._by_pitch.items():
            if float(power[np.abs(at - hz) < _NEAR_HZ].sum()) > _MOSTLY * everything:
                return name
        return SOUND


class _Voice:
    """Codecs have a state, so each agent has its own."""

    def __init__(self, tones: Tones, codec: str, payload_type: int) -> None:
        self._tones = tones
        self._codec = codec
        self._payload_type = payload_type
        self._encoder: Chain | None = None
        self._decoders: dict[str, Chain] = {}

    def say(self, name: str, number: int) -> list[bytes]:
        samples = self._tones.samples(name, number)
        if self._codec in _G711:
            return [_G711[self._codec][0](samples)]
        if self._encoder is None:
            self._encoder = _chain(_BASE, self._codec.encode())
        return self._encoder.pass_on(_to_pcmu(samples))[1]

    def recognise(self, payload_type: int, payload: bytes) -> str:
        codec = self._codec if payload_type == self._payload_type else _STATIC.get(payload_type)
        if codec is None:
            return ""  # digits, comfort noise
        if codec not in _G711:
            if codec not in self._decoders:
                self._decoders[codec] = _chain(codec.encode(), _BASE)
            payload, codec = b"".join(self._decoders[codec].pass_on(payload)[1]), _BASE.decode()
        return self._tones.recognise(_G711[codec][1](payload))


def _chain(decode: bytes, encode: bytes) -> Chain:
    from engine.live.relay.chain import Chain  # FFmpeg, where it is

    return Chain(decode, encode, _PACKET_MS)


# --- G.711 ----------------------------------------------------------------------------------------------------

_BIAS, _CLIP = 0x84, 32_635


def _to_pcmu(samples: Samples) -> bytes:
    value = np.round(samples * 32_767).astype(np.int64)
    sign = np.where(value < 0, 0x80, 0)
    value = np.minimum(np.abs(value), _CLIP) + _BIAS
    exponent = np.floor(np.log2(value)).astype(np.int64) - 7
    return _octets(~(sign | (exponent << 4) | ((value >> (exponent + 3)) & 0x0F)))


def _from_pcmu(payload: bytes) -> Samples:
    value = ~np.frombuffer(payload, np.uint8).astype(np.int64) & 0xFF
    exponent, mantissa = (value >> 4) & 7, value & 0x0F
    return _signed((((mantissa << 3) + _BIAS) << exponent) - _BIAS, value & 0x80)


def _to_pcma(samples: Samples) -> bytes:
    value = np.round(samples * 32_767).astype(np.int64)
    sign = np.where(value < 0, 0, 0x80)
    value = np.minimum(np.abs(value), 32_767)
    exponent = np.maximum(np.floor(np.log2(np.maximum(value, 1))).astype(np.int64) - 7, 0)
    return _octets((sign | (exponent << 4) | ((value >> (np.maximum(exponent, 1) + 3)) & 0x0F)) ^ 0x55)


def _from_pcma(payload: bytes) -> Samples:
    value = np.frombuffer(payload, np.uint8).astype(np.int64) ^ 0x55
    exponent, mantissa = (value >> 4) & 7, value & 0x0F
    step = (mantissa << 4) + 8 + np.where(exponent, 0x100, 0)
    return _signed(step << np.maximum(exponent - 1, 0), ~value & 0x80)


def _octets(value: npt.NDArray[np.int64]) -> bytes:
    return bytes((value & 0xFF).astype(np.uint8).tobytes())


def _signed(size: npt.NDArray[np.int64], negative: npt.NDArray[np.int64]) -> Samples:
    return np.asarray(np.where(negative, -size, size) / 32_768)


_G711: Final[Mapping[str, tuple[Callable[[Samples], bytes], Callable[[bytes], Samples]]]] = {
    "pcmu": (_to_pcmu, _from_pcmu),
    "pcma": (_to_pcma, _from_pcma),
}
