"""The streams of one call: their packets, their time, and their end."""

from __future__ import annotations

from collections.abc import Iterator

from engine.boundary import NEVER
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import Side
from engine.media.rules import MediaEffect, MediaPacket
from engine.media.stream import Stream


class CallStreams:
    """``release`` must be called at the end, whatever came before."""

    __slots__ = ("_streams", "call_id")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self._streams: dict[int, Stream] = {}  # by the place of the m= line

    def packet(self, event: MediaPacket, now: float) -> tuple[list[MediaEffect], str]:
        """A packet came that no rule covers: the effects, and why it was not believed ("" where it was)."""
        for stream in self._streams.values():
            for side, end in stream.ends.items():
                if event.port in (end.port, end.port._replace(number=end.port.number + 1)):
                    reply, refused = end.packet(event, stream.payload_types(side), now)
                    effects: list[MediaEffect] = [] if reply is None else [reply]
                    if not refused and stream.offerer is not None:
                        effects += stream.effects(self.call_id)
                    return effects, refused
        return [], "port of no stream"

    def ends(self) -> Iterator[tuple[Side, Stream, Endpoint]]:
        """Our ends of all streams."""
        for stream in self._streams.values():
            for side, end in stream.ends.items():
                yield side, stream, end

    def tick(self, now: float) -> list[MediaEffect]:
        """The deadline came."""
        effects: list[MediaEffect] = []
        for stream in self._streams.values():
            locked = [end.tick(now) for end in stream.ends.values()]
            if any(locked):
                effects += stream.effects(self.call_id)
        return effects

    def deadline(self) -> float:
        """When a source that was learnt is to be decided on."""
        return min(
            (end.deadline() for stream in self._streams.values() for end in stream.ends.values()), default=NEVER
        )

    def release(self, now: float) -> list[MediaEffect]:
        """The call is over, or never came to be: its ports rest."""
        effects: list[MediaEffect] = []
        for stream in self._streams.values():
            effects += stream.release(now)
        self._streams.clear()
        return effects
