"""A call's streams with time, and with what is to be told of them: who was found, silence, statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from engine.boundary import NEVER, Address, Effect
from engine.config import RelayConfig
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import OTHER, Side
from engine.media.quality import Quality
from engine.media.rules import (
    BindPorts,
    DtlsEnded,
    MediaEffect,
    MediaPacket,
    MediaStats,
    Port,
    PortsFailed,
)
from engine.media.stream import Stream
from engine.media.streams import CallStreams
from engine.notes import MediaEnded, MediaFailed, MediaFound, MediaSilent, MediaTimedOut, OneWayAudio
from engine.timers import Timed, TimerQueue

_LAST_WORD_S: Final = 2.0
"""How long the last statistics of closed ports are waited for."""

Call = TypeVar("Call", bound=CallStreams)


class Ports(Protocol):
    """The relay, as its calls see it."""

    config: RelayConfig
    out: list[Effect]
    timers: TimerQueue

    def began(self, media: WatchedMedia[Any]) -> None: ...

    def ended(self, media: WatchedMedia[Any]) -> None: ...

    def emit(self, media: WatchedMedia[Any], effects: Sequence[MediaEffect]) -> list[Port]: ...

    def owns(self, media: WatchedMedia[Any], port: Port) -> None: ...

    def forget(self, port: Port) -> None: ...

    def refused(self, port: Port, why: str, now: float) -> None: ...

    def has_room(self) -> None: ...


class _Heard:
    """One side's speech, measured. ``wanted_at`` is since when it has somewhere to go; NEVER: it has not."""

    __slots__ = ("quality", "side", "stream", "wanted_at")

    def __init__(self, side: Side, stream: Stream, quality: Quality) -> None:
        self.side: Side = side
        self.stream = stream
        self.quality = quality
        self.wanted_at = NEVER

    def look(self, now: float) -> None:
        """What was agreed may have changed."""
        if not self.stream.should_send(self.side):
            self.wanted_at = NEVER
        elif self.wanted_at == NEVER:
            self.wanted_at = now

    def silent_s(self, now: float) -> float | None:
        """How long it has been silent that should speak; None where it need not."""
        return None if self.wanted_at == NEVER else min(self.quality.silent_s, now - self.wanted_at)


class WatchedMedia(Timed, Generic[Call]):
    """The media of one call."""

    def __init__(self, relay: Ports, call_id: str) -> None:
        super().__init__()
        self._relay = relay
        self._call_id = call_id
        self._call: Call | None = None
        self._heard: dict[Port, _Heard] = {}  # by the even port of the side
        self._found: dict[Port, Address] = {}
        self._silent: set[Side] = set()
        self._one_way = False
        self._began_at = NEVER
        self._closing: set[Port] = set()  # pairs whose last statistics are owed
        self._over = False
        relay.began(self)

    def _take_over(self, before: Iterable[WatchedMedia[Any]], now: float) -> None:
        """Our ends were those of other calls: what was measured there goes on here."""
        if self._call is None:
            return
        for side, stream, end in self._call.ends():
            self._relay.owns(self, end.port)
            for other in before:
                heard = other._heard.pop(end.port, None)
                found = other._found.pop(end.port, None)
                if heard is not None:
                    self._heard[end.port] = _Heard(side, stream, heard.quality)
                if found is not None:
                    self._found[end.port] = found
        self._began_at = now

    def _end(self, now: float) -> None:
        self._over = True
        self._clear(now)

    # --- from the data plane

    def packet(self, event: MediaPacket, now: float) -> None:
        """A packet that no rule covers."""
        if self._call is None:
            return
        effects, refused = self._call.packet(event, now)
        if refused:
            self._relay.refused(event.port, refused, now)
        self._carry_out(effects, now)

    def measured(self, stats: MediaStats, now: float) -> None:
        """What came to a port."""
        heard = self._heard.get(stats.port)
        if heard is not None:
            heard.quality.measured(stats)
        if stats.port in self._closing:
            self._closing.discard(stats.port)
            self._relay.forget(stats.port)
            if not self._closing:
                self._tell_end(now)
        elif heard is not None and self._call is not None:
            self._listen(now)

    def failed(self, event: PortsFailed | DtlsEnded, now: float) -> None:
        """A pair could not be bound, or a hand-shake went wrong."""
        even = event.port._replace(number=event.port.number & ~1)
        side = next((each.side for port, each in self._heard.items() if port == even), "")
        what = "port" if isinstance(event, PortsFailed) else "DTLS"
        self._relay.out.append(MediaFailed(self._call_id, side, f"{what}: {event.reason}"))

    def fire(self, now: float) -> None:
        """A latch is to be decided on, or the last statistics have not come."""
        if self._call is not None:
            self._carry_out(self._call.tick(now), now)
        elif self._closing:
            for port in self._closing:
                self._relay.forget(port)
            self._closing.clear()
            self._tell_end(now)

    # --- what follows

    def _carry_out(self, effects: Sequence[MediaEffect], now: float) -> None:
        relay, call = self._relay, self._call
        if effects:
            closed = relay.emit(self, effects)
            if any(isinstance(effect, BindPorts) for effect in effects):
                relay.has_room()
            for port in closed:
                self._heard.pop(port, None)  # one stream of several has ended
                relay.forget(port)
        if call is None:
            return
        if effects:
            for side, stream, end in call.ends():
                self._look(side, stream, end, now)
        relay.timers.arm(self, call.deadline())

    def _look(self, side: Side, stream: Stream, end: Endpoint, now: float) -> None:
        """Note what is new about an end."""
        if stream.kind == b"audio":
            self._heard.setdefault(end.port, _Heard(side, stream, Quality())).look(now)
        if stream.offerer is None or end.remote is None:
            return
        if self._began_at == NEVER:
            self._began_at = now
        target = end.target(0)
        if target is not None and target in end.sources(0) and self._found.get(end.port) != target:
            self._found[end.port] = target
            told = end.remote.address
            self._relay.out.append(
                MediaFound(self._call_id, side, stream.kind.decode(), _text(target), _text(told) if told else "")
            )

    def _listen(self, now: float) -> None:
        """Look for silence, now that a side was measured."""
        relay, config = self._relay, self._relay.config
        silences = {heard.side: heard.silent_s(now) for heard in self._heard.values()}
        for side, silent_s in silences.items():
            if silent_s is not None and (silent_s >= config.silent_s) != (side in self._silent):
                (self._silent.discard if side in self._silent else self._silent.add)(side)
                relay.out.append(MediaSilent(self._call_id, side, silent_s, side in self._silent))
        if None in silences.values():
            self._one_way = False  # on hold nobody has to be heard
            return
        one_way = len(silences) == 2 and len(self._silent) == 1
        if one_way and not self._one_way:
            heard: Side = next(side for side in silences if side not in self._silent)
            relay.out.append(OneWayAudio(self._call_id, heard))
        self._one_way = one_way
        least_s = min(silent_s for silent_s in silences.values() if silent_s is not None)
        if config.timeout_s and least_s >= config.timeout_s:
            relay.out.append(MediaTimedOut(self._call_id, least_s))
            self._clear(now)

    def _clear(self, now: float) -> None:
        """Give the ports back, and wait for what the data plane has still to say of them."""
        relay, call = self._relay, self._call
        self._call = None
        closed = relay.emit(self, call.release(now) if call is not None else [])
        if self._began_at < NEVER:
            self._closing |= set(closed)
        else:  # nothing was agreed, so no packet was let through, and nothing is to be said of any
            for port in closed:
                relay.forget(port)
        if self._closing:
            relay.timers.arm(self, now + _LAST_WORD_S)
        else:
            self._tell_end(now)

    def _tell_end(self, now: float) -> None:
        relay = self._relay
        relay.timers.arm(self, NEVER)
        if self._began_at < NEVER:
            trips = {each.side: each.quality.round_trip_ms for each in self._heard.values()}
            for each in self._heard.values():
                side = each.side
                codec, second = each.stream.speech(side)
                heard = each.quality.heard(codec, second, (trips.get(OTHER[side]) or 0.0) / 2.0)
                relay.out.append(
                    MediaEnded(
                        self._call_id,
                        side,
                        codec.decode("ascii"),
                        now - self._began_at,
                        heard.packets,
                        heard.octets,
                        heard.lost,
                        heard.jitter_ms,
                        heard.round_trip_ms,
                        heard.mos,
                        heard.dropped,
                    )
                )
        self._heard.clear()
        self._found.clear()
        self._silent.clear()
        self._one_way = False
        self._began_at = NEVER
        if self._over:
            relay.ended(self)


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
