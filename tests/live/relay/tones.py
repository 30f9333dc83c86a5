"""A tone, spoken and heard in any codec. Its loudness swings, for voice detection passes over a steady one."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

# FFmpeg's name, sampling rate.
CODERS = {
    b"pcmu": ("pcm_mulaw", 8_000),
    b"pcma": ("pcm_alaw", 8_000),
    b"g722": ("g722", 16_000),
    b"opus": ("libopus", 48_000),
}


def spoken(codec: bytes, tone_hz: float, seconds: float, packet_ms: int = 20) -> list[bytes]:
    """The payloads of a tone."""
    name, rate_hz = CODERS[codec]
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    loudness = 6_000.0 * (1.0 + 0.6 * np.sin(2.0 * np.pi * 3.0 * times))
    samples = (loudness * np.sin(2.0 * np.pi * tone_hz * times)).astype(np.int16)
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate_hz, "mono", "s16"
    if codec == b"opus":
        encoder.options = {"frame_duration": str(packet_ms)}
    step = rate_hz * packet_ms // 1_000
    payloads = []
    for begin in range(0, len(samples) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + step], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, begin
        payloads += [bytes(packet) for packet in encoder.encode(frame)]
    return payloads


def heard_hz(codec: bytes, payloads: Iterable[bytes]) -> float:
    """The loudest frequency of what is heard; 0.0: silence."""
    name, rate_hz = CODERS[codec]
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate, decoder.layout = rate_hz, "mono"
    frames = [frame for payload in payloads for frame in decoder.decode(av.Packet(payload))]
    samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(float)
    if np.abs(samples).max() < 100.0:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate_hz / len(samples)
