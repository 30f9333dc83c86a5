"""The thread that transcodes, so that codecs delay neither signalling nor packets that pass as they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from importlib.util import find_spec
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Final, NamedTuple

from engine.live.relay.forwarder import Forwarder, Hop, Kind, Queue
from engine.media.codecs import PayloadRule
from engine.media.packets import packet_kind

if TYPE_CHECKING:
    from engine.live.relay.transcoding import TranscodedStream

_LONGEST_WAIT_S: Final = 60.0
_GATHER_S: Final = 0.002  # packets that come meanwhile share a wake-up; of their 20 ms it is a tenth


def can_transcode() -> bool:
    """Whether FFmpeg is here, by the extra ``transcode``."""
    return find_spec("av") is not None


class Detour(NamedTuple):
    """What becomes of one port's packets. ``stream`` is the number that both ports of a pair have in common."""

    stream: int
    rules: Mapping[int, PayloadRule]
    rtp: Hop | None
    rtcp: Hop | None


class CodecThread:
    """All streams of a plane that take codecs, by the numbers of their ports."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._orders: deque[tuple[int, Detour | None]] = deque()
        self._detours: dict[int, Detour] = {}
        self._streams: dict[int, TranscodedStream] = {}
        self._stopped = False
        self.faults = 0  # packets that codecs stumbled over
        self._thread = Thread(target=self._run, name="siptwin-codecs", daemon=True)
        self._thread.start()

    def set(self, number: int, detour: Detour | None) -> None:
        """From now on a port's packets go so; None: they don't come here any more."""
        self._orders.append((number, detour))
        self._forwarder.wake(Queue.CODECS)

    def stop(self) -> None:
        self._stopped = True
        self._forwarder.wake(Queue.CODECS)
        self._thread.join()

    # --- the thread ---

    def _run(self) -> None:
        while not self._stopped:
            packets = self._forwarder.wait(Queue.CODECS, _LONGEST_WAIT_S)
            while self._orders:
                self._obey(*self._orders.popleft())
            for number, _, data, _ in packets:
                detour = self._detours.get(number)
                if detour is not None:
                    try:
                        self._pass_on(detour, data)
                    except Exception:  # whatever FFmpeg makes of a packet: the other streams go on
                        self.faults += 1
            if packets:
                sleep(_GATHER_S)

    def _obey(self, number: int, detour: Detour | None) -> None:
        from engine.live.relay.transcoding import TranscodedStream

        before = self._detours.pop(number, None)
        if detour is not None:
            self._detours[number] = detour
            stream = self._streams.get(detour.stream)
            if stream is None:
                self._streams[detour.stream] = TranscodedStream(detour.rules)
            else:
                stream.change(detour.rules)
        elif before is not None and all(other.stream != before.stream for other in self._detours.values()):
            del self._streams[before.stream]

    def _pass_on(self, detour: Detour, data: bytes) -> None:
        stream = self._streams[detour.stream]
        if packet_kind(data) == "rtcp":
            if detour.rtcp is not None:
                self._forwarder.send(detour.rtcp.number, detour.rtcp.target, stream.rtcp(data), Kind.RTCP)
        elif detour.rtp is not None:
            for packet in stream.rtp(data):
                self._forwarder.send(detour.rtp.number, detour.rtp.target, packet, Kind.RTP)
