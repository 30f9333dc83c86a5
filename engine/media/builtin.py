"""The relay that is built in: its calls, whose port is whose, and what is told of their media."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from engine.boundary import NEVER, Address, Effect
from engine.config import RelayConfig
from engine.media.call import RelayedCall
from engine.media.configured import media_settings, places
from engine.media.endpoint import Endpoint
from engine.media.offer_answer import OTHER, Carrier, Side
from engine.media.ports import PortPool, PortsExhaustedError
from engine.media.quality import Quality
from engine.media.relay import Passage, Peer, Then
from engine.media.rules import (
    BindPorts,
    DtlsEnded,
    MediaEffect,
    MediaInput,
    MediaPacket,
    MediaStats,
    Port,
    PortsFailed,
    ReleasePorts,
)
from engine.media.settings import Party
from engine.media.stream import Stream
from engine.notes import (
    DescriptionForgiven,
    MediaDropped,
    MediaEnded,
    MediaFailed,
    MediaFound,
    MediaSilent,
    MediaTimedOut,
    OneWayAudio,
    Overloaded,
)
from engine.sip.errors import SipError
from engine.tally import Tally
from engine.timers import Timed, TimerQueue

_LAST_WORD_S: Final = 2.0
"""How long the last statistics of closed ports are waited for."""


class BuiltinRelay:
    """The calls of one edge. ``out`` is the list to which its effects are added."""

    def __init__(
        self, config: RelayConfig, out: list[Effect], timers: TimerQueue, tally: Tally, rng: Random
    ) -> None:
        self.config = config
        self.out = out
        self.timers = timers
        self.rng = rng
        self._tally = tally
        self._pools = {each.name: PortPool(each.name, each.low, each.high, rng) for each in config.interfaces}
        self._places = places(config.interfaces)
        self.settings = media_settings(config, self._pools)
        self._owners: dict[tuple[str, int], BuiltinMedia] = {}  # by interface and even port
        self._exhausted: set[str] = set()
        self._open: dict[BuiltinMedia, None] = {}

    # --- Relay

    def open(self, passage: Passage, now: float) -> BuiltinMedia:
        media = BuiltinMedia(self, passage.call_id, self._party(passage.caller), self._party(passage.callee))
        self._open[media] = None
        return media

    def receive(self, event: MediaInput, now: float) -> None:
        port = event.port
        media = self._owners.get((port.interface, port.number & ~1))
        if media is None:  # what was on its way when the call ended
            if isinstance(event, MediaPacket):
                self.refused(port, "port of no call", now)
        elif isinstance(event, MediaPacket):
            media.packet(event, now)
        elif isinstance(event, MediaStats):
            media.measured(event, now)
        elif event.reason:
            media.failed(event, now)

    def __len__(self) -> int:
        return len(self._open)

    # --- for the calls

    @property
    def pairs_in_use(self) -> int:
        """Pairs of ports that calls hold."""
        return sum(pool.in_use for pool in self._pools.values())

    def emit(self, media: BuiltinMedia, effects: Sequence[MediaEffect]) -> list[Port]:
        """Order, and keep account of whose port is whose. Returns the pairs that were given back."""
        released: list[Port] = []
        for effect in effects:
            if isinstance(effect, BindPorts):
                self._owners[effect.port] = media
            elif isinstance(effect, ReleasePorts):
                released.append(effect.port)
        self.out += effects
        return released

    def forget(self, port: Port) -> None:
        """The data plane has said its last word about a pair."""
        self._owners.pop(port, None)

    def ended(self, media: BuiltinMedia) -> None:
        self._open.pop(media, None)

    def refused(self, port: Port, why: str, now: float) -> None:
        """A packet was not believed."""
        self._tally.add(MediaDropped, port.interface, why, now)

    def exhausted(self, interface: str) -> None:
        """A range has no pair left; told once, until it has."""
        if interface not in self._exhausted:
            self._exhausted.add(interface)
            self.out.append(Overloaded(f"media ports of {interface}", self._pools[interface].pairs, True))

    def has_room(self) -> None:
        """Ports were taken again after a range was exhausted."""
        for interface in sorted(self._exhausted):
            self.out.append(Overloaded(f"media ports of {interface}", self._pools[interface].pairs, False))
        self._exhausted.clear()

    def _party(self, peer: Peer) -> Party:
        place = self._places(peer.interface)
        host = place.advertised_host or place.host
        return Party(peer.kind, place.name, host, self._pools[place.name], peer.host)


class _Heard(NamedTuple):
    """One side's speech, measured."""

    side: Side
    stream: Stream
    quality: Quality


class BuiltinMedia(Timed):
    """The media of one passage: its relayed call, with time, and with what is to be told of it."""

    def __init__(self, relay: BuiltinRelay, call_id: str, caller: Party, callee: Party) -> None:
        super().__init__()
        self._relay = relay
        self._call_id = call_id
        self._parties = (caller, callee)
        self._call: RelayedCall | None = None
        self._heard: dict[Port, _Heard] = {}  # by the even port of the side
        self._found: dict[Port, Address] = {}
        self._silent: set[Side] = set()
        self._one_way = False
        self._began_at = NEVER
        self._closing: set[Port] = set()  # pairs whose last statistics are owed
        self._over = False

    # --- RelayedMedia

    def described(self, carrier: Carrier, tag: str, text: bytes, then: Then, now: float) -> None:
        relay = self._relay
        call = self._call
        if call is None:
            call = self._call = RelayedCall(self._call_id, *self._parties, relay.settings, relay.rng)
        try:
            rewritten = call.described(carrier, tag, text, now)
        except SipError as error:
            if isinstance(error, PortsExhaustedError):
                relay.exhausted(error.interface)
            then(error, now)
            return
        self._carry_out(rewritten.effects, now)
        for fault in rewritten.faults:
            relay.out.append(DescriptionForgiven(self._call_id, carrier.sender, fault))
        then(rewritten.body, now)

    def ended(self, carrier: Carrier, tag: str, now: float) -> None:
        if self._call is not None:
            self._call.ended(carrier, tag)

    def release(self, now: float) -> None:
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
        if stream.kind == b"audio" and end.port not in self._heard:
            self._heard[end.port] = _Heard(side, stream, Quality())
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
        states: dict[Side, bool | None] = {}
        silent_s = NEVER
        for side, stream, quality in self._heard.values():
            silent_s = min(silent_s, quality.silent_s)
            if not stream.should_send(side):
                states.setdefault(side, None)
                continue
            states[side] = quality.silent_s >= config.silent_s
            if states[side] != (side in self._silent):
                (self._silent.add if states[side] else self._silent.discard)(side)
                relay.out.append(MediaSilent(self._call_id, side, quality.silent_s, bool(states[side])))
        one_way = None not in states.values() and len(set(states.values())) == 2
        if one_way and not self._one_way:
            heard: Side = next(side for side, silent in states.items() if not silent)
            relay.out.append(OneWayAudio(self._call_id, heard))
        self._one_way = one_way
        if config.timeout_s and silent_s >= config.timeout_s and None not in states.values():
            relay.out.append(MediaTimedOut(self._call_id, silent_s))
            self._clear(now)

    def _clear(self, now: float) -> None:
        """Give the ports back, and wait for what the data plane has still to say of them."""
        relay, call = self._relay, self._call
        self._call = None
        effects = call.release(now) if call is not None else []
        self._closing |= set(relay.emit(self, effects))
        if self._closing:
            relay.timers.arm(self, now + _LAST_WORD_S)
        else:
            self._tell_end(now)

    def _tell_end(self, now: float) -> None:
        relay = self._relay
        relay.timers.arm(self, NEVER)
        if self._began_at < NEVER:
            trips = {side: quality.round_trip_ms for side, _, quality in self._heard.values()}
            for side, stream, quality in self._heard.values():
                codec, second = stream.speech(side)
                heard = quality.heard(codec, second, (trips.get(OTHER[side]) or 0.0) / 2.0)
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
