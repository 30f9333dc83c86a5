"""The machine: orders in, answers out, and the media of its calls in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from engine.boundary import NEVER, Datagram, Effect, Flow, Input, Send, StreamClosed, StreamData
from engine.media.ng.bencode import BencodeError, Told, Value
from engine.media.ng.wire import NgMessage, NgStream, read_message, write_message
from engine.media.ports import PortsExhaustedError
from engine.media.rules import BindPorts, MediaEffect, MediaPacket, MediaStats, Port, ReleasePorts
from engine.media.sdp.attributes import Fingerprint
from engine.sip.errors import SipError
from sim.agents.rtpengine.call import ModelledCall, Places, text
from sim.agents.rtpengine.config import RtpengineConfig

_STREAM_BYTES = 65_535
_UNKNOWN: Told = {"result": "error", "error-reason": "Unknown call-id"}
_LAST_WORD_S: Final = 0.2  # for which the end of a call waits for what its ports have counted


class _Farewell(NamedTuple):
    """The answer to a ``delete``, once the ports have said how much came."""

    flow: Flow
    cookie: bytes
    call: ModelledCall | None  # whose figures are told
    ports: set[Port]
    due: float


class Rtpengine:
    """One modelled rtpengine. Its memory is its process's: another start knows no call."""

    def __init__(self, config: RtpengineConfig, random: Random) -> None:
        self._config = config
        self._random = random
        self._places = Places(config.interfaces, random)
        self._fingerprint = config.fingerprint or Fingerprint(b"sha-256", random.randbytes(32))
        self._calls: dict[bytes, ModelledCall] = {}
        self._owners: dict[tuple[str, int], ModelledCall] = {}  # by interface and even port
        self._farewells: list[_Farewell] = []  # oldest first
        self._cookies: dict[bytes, tuple[float, bytes]] = {}  # oldest first
        self._streams: dict[Flow, NgStream] = {}
        self._out: list[Effect] = []

    # --- Machine

    def start(self, now: float) -> Sequence[Effect]:
        return ()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        if isinstance(event, Datagram):
            try:
                self._order(event.flow, read_message(event.data), now)
            except BencodeError:
                self._garbled(event.flow, event.data)
        elif isinstance(event, StreamData):
            stream = self._streams.setdefault(event.flow, NgStream(_STREAM_BYTES))
            for message in stream.feed(event.data):
                self._order(event.flow, message, now)
        elif isinstance(event, StreamClosed):
            self._streams.pop(event.flow, None)
        elif isinstance(event, MediaPacket):
            call = self._owners.get((event.port.interface, event.port.number & ~1))
            if call is not None:
                self._emit(call, call.relayed.packet(event, now)[0])
        elif isinstance(event, MediaStats):
            self._measured(event, now)
        return self._drain_out()

    def tick(self, now: float) -> Sequence[Effect]:
        for call in self._calls.values():
            if call.relayed.deadline() <= now:
                self._emit(call, call.relayed.tick(now))
        for farewell in [each for each in self._farewells if each.due <= now]:
            self._say(farewell, now)
        return self._drain_out()

    def deadline(self) -> float:
        latches = min((call.relayed.deadline() for call in self._calls.values()), default=NEVER)
        return min(latches, self._farewells[0].due) if self._farewells else latches

    def _drain_out(self) -> Sequence[Effect]:
        effects = self._out.copy()
        self._out.clear()
        return effects

    # --- orders

    def _garbled(self, flow: Flow, data: bytes) -> None:
        """Without a cookie nothing is answered; else the sender is told."""
        cookie, space, _ = data.partition(b" ")
        if space and cookie:
            reason = "Could not decode bencode dictionary" if data.find(b" d") >= 0 else "Invalid NG data format"
            self._out.append(Send(flow, write_message(cookie, {"result": "error", "error-reason": reason})))

    def _order(self, flow: Flow, message: NgMessage, now: float) -> None:
        cookies = self._cookies
        while cookies and next(iter(cookies.values()))[0] <= now:
            del cookies[next(iter(cookies))]
        known = cookies.get(message.cookie)
        if known is not None:
            self._out.append(Send(flow, known[1]))
        elif all(each.cookie != message.cookie for each in self._farewells):
            if text(message.content, b"command") == b"delete":
                self._delete(flow, message, now)
            else:
                self._answer(flow, message.cookie, self._carried_out(message.content, now), now)

    def _answer(self, flow: Flow, cookie: bytes, content: Told, now: float) -> None:
        reply = write_message(cookie, content)
        self._cookies[cookie] = (now + self._config.cookies_s, reply)
        self._out.append(Send(flow, reply))

    def _carried_out(self, order: Mapping[bytes, Value], now: float) -> Told:
        command = text(order, b"command")
        if command == b"ping":
            return {"result": "pong"}
        if command == b"list":
            return {"result": "ok", "calls": tuple(self._calls)}
        call_id = text(order, b"call-id")
        if command not in (b"offer", b"answer", b"query"):
            return _error("Unrecognized command" if command else 'Dictionary contains no key "command"')
        if not call_id:
            return _error("No call-id in message")
        if command == b"offer":
            return self._offer(call_id, order, now)
        call = self._calls.get(call_id)
        if call is None:
            return _UNKNOWN
        if command == b"query":
            return {"result": "ok"} | call.counted.told()
        try:
            body, effects = call.answer(order, now)
        except SipError as error:
            return _error(error.why)
        self._emit(call, effects)
        return {"sdp": body, "result": "ok"}

    def _offer(self, call_id: bytes, order: Mapping[bytes, Value], now: float) -> Told:
        call = self._calls.get(call_id)
        most = self._config.max_sessions
        if call is None and most is not None and len(self._calls) >= most:
            return {"result": "load limit", "message": "Parallel session limit reached"}
        try:
            if call is None:
                name = call_id.rpartition(b";")[0] or call_id  # an edge adds the branch
                call = ModelledCall(
                    name.decode("utf-8", "replace"), order, self._places, self._fingerprint, self._random
                )
            body, effects = call.offer(order, now)
        except PortsExhaustedError:
            return _error("Ran out of ports")
        except SipError as error:
            return _error(error.why)
        self._calls[call_id] = call
        self._emit(call, effects)
        return {"sdp": body, "result": "ok"}

    def _delete(self, flow: Flow, message: NgMessage, now: float) -> None:
        """The real one says ok to what it doesn't know, too, with a warning; and tells what it has counted to who
        names a tag."""
        order = message.content
        call_id = text(order, b"call-id")
        call, tag = self._calls.get(call_id), text(order, b"from-tag")
        if not call_id:
            self._answer(flow, message.cookie, _error("No call-id in message"), now)
        elif call is None or not call.knows(tag):
            warning = "Call-ID not found or tags didn't match"
            self._answer(flow, message.cookie, {"result": "ok", "warning": warning}, now)
        else:
            del self._calls[call_id]
            effects = call.relayed.release(now)
            self._emit(call, effects)
            ports = {effect.port for effect in effects if isinstance(effect, ReleasePorts)} if tag else set()
            farewell = _Farewell(flow, message.cookie, call if tag else None, ports, now + _LAST_WORD_S)
            self._farewells.append(farewell)
            if not ports:
                self._say(farewell, now)

    def _measured(self, stats: MediaStats, now: float) -> None:
        """A port says what came; at the end of a call its last word is waited for."""
        owner = self._owners.get(stats.port)
        if owner is not None:
            owner.counted.measured(stats)
        for farewell in self._farewells:
            if stats.port in farewell.ports and farewell.call is not None:
                farewell.call.counted.measured(stats)
                farewell.ports.discard(stats.port)
                if not farewell.ports:
                    self._say(farewell, now)
                return

    def _say(self, farewell: _Farewell, now: float) -> None:
        self._farewells.remove(farewell)
        told = {} if farewell.call is None else farewell.call.counted.told()
        self._answer(farewell.flow, farewell.cookie, {"result": "ok"} | told, now)

    def _emit(self, call: ModelledCall, effects: Sequence[MediaEffect]) -> None:
        for effect in effects:
            if isinstance(effect, BindPorts):
                self._owners[effect.port] = call
            elif isinstance(effect, ReleasePorts):
                self._owners.pop(effect.port, None)
        call.counted.look(call.relayed)
        self._out += effects

    @property
    def calls(self) -> int:
        """How many calls it knows."""
        return len(self._calls)


def _error(reason: str) -> Told:
    return {"result": "error", "error-reason": reason}
