"""The event socket of a modelled FreeSWITCH: log-in, subscription, a few commands, and events in its own words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from engine.boundary import NEVER, Close, Flow, Input, Send, StreamClosed, StreamData, StreamOpened
from engine.timers import Timed
from sim.agents.freeswitch import causes

if TYPE_CHECKING:
    from sim.agents.freeswitch.causes import Cause
    from sim.agents.freeswitch.leg import Leg
    from sim.agents.freeswitch.node import Node

LISTENERS_MAX: Final = 100
_COMMAND_BYTES_MAX: Final = 64 * 1024
_SAFE: Final = "/,:()+*=?&!$'"  # of what it sends, FreeSWITCH leaves these as they are


class EventSocket(Timed):
    """All listeners of one node. Its timer is the next HEARTBEAT.

    ``paused`` is asked, for no event tells it.
    """

    __slots__ = ("_bridges", "_listeners", "_node", "_sequence", "_uuids", "paused")

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node
        self._listeners: dict[Flow, _Listener] = {}
        self._sequence = 0
        self._uuids: dict[str, Leg] = {}
        self._bridges: dict[str, str] = {}  # both ways
        self.paused: Callable[[], bool] = lambda: False

    # --- connections

    def receive(self, event: Input, now: float) -> None:
        """Something happened on the event socket's interface."""
        if isinstance(event, StreamOpened):
            if len(self._listeners) >= LISTENERS_MAX:
                self._node.out.append(Close(event.flow))
                return
            self._listeners[event.flow] = _Listener()
            self._say(event.flow, b"Content-Type: auth/request")
            if self.due == NEVER:
                self._node.timers.arm(self, now + self._node.config.heartbeat_s)
        elif isinstance(event, StreamClosed):
            self._listeners.pop(event.flow, None)
        elif isinstance(event, StreamData) and event.flow in self._listeners:
            listener = self._listeners[event.flow]
            listener.text += event.data
            while b"\n\n" in listener.text and event.flow in self._listeners:
                command, _, listener.text = listener.text.partition(b"\n\n")
                self._obey(event.flow, listener, command.strip(), now)
            if len(listener.text) > _COMMAND_BYTES_MAX:
                self._end(event.flow)

    def say_farewell(self) -> None:
        """The process ends in good order."""
        text = b"The system is being shut down.\n"
        for flow in list(self._listeners):
            self._say(flow, b"Content-Type: text/disconnect-notice", text)
            self._end(flow)

    def _obey(self, flow: Flow, listener: _Listener, command: bytes, now: float) -> None:
        word, _, rest = command.partition(b" ")
        if word == b"auth":
            listener.trusted = rest == self._node.config.events_password.encode()
            self._reply(flow, "+OK accepted" if listener.trusted else "-ERR invalid")
            if not listener.trusted:
                self._end(flow)
        elif not listener.trusted:
            self._reply(flow, "-ERR command not found")
        elif word == b"event":
            listener.events |= set(rest.decode("ascii", "replace").split()[1:])
            self._reply(flow, "+OK event listener enabled plain")
        elif word == b"noevents":
            listener.events.clear()
            self._reply(flow, "+OK no longer listening for events")
        elif word == b"api":
            self._say(
                flow, b"Content-Type: api/response", self._api(rest.decode("utf-8", "replace"), now).encode()
            )
        elif word == b"exit":
            self._reply(flow, "+OK bye")
            self._end(flow)
        else:
            self._reply(flow, "-ERR command not found")

    def _api(self, command: str, now: float) -> str:
        if command == "status":
            return self._status()
        if command.startswith("fsctl pause_check"):
            return "true" if self.paused() else "false"
        if command == "show channels as json":
            rows = [{"uuid": uuid_of(leg), "direction": leg.direction} for leg in self._legs()]
            return json.dumps({"row_count": len(rows), "rows": rows} if rows else {"row_count": 0})
        if found := re.fullmatch(r"uuid_(dump|kill) (\S+)(?: txt)?", command):
            leg = self._uuids.get(found[2])
            if leg is None:
                return "-ERR No such channel!\n"
            if found[1] == "dump":
                return self._text("CHANNEL_DATA", leg, now)
            leg.end_call(causes.NORMAL_CLEARING, now)
            return "+OK\n"
        return f"-ERR {command.partition(' ')[0]} Command not found!\n"

    def _status(self) -> str:
        node = self._node
        return (
            f"FreeSWITCH (Version {node.config.version}) is ready\n"
            f"{node.sessions.in_use} session(s) - peak {node.sessions.in_use}, last 5min 0 \n"
            f"{node.config.max_sessions} session(s) max\n"
            "min idle cpu 0.00/100.00\n"
        )

    # --- events

    def fire(self, now: float) -> None:
        """HEARTBEAT."""
        if not self._listeners:
            return
        self._node.timers.arm(self, now + self._node.config.heartbeat_s)
        node = self._node
        fields = {
            "Event-Info": "System Ready",
            "Session-Count": str(node.sessions.in_use),
            "Max-Sessions": str(node.config.max_sessions),
            "Idle-CPU": "100.000000",
        }
        self._publish("HEARTBEAT", lambda: _lines(self._head("HEARTBEAT", now) | fields))

    def created(self, leg: Leg, now: float) -> None:
        self._uuids[uuid_of(leg)] = leg
        self._tell("CHANNEL_CREATE", leg, now)

    def answered(self, leg: Leg, now: float) -> None:
        self._tell("CHANNEL_ANSWER", leg, now)

    def bridged(self, leg: Leg, other: Leg, now: float) -> None:
        self._bridges[uuid_of(leg)] = uuid_of(other)
        self._bridges[uuid_of(other)] = uuid_of(leg)
        pair = {"Bridge-A-Unique-ID": uuid_of(leg), "Bridge-B-Unique-ID": uuid_of(other)}
        self._tell("CHANNEL_BRIDGE", leg, now, pair)

    def hung_up(self, leg: Leg, cause: Cause, now: float) -> None:
        """A leg is over. Two that were bridged are parted when both are."""
        uuid = uuid_of(leg)
        if uuid not in self._uuids:
            return
        name = cause.reason.partition(b'text="')[2].rstrip(b'"').decode()
        over = {"Hangup-Cause": name, "Answer-State": "hangup"}
        self._tell("CHANNEL_HANGUP", leg, now, over)
        del self._uuids[uuid]
        other = self._bridges.get(uuid)
        if other is not None and other not in self._uuids:
            del self._bridges[uuid], self._bridges[other]
            self._tell("CHANNEL_UNBRIDGE", leg, now, over)

    def _legs(self) -> list[Leg]:
        return list(self._uuids.values())

    def _tell(self, name: str, leg: Leg, now: float, more: dict[str, str] | None = None) -> None:
        self._publish(name, lambda: self._text(name, leg, now, more))

    def _text(self, name: str, leg: Leg, now: float, more: dict[str, str] | None = None) -> str:
        other = self._bridges.get(uuid_of(leg), "")
        named = bool(other) or name == "CHANNEL_HANGUP"
        fields = self._head(name, now) | leg.event_fields(named=named) | (more or {})
        if not other and leg.direction == "outbound" and leg.peer is not None:
            other = uuid_of(leg.peer)  # who it is called for
        if other:
            fields["Other-Leg-Unique-ID"] = fields["variable_signal_bond"] = other
        return _lines(fields)

    def _head(self, name: str, now: float) -> dict[str, str]:
        self._sequence += 1
        return {
            "Event-Name": name,
            "FreeSWITCH-Switchname": self._node.config.name,
            "Event-Date-Timestamp": str(int((now + self._node.wall_clock_offset_s) * 1e6)),
            "Event-Sequence": str(self._sequence),
        }

    def _publish(self, name: str, text: Callable[[], str]) -> None:
        flows = [flow for flow, listener in self._listeners.items() if name in listener.events]
        if flows:
            body = text().encode()
            for flow in flows:
                self._say(flow, b"Content-Type: text/event-plain", body)

    # --- words

    def _reply(self, flow: Flow, text: str) -> None:
        self._say(flow, b"Content-Type: command/reply\nReply-Text: " + text.encode())

    def _say(self, flow: Flow, head: bytes, body: bytes = b"") -> None:
        if body:
            head = b"Content-Length: %d\n" % len(body) + head
        self._node.out.append(Send(flow, head + b"\n\n" + body))

    def _end(self, flow: Flow) -> None:
        del self._listeners[flow]
        self._node.out.append(Close(flow))


class _Listener:
    __slots__ = ("events", "text", "trusted")

    def __init__(self) -> None:
        self.text = b""
        self.trusted = False
        self.events: set[str] = set()


def uuid_of(leg: Leg) -> str:
    """A leg's uuid; made from what is unique of it already, so that no random number is drawn for it."""
    digits = blake2b(leg.call_id + b" " + leg.tag, digest_size=16).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _lines(fields: dict[str, str]) -> str:
    return "".join(f"{name}: {quote(value, safe=_SAFE)}\n" for name, value in fields.items()) + "\n"
