"""Tones that are known again: made, put into G.711 packets, and found in what was heard.

A tone's loudness goes up and down five times a second, for a browser that may send comfort noise takes a steady
sine for noise, and sends none of it.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE_HZ = 8_000
PACKET = 160  # samples of 20 ms
_BEATS_HZ = 5.0
_NEAR_HZ = 30.0
_BIAS, _CLIP = 0x84, 32_635

Samples = npt.NDArray[np.float64]


def tone(hz: float, seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    """Samples between -1 and 1."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    loudness = 0.3 + 0.25 * np.sin(2 * np.pi * _BEATS_HZ * t)
    return np.asarray(loudness * np.sin(2 * np.pi * hz * t))


def share(samples: Samples, hz: float, rate_hz: int = RATE_HZ) -> float:
    """Which part of what was heard is the tone: 0 where nothing was."""
    if len(samples) < rate_hz // 5:
        return 0.0
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    at = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    everything = float(power[(at > 100) & (at < 3_900)].sum())
    if everything < 1e-6 * len(samples):
        return 0.0
    return float(power[np.abs(at - hz) < _NEAR_HZ].sum()) / everything


def to_pcmu(samples: Samples) -> bytes:
    """G.711 µ-law."""
    value = np.round(samples * 32_767).astype(np.int64)
    sign = np.where(value < 0, 0x80, 0)
    value = np.minimum(np.abs(value), _CLIP) + _BIAS
    exponent = np.floor(np.log2(value)).astype(np.int64) - 7
    mantissa = (value >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes())


def from_pcmu(payload: bytes) -> Samples:
    """Samples between -1 and 1."""
    value = ~np.frombuffer(payload, np.uint8).astype(np.int64) & 0xFF
    exponent, mantissa = (value >> 4) & 7, value & 0x0F
    size = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.asarray(np.where(value & 0x80, -size, size) / 32_768)


def write_wav(path: Path, samples: Samples, rate_hz: int = RATE_HZ) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())


def read_wav(path: Path) -> tuple[Samples, int]:
    """The samples of a file that may still be written, and their rate."""
    data = path.read_bytes()
    start = data.find(b"data") + 8
    if start < 8 or len(data) < 28:
        return np.zeros(0), RATE_HZ
    rate_hz = int.from_bytes(data[24:28], "little")
    pcm = data[start : start + (len(data) - start) // 2 * 2]
    return np.frombuffer(pcm, "<i2") / 32_768, rate_hz
