"""The tap: sees all that passes between host and machine while somebody captures, and nothing else of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.boundary import Address, Datagram, Flow, Input, Interface, StreamClosed, StreamData
from engine.live.capture.messages import Assembler, call_id_of, is_message, users_of

CAPTURES_MAX = 8
_CALLS_MAX = 10_000  # that one capture follows
_STREAMS_MAX = 20_000


class Packet(NamedTuple):
    """One message. ``at`` is in seconds since 1970; addresses are as they were on the wire."""

    at: float
    source: Address
    destination: Address
    transport: str
    call_id: bytes
    data: bytes


class Wanted:
    """Which messages: of these Call-IDs, of this user and of the calls that it takes part in, or all."""

    __slots__ = ("_call_ids", "_everything", "_user")

    def __init__(self, *, call_ids: tuple[str, ...] = (), user: str = "", everything: bool = False) -> None:
        self._call_ids = dict.fromkeys(call_id.encode() for call_id in call_ids)
        self._user = user.encode()
        self._everything = everything

    def takes(self, call_id: bytes, data: bytes) -> bool:
        """Whether this message is wanted; what a user's message begins is followed by its Call-ID."""
        if self._everything or call_id in self._call_ids:
            return True
        if not self._user or self._user not in users_of(data):
            return False
        if len(self._call_ids) >= _CALLS_MAX:
            del self._call_ids[next(iter(self._call_ids))]
        self._call_ids[call_id] = None
        return True


class Capture(NamedTuple):
    """One capture under way; ``take`` must not block."""

    wanted: Wanted
    take: Callable[[Packet], None]


class Tap:
    """Hands the messages that pass to the captures that want them.

    ``interfaces`` are asked for at each message, for they are bound after this is made.
    """

    def __init__(
        self, interfaces: Callable[[], Mapping[str, Interface]], clock: Callable[[], float] = time.time
    ) -> None:
        self._interfaces = interfaces
        self.idle = True  # nobody captures
        self._clock = clock
        self._captures: list[Capture] = []
        self._streams: dict[Flow, Assembler] = {}

    def add(self, capture: Capture) -> bool:
        """Begin a capture; False where there are too many."""
        if len(self._captures) >= CAPTURES_MAX:
            return False
        self._captures.append(capture)
        self.idle = False
        return True

    def remove(self, capture: Capture) -> None:
        """End a capture, if it has not ended before."""
        if capture in self._captures:
            self._captures.remove(capture)
        self.idle = not self._captures
        if self.idle:
            self._streams.clear()

    # --- what the host tells

    def heard(self, event: Input) -> None:
        """Something came in."""
        if isinstance(event, Datagram):
            self._came(event.flow, event.data)
        elif isinstance(event, StreamData):
            interface = self._interfaces().get(event.flow.interface)
            if interface is None or interface.whole_messages:
                self._came(event.flow, event.data)
                return
            assembler = self._streams.get(event.flow)
            if assembler is None:
                if len(self._streams) >= _STREAMS_MAX:
                    self._streams.clear()
                assembler = self._streams[event.flow] = Assembler()
            for message in assembler.feed(event.data):
                self._came(event.flow, message)
        elif isinstance(event, StreamClosed):
            self._streams.pop(event.flow, None)

    def sent(self, flow: Flow, data: bytes) -> None:
        """A message goes out; machines send whole ones."""
        self._pass(flow, data, outward=True)

    def _came(self, flow: Flow, data: bytes) -> None:
        self._pass(flow, data, outward=False)

    def _pass(self, flow: Flow, data: bytes, *, outward: bool) -> None:
        if not is_message(data):
            return
        call_id = call_id_of(data)
        packet: Packet | None = None
        for capture in self._captures:
            if capture.wanted.takes(call_id, data):
                packet = packet or self._packet(flow, data, call_id, outward)
                capture.take(packet)

    def _packet(self, flow: Flow, data: bytes, call_id: bytes, outward: bool) -> Packet:
        interface = self._interfaces().get(flow.interface)
        here: Address = (interface.public_host, interface.port) if interface is not None else ("0.0.0.0", 0)
        source, destination = (here, flow.peer) if outward else (flow.peer, here)
        transport = interface.transport if interface is not None else ""
        return Packet(self._clock(), source, destination, transport, call_id, data)
