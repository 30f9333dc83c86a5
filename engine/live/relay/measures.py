"""What is measured of one port: loss and jitter of RTP (RFC 3550 §6.4.1, A.8), round trips from RTCP."""

from __future__ import annotations

from collections import deque
from typing import Final

_MOST_AHEAD: Final = 3_000  # RFC 3550 A.1: further is a new beginning, not a gap
_MOST_BEHIND: Final = 100
_REPORTS_KEPT: Final = 4  # sender reports that a peer may still answer


class Reception:
    """One port's incoming RTP; a new SSRC begins a new row of sequence numbers."""

    __slots__ = ("_arrival", "_highest", "_jitter_s", "_marked", "_ssrc", "_stamp", "lost", "octets", "packets")

    def __init__(self) -> None:
        self.packets = 0
        self.octets = 0
        self.lost = 0
        self._ssrc = -1
        self._highest = 0
        self._stamp = 0
        self._arrival = 0.0
        self._jitter_s = 0.0
        self._marked = False

    def came(self, data: bytes, clock_hz: int, now: float) -> bool:
        """A believed packet came; clock 0: not known, so no jitter.

        Returns whether its marker means nothing, for the packet just before it bore one as well: no two talkspurts
        begin in a row. Such a stream has a marker on every packet, and FreeSWITCH would drop its sound.
        """
        self.packets += 1
        self.octets += len(data)
        sequence = int.from_bytes(data[2:4])
        stamp = int.from_bytes(data[4:8])
        ssrc = int.from_bytes(data[8:12])
        marker = data[1] >= 0x80
        ahead = (sequence - self._highest) & 0xFFFF
        same = ssrc == self._ssrc
        if same and -ahead & 0xFFFF <= _MOST_BEHIND:
            self.lost -= 1  # a late one, that was counted as lost, or one that came twice
            return False
        repeated = same and ahead == 1 and marker and self._marked
        if same and ahead < _MOST_AHEAD:
            self.lost += ahead - 1
            if clock_hz:
                units = (stamp - self._stamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
                apart_s = abs(now - self._arrival - units / clock_hz)
                self._jitter_s += (apart_s - self._jitter_s) / 16.0
        self._ssrc, self._highest, self._stamp, self._arrival = ssrc, sequence, stamp, now
        self._marked = marker
        return repeated

    @property
    def jitter_ms(self) -> float:
        return self._jitter_s * 1_000.0

    def restart(self) -> None:
        """The counts were taken; sequence and jitter go on."""
        self.packets = self.octets = self.lost = 0


class RoundTrips:
    """The way to one peer and back: a sender report went to it, and its own report names that (§6.4.1)."""

    __slots__ = ("_sent", "latest_ms")

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque(maxlen=_REPORTS_KEPT)
        self.latest_ms: float | None = None

    def sent(self, compound: bytes, now: float) -> None:
        """RTCP left for the peer."""
        if len(compound) >= 28 and compound[1] == 200:
            self._sent.append((int.from_bytes(compound[10:14]), now))

    def came(self, compound: bytes, now: float) -> None:
        """RTCP came from the peer."""
        at = 0
        while at + 8 <= len(compound):
            kind = compound[at + 1]
            end = at + 4 + 4 * int.from_bytes(compound[at + 2 : at + 4])
            if kind in (200, 201):
                block = at + (28 if kind == 200 else 8)
                for _ in range(compound[at] & 0x1F):
                    if block + 24 > min(end, len(compound)):
                        break
                    self._answered(compound[block + 16 : block + 20], compound[block + 20 : block + 24], now)
                    block += 24
            at = end

    def _answered(self, report: bytes, delay: bytes, now: float) -> None:
        name = int.from_bytes(report)
        for known, at in self._sent:
            if name and known == name:
                took_s = now - at - int.from_bytes(delay) / 65_536.0
                if took_s >= 0.0:
                    self.latest_ms = took_s * 1_000.0
