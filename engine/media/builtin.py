"""The relay that is built in: its calls, whose port is whose, and what is told of their media."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any

from engine.boundary import Effect
from engine.config import RelayConfig
from engine.media.call import Parted, RelayedCall
from engine.media.configured import media_settings, places
from engine.media.joined import JoinedCall
from engine.media.offer_answer import Carrier, Side
from engine.media.ports import PortPool, PortsExhaustedError
from engine.media.relay import Answered, JoinedMedia, Passage, Peer, RelayedMedia, Then
from engine.media.rules import (
    BindPorts,
    MediaEffect,
    MediaInput,
    MediaPacket,
    MediaStats,
    Port,
    ReleasePorts,
)
from engine.media.settings import Party
from engine.media.watched import WatchedMedia
from engine.notes import (
    DescriptionForgiven,
    MediaDropped,
    MediaPortsPassedOver,
    Overloaded,
)
from engine.sip.errors import SipError
from engine.tally import Tally
from engine.timers import TimerQueue


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
        self._owners: dict[tuple[str, int], WatchedMedia[Any]] = {}  # by interface and even port
        self._exhausted: set[str] = set()
        self._open: dict[WatchedMedia[Any], None] = {}

    # --- Relay

    def ask(self, is_free: Callable[[str, int], bool]) -> None:
        """Take pairs of ports only where the host says that they can be bound, by interface and even port."""
        for name, pool in self._pools.items():
            pool.is_free = partial(is_free, name)

    def open(self, passage: Passage, now: float) -> BuiltinMedia:
        return BuiltinMedia(self, passage.call_id, self._party(passage.caller), self._party(passage.callee))

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

    def emit(self, media: WatchedMedia[Any], effects: Sequence[MediaEffect]) -> list[Port]:
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

    def began(self, media: WatchedMedia[Any]) -> None:
        """A call may have media from now on, until ``ended``."""
        self._open[media] = None

    def ended(self, media: WatchedMedia[Any]) -> None:
        self._open.pop(media, None)

    def owns(self, media: WatchedMedia[Any], port: Port) -> None:
        """A pair belongs to another call from now on."""
        self._owners[port] = media

    def refused(self, port: Port, why: str, now: float) -> None:
        """A packet was not believed."""
        self._tally.add(MediaDropped, port.interface, why, now)

    def exhausted(self, interface: str) -> None:
        """A range has no pair left; told once, until it has."""
        if interface not in self._exhausted:
            self._exhausted.add(interface)
            self.out.append(Overloaded(f"media ports of {interface}", self._pools[interface].pairs, True))

    def tell_passed_over(self, now: float) -> None:
        """Pairs were passed over, for something else has them."""
        for name, pool in self._pools.items():
            if pool.passed_over:
                for _ in range(pool.passed_over):
                    self._tally.add(MediaPortsPassedOver, name, "in use by something else", now)
                pool.passed_over = 0

    def has_room(self) -> None:
        """Ports were taken again after a range was exhausted."""
        for interface in sorted(self._exhausted):
            self.out.append(Overloaded(f"media ports of {interface}", self._pools[interface].pairs, False))
        self._exhausted.clear()

    def _party(self, peer: Peer) -> Party:
        place = self._places(peer.interface)
        host = place.advertised_host or place.host
        return Party(peer.kind, place.name, host, self._pools[place.name], peer.host)


class BuiltinMedia(WatchedMedia[RelayedCall]):
    """The media of one passage."""

    def __init__(self, relay: BuiltinRelay, call_id: str, caller: Party, callee: Party) -> None:
        super().__init__(relay, call_id)
        self._builtin = relay
        self._parties = (caller, callee)

    def described(self, carrier: Carrier, tag: str, text: bytes, then: Then, now: float) -> None:
        relay = self._builtin
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
        relay.tell_passed_over(now)
        for fault in rewritten.faults:
            relay.out.append(DescriptionForgiven(self._call_id, carrier.sender, fault))
        then(rewritten.body, now)

    def ended(self, carrier: Carrier, tag: str, now: float) -> None:
        if self._call is not None:
            self._call.ended(carrier, tag)

    def told(self, side: Side) -> bytes:
        return b"" if self._call is None else self._call.told(side)

    def part(self, side: Side) -> Parted:
        """Give away our end towards a side. Raises SipError."""
        if self._call is None:
            raise SipError("its media are not relayed here", 488)
        return self._call.part(side)

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> BuiltinJoined:
        return _join(self._builtin, self._call_id, self, side, other, other_side, now)

    def release(self, now: float) -> None:
        self._end(now)


class BuiltinJoined(WatchedMedia[JoinedCall]):
    """The media of two agents whose node is gone."""

    def __init__(
        self, relay: BuiltinRelay, call_id: str, call: JoinedCall, before: Iterable[WatchedMedia[Any]], now: float
    ) -> None:
        super().__init__(relay, call_id)
        self.changed: Callable[[Side, float], None] = lambda side, now: None
        self._builtin = relay
        self._call = call
        self._take_over(before, now)
        self._carry_out(call.effects(), now)

    def answer(self, side: Side, offer: bytes, then: Answered, now: float) -> None:
        try:
            if self._call is None:
                raise SipError("its media have ended", 488)
            body, effects = self._call.answer(side, offer, now)
        except SipError as error:
            then(error, now)
            return
        self._carry_out(effects, now)
        then(body, now)

    def offer(self, side: Side, now: float) -> bytes:
        if self._call is None:
            raise SipError("its media have ended", 488)
        return self._call.offer(side)

    def answered(self, side: Side, answer: bytes, now: float) -> None:
        if self._call is None:
            raise SipError("its media have ended", 488)
        self._carry_out(self._call.answered(side, answer, now), now)

    def told(self, side: Side) -> bytes:
        return b"" if self._call is None else self._call.told(side)

    def part(self, side: Side) -> Parted:
        """As of a call."""
        if self._call is None:
            raise SipError("its media have ended", 488)
        return self._call.part(side)

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> BuiltinJoined:
        return _join(self._builtin, self._call_id, self, side, other, other_side, now)

    def release(self, now: float) -> None:
        self._end(now)


def _join(
    relay: BuiltinRelay,
    call_id: str,
    one: BuiltinMedia | BuiltinJoined,
    side: Side,
    other: RelayedMedia | JoinedMedia,
    other_side: Side,
    now: float,
) -> BuiltinJoined:
    if not isinstance(other, (BuiltinMedia, BuiltinJoined)):
        raise SipError("its media are not relayed here", 488)
    call = JoinedCall(one.part(side), other.part(other_side), relay.settings)
    return BuiltinJoined(relay, call_id, call, (one, other), now)
