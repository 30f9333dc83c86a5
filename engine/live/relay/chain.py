"""From one codec to another: decode, resample, gather into packets, encode. By FFmpeg, through PyAV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import av
from av.audio.codeccontext import AudioCodecContext

# FFmpeg's names.
_CODERS: Final[Mapping[bytes, str]] = {
    b"pcmu": "pcm_mulaw",
    b"pcma": "pcm_alaw",
    b"g722": "g722",
    b"opus": "libopus",
}
_DECODED_HZ: Final[Mapping[bytes, int]] = {b"pcmu": 8_000, b"pcma": 8_000, b"g722": 16_000, b"opus": 48_000}


# RFC 7587 §3.1.1 has 28 to 40 kbit/s for speech of full band. Half the search takes a fifth less time.
_OPUS: Final[Mapping[str, str]] = {
    "application": "voip",
    "b": "32000",
    "compression_level": "5",
    "packet_loss": "5",
}
# Opus has frames of these lengths alone (RFC 6716 §2.1.4), beyond those that nobody sends.
_OPUS_MS: Final = (60, 40, 20, 10)


def _encoded_hz(decode: bytes, encode: bytes) -> int:
    """Opus is fed at the rate of its source: what isn't there need not be coded."""
    return _DECODED_HZ[decode] if encode == b"opus" else _DECODED_HZ[encode]


class Chain:
    """One way of one stream. Its state goes on from packet to packet, but over a gap."""

    __slots__ = (
        "_decoder",
        "_encoder",
        "_fifo",
        "_frame_samples",
        "_rate_hz",
        "_resampler",
        "_written",
        "packet_s",
    )

    def __init__(self, decode: bytes, encode: bytes, packet_ms: int) -> None:
        if encode == b"opus":
            packet_ms = next((length_ms for length_ms in _OPUS_MS if length_ms <= packet_ms), _OPUS_MS[-1])
        self._rate_hz = _encoded_hz(decode, encode)
        self._frame_samples = self._rate_hz * packet_ms // 1_000
        self.packet_s = packet_ms / 1_000.0  # of what comes out
        self._decoder = _context(_CODERS[decode], "r", _DECODED_HZ[decode])
        self._encoder = _context(_CODERS[encode], "w", self._rate_hz)
        self._encoder.format = "s16"
        if encode == b"opus":
            self._encoder.options = {**_OPUS, "frame_duration": str(packet_ms)}
        self._resampler = av.AudioResampler("s16", "mono", self._rate_hz)
        self._fifo = av.AudioFifo()
        self._written = 0

    def restart(self) -> None:
        """What follows does not belong to what came: forget what makes no whole packet."""
        self._resampler = av.AudioResampler("s16", "mono", self._rate_hz)
        self._fifo = av.AudioFifo()
        self._written = 0

    def pass_on(self, payload: bytes) -> tuple[float, list[bytes]]:
        """A payload came: how many seconds it lasts (0: it can't be decoded), and the payloads that are full."""
        if not payload:
            return 0.0, []  # FFmpeg would take it for the end
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError:
            return 0.0, []
        lasts_s = 0.0
        for frame in frames:
            lasts_s += frame.samples / frame.sample_rate
            for resampled in self._resampler.resample(frame):
                self._write(resampled, frame.samples / frame.sample_rate)
        payloads: list[bytes] = []
        while (full := self._fifo.read(self._frame_samples)) is not None:
            payloads += [bytes(packet) for packet in self._encoder.encode(full)]
        return lasts_s, payloads

    def _write(self, frame: av.AudioFrame, lasts_s: float) -> None:
        missing = round(lasts_s * self._rate_hz) - frame.samples
        if self._written == 0 and missing > 0:
            # A resampler keeps some samples back at first. Without silence in their place each packet would have
            # to wait for the next.
            self._add(_silence(missing, self._rate_hz))
        self._add(frame)

    def _add(self, frame: av.AudioFrame) -> None:
        frame.pts = self._written
        self._written += frame.samples
        self._fifo.write(frame)


def _context(name: str, mode: Literal["r", "w"], rate_hz: int) -> AudioCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = rate_hz
    context.layout = "mono"
    return context


def _silence(samples: int, rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame("s16", "mono", samples)
    frame.sample_rate = rate_hz
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    return frame
