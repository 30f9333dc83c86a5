"""Event sockets of many nodes for ``benchmarks.node_events``: channels that stand, and calls that come and go.

The texts are a real FreeSWITCH's (tests/vectors/freeswitch_events), with other uuids and Call-IDs.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

EVENTS_PORT = 8021
_VECTORS = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "freeswitch_events"
_RECORDED = _VECTORS / "61_esl_channel_events.txt"
_HEARTBEAT = _VECTORS / "60_esl_heartbeat.txt"
_LEGS = (b"debb3e80-a680-4d84-9e6e-c1782d3b2049", b"e289ae40-be97-4c6f-924c-b2644b65e642")
_CALL_IDS = (b"d7cc0ac650602841", b"98ad13a0-6209-1240-ca89-dacc60b55503")
_SUBSCRIBED = (b"CHANNEL_CREATE", b"CHANNEL_ANSWER", b"CHANNEL_BRIDGE", b"CHANNEL_HANGUP")


def host_of(node: int) -> str:
    return f"127.91.4.{node + 1}"


def recorded(path: Path) -> Iterator[bytes]:
    """The bodies of a recording's events."""
    for block in re.findall(
        rb"Content-Type: text/event-plain\n\n(.*?)\n\n\n?(?=### |\Z)", path.read_bytes(), re.DOTALL
    ):
        yield block + b"\n\n"


class Script:
    """A call's events, in order: those of its beginning and of its end."""

    def __init__(self) -> None:
        bodies = [body for body in recorded(_RECORDED) if body.split(b"\n")[0].split()[1] in _SUBSCRIBED]
        self._begin = [body for body in bodies if b"CHANNEL_HANGUP" not in body.split(b"\n")[0]]
        self._end = [body for body in bodies if b"CHANNEL_HANGUP" in body.split(b"\n")[0]]
        self.bridged = next(body for body in bodies if body.startswith(b"Event-Name: CHANNEL_BRIDGE"))
        self.heartbeat = next(recorded(_HEARTBEAT))

    def begins(self, number: int) -> list[bytes]:
        return [self.of(body, number) for body in self._begin]

    def ends(self, number: int) -> list[bytes]:
        return [self.of(body, number) for body in self._end]

    @staticmethod
    def legs(number: int) -> tuple[bytes, bytes]:
        return b"%08x-aaaa-4d84-9e6e-c1782d3b2049" % number, b"%08x-bbbb-4c6f-924c-b2644b65e642" % number

    def of(self, body: bytes, number: int) -> bytes:
        """This text of another call."""
        for mine, recorded_leg in zip(self.legs(number), _LEGS, strict=True):
            body = body.replace(recorded_leg, mine)
        for call_id in _CALL_IDS:
            body = body.replace(call_id, b"%08x%b" % (number, call_id[8:]))
        return body


class Node:
    """One node: its calls stand for a while, then end and others begin, at a steady rate."""

    def __init__(self, load: Load, calls: int, hold_s: float) -> None:
        self._load = load
        self._every_s = hold_s / calls
        self._numbers = [next(load.numbers) for _ in range(calls)]
        self.writer: asyncio.StreamWriter | None = None
        self.entered = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(b"Content-Type: auth/request\n\n")
        dumped = set()
        while True:
            try:
                command = (await reader.readuntil(b"\n\n")).strip()
            except (asyncio.IncompleteReadError, OSError):
                return
            if command.startswith(b"api uuid_dump"):
                dumped.add(command.split()[2])
                self._api(self._dump(command.split()[2]))
                self.entered = len(dumped) == 2 * len(self._numbers)
            elif command == b"api status":
                sessions = 2 * len(self._numbers)
                self._api(
                    b"%d session(s) - peak 9, last 5min 9 \n5000 session(s) max\nmin idle cpu 0.00/70.00\n"
                    % sessions
                )
            elif command == b"api show channels as json":
                uuids = [uuid.decode() for number in self._numbers for uuid in Script.legs(number)]
                self._api(json.dumps({"rows": [{"uuid": uuid} for uuid in uuids]}).encode())
            elif command.startswith(b"api "):
                self._api(b"false")
            else:
                writer.write(b"Content-Type: command/reply\nReply-Text: +OK\n\n")
                self.entered = self.entered or command == b"event plain ALL"  # who asks nothing else

    def _dump(self, uuid: bytes) -> bytes:
        number = int(uuid.split(b"-")[0], 16)
        body = self._load.script.of(self._load.script.bridged, number)
        caller, callee = Script.legs(number)
        if uuid == callee:  # the recorded text is the caller's
            body = body.replace(caller, b"\0").replace(callee, caller).replace(b"\0", callee)
            body = body.replace(_CALL_IDS[0][8:], _CALL_IDS[1][8:])
        return body

    def _api(self, body: bytes) -> None:
        assert self.writer
        self.writer.write(b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body) + body)

    def _tell(self, body: bytes) -> None:
        assert self.writer
        if self.writer.is_closing():
            return
        data = b"Content-Length: %d\nContent-Type: text/event-plain\n\n" % len(body) + body
        self.writer.write(data)
        self._load.events += 1
        self._load.bytes += len(data)

    async def run(self) -> None:
        """Calls come and go once somebody listens."""
        loop = asyncio.get_running_loop()
        while not self.entered:
            await asyncio.sleep(0.05)
        due = beat = loop.time()
        while True:
            due += self._every_s
            await asyncio.sleep(due - loop.time())
            old, new = self._numbers.pop(0), next(self._load.numbers)
            self._numbers.append(new)
            for body in (*self._load.script.ends(old), *self._load.script.begins(new)):
                self._tell(body)
            if loop.time() >= beat:
                beat += 20.0
                self._tell(self._load.script.heartbeat)


class Load:
    def __init__(self, nodes: int, channels: int, hold_s: float) -> None:
        self.script = Script()
        self.numbers = count(1)
        self.events = 0
        self.bytes = 0
        self.nodes = [Node(self, channels // 2, hold_s) for _ in range(nodes)]

    async def run(self) -> None:
        for number, node in enumerate(self.nodes):
            await asyncio.start_server(node.serve, host_of(number), EVENTS_PORT)
        tasks = [asyncio.create_task(node.run()) for node in self.nodes]
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            entered = sum(node.entered for node in self.nodes)
            print(json.dumps({"events": self.events, "bytes": self.bytes, "entered": entered}), flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(Load(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])).run())
