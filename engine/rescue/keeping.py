"""Rescued conversations in the store: after a restart a BYE still ends both sides.

Their media are lost with the process that relayed them, so that nothing can be offered any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.boundary import RescueRecord
from engine.media.offer_answer import Side
from engine.media.relay import Answered, JoinedMedia, RelayedMedia
from engine.records import Records
from engine.rescue.halves import read_half, write_half
from engine.rescue.node_side import NodeSide
from engine.rescue.stand_in import StandIn
from engine.sip.errors import SipError


class LostMedia:
    """The media of a conversation whose relay is gone."""

    def __init__(self) -> None:
        self.changed: Callable[[Side, float], None] = lambda side, now: None

    def answer(self, side: Side, offer: bytes, then: Answered, now: float) -> None:
        then(SipError("its media were lost with the edge", 488), now)

    def offer(self, side: Side, now: float) -> bytes:
        raise SipError("its media were lost with the edge", 488)

    def answered(self, side: Side, answer: bytes, now: float) -> None:
        raise SipError("its media were lost with the edge", 488)

    def told(self, side: Side) -> bytes:
        return b""

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> JoinedMedia:
        raise SipError("its media were lost with the edge", 488)

    def release(self, now: float) -> None:
        """There is nothing to give back."""


class Keeping:
    """Writes conversations into the store, if there is one, and reads them again."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def keep(self, one: StandIn, other: StandIn, began_at: float) -> None:
        """A conversation goes on without its node since that time, or on other terms than were written then.

        Agents may change them at any rate; of what comes quickly the queue before the store writes the newest.
        """
        records = self._records
        if not records.kept:
            return
        pair, wall_began_at = b"\0".join(one.side.key), began_at + records.wall_offset_s
        for side in (one.side, other.side):
            half = write_half(side, records.wall_offset_s)
            records.save(RescueRecord(records.edge, *side.key, pair, half, wall_began_at), "rescues")

    def drop(self, one: StandIn, other: StandIn) -> None:
        """It is over."""
        for stand_in in (one, other):
            self._records.drop("rescues", b"\0".join(stand_in.side.key))

    def read(self, records: Iterable[RescueRecord], now: float) -> list[tuple[NodeSide, NodeSide]]:
        """The conversations of an earlier life, who is "caller" in each first; what is not whole is forgotten."""
        halves: dict[bytes, list[NodeSide]] = {}
        for record in records:
            try:
                side = read_half((record.call_id, record.callee_tag), record.half, self._records.wall_offset_s)
            except ValueError:
                self._records.drop("rescues", record.at.name)
                continue
            if side.interval is not None:
                side.interval = side.interval.known_at(now)
            halves.setdefault(record.pair, []).append(side)
        found: list[tuple[NodeSide, NodeSide]] = []
        for pair, sides in halves.items():
            sides.sort(key=lambda side: b"\0".join(side.key) != pair)
            if len(sides) == 2:
                found.append((sides[0], sides[1]))
            else:
                for side in sides:
                    self._records.drop("rescues", b"\0".join(side.key))
        return found
