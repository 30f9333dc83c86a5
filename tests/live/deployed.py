"""An edge with its API before a modelled FreeSWITCH with an event socket, on loopback, all in one loop."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from live_machines import HOST, World, interface, receive, started, until

from engine.boundary import Flow, Interface
from engine.config import ApiConfig, EdgeConfig, EventsConfig, HealthConfig, NodeConfig, ProbeConfig
from engine.edge import Edge, EdgeSettings
from engine.live.api import ApiClient, ApiServer
from engine.live.api.door import DoorSettings
from engine.live.api.service import Service
from engine.live.source import Fixed
from engine.live.tally import CallBook, Counters
from engine.notes import EventsConnected
from engine.policies import load_policy
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig
from sim.agents.phones.config import PhonesConfig
from sim.agents.softphone import Softphone
from tests.engine.wire import Wire, message

TOKEN = "a token for tests alone"
_NOWHERE = Flow("", ("", 0))
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


class NoChanges:
    """Settings that cannot be changed: refusals are what is tested here."""

    def __init__(self) -> None:
        self.why = "these settings come from no file"

    async def reload(self) -> str:
        return self.why

    async def add_node(self, node: Mapping[str, Any]) -> str:
        return self.why


class Deployed:
    """``client`` speaks over the control socket, ``url`` is the API over TCP."""

    def __init__(self, world: World, node: World, server: ApiServer, control: Path) -> None:
        self.world = world
        self.node = node
        self.server = server
        self.edge: Edge = world.host.machine  # type: ignore[assignment]  # it is one
        self.changes = NoChanges()
        self.client = ApiClient(control)

    @property
    def url(self) -> str:
        host, port = self.server.addresses["api"]
        return f"http://{host}:{port}"

    async def get(self, *parts: str, **query: Any) -> Any:
        return await asyncio.to_thread(self.client.get, *parts, **query)

    async def post(self, *parts: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self.client.post, *parts, body=body)

    async def delete(self, *parts: str) -> Any:
        return await asyncio.to_thread(self.client.delete, *parts)

    async def mi(self, method: str, *params: Any, **named: Any) -> Any:
        """The result of an MI command, or its error as a string."""
        body = {"jsonrpc": "2.0", "id": "7", "method": method, "params": named or list(params)}
        reply = await self.post("mi", body=body)
        assert reply["id"] == "7"
        assert ("result" in reply) != ("error" in reply)  # one of them, says JSON-RPC
        return reply["result"] if "result" in reply else reply["error"]["message"]

    async def call(self, caller: socket.socket, call_id: str, number: str = "9196") -> Wire:
        """Set a call up; its 200."""
        edge = self.world.address
        source = "{}:{}".format(*caller.getsockname())
        invite = message(
            f"INVITE sip:{number}@{edge[0]}:{edge[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {source};branch=z9hG4bK{call_id};rport",
            "Max-Forwards: 70",
            f"From: <sip:alice@{HOST}>;tag=a",
            f"To: <sip:{number}@{HOST}>",
            f"Call-ID: {call_id}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:alice@{source}>",
            "Content-Type: application/sdp",
            body=_SDP,
        )
        caller.sendto(invite, edge)
        while (answer := Wire(await receive(caller), _NOWHERE, 0.0)).is_request or answer.status < 200:
            pass
        return answer


@asynccontextmanager
async def deployed(
    tmp_path: Path, *, phone: bool = False, events: bool = True, door: DoorSettings | None = None
) -> AsyncIterator[Deployed]:
    """Everything is up and knows each other, by the node's event socket too if there are ``events``."""

    def freeswitch(interfaces: Mapping[str, Interface]) -> FreeSwitch:
        config = FreeSwitchConfig(
            name="FS1",
            interfaces=(interfaces["a"],),
            domain=HOST,
            auth=False,
            startup_s=0.0,
            startup_refusing_s=0.0,
            events=interfaces["events"],
        )
        return FreeSwitch(config, random.Random(1))

    node = await started(freeswitch, interface(), interface("tcp", name="events"))
    port = node.address[1]
    events_port = node.host.interface("events").port

    def settings(interfaces: tuple[Interface, ...]) -> EdgeConfig:
        return EdgeConfig(
            name="edge1",
            interfaces=interfaces,
            nodes=(
                NodeConfig(
                    name="FS1",
                    host=HOST,
                    port=port,
                    interface="in",
                    told_resources=("pstn",),
                    events=EventsConfig(port=events_port) if events else None,
                ),
                NodeConfig(name="FS2", host=HOST, port=1, interface="in", groups=("spare",), enabled=False),
            ),
            probe=ProbeConfig(mode="never"),
        )

    def edge(interfaces: Mapping[str, Interface]) -> Edge:
        config = settings((interfaces["a"], interfaces["in"]))
        return Edge(EdgeSettings(config, load_policy(config.policy)), random.Random(2))

    counters, book = Counters(), CallBook()
    asked = settings((interface(), interface(name="in")))
    world = await started(edge, *asked.host_interfaces, notes=(notes := Told(counters, book)))
    changes = NoChanges()
    server = ApiServer(Service(world.host, changes, Fixed(), counters, book), door)
    control = tmp_path / "s" / "c.sock"
    phones = None
    try:
        await server.start(
            control, ApiConfig(host=HOST, port=0, token=TOKEN), HealthConfig(host=HOST, http_port=0, tcp_port=0)
        )
        await until(lambda: not events or any(isinstance(note, EventsConnected) for note in notes))
        place = Deployed(world, node, server, control)
        place.changes = changes
        if phone:
            phones = await started(
                lambda interfaces: Softphone(
                    PhonesConfig(
                        name="phone",
                        interface=interfaces["a"],
                        server=world.address,
                        domain=HOST,
                        users=("1000",),
                        registers=True,
                    ),
                    random.Random(3),
                ),
                interface(),
            )
            await until(place.edge.open_bindings)
        yield place
    finally:
        await server.stop()
        for each in (phones, world, node):
            if each is not None:
                each.host.kill()


class Told(list[Any]):
    """Notes as they are told; each is counted as ``serve`` does."""

    def __init__(self, counters: Counters, book: CallBook) -> None:
        super().__init__()
        self._counters = counters
        self._book = book

    def append(self, note: Any) -> None:
        super().append(note)
        self._counters(note, 0.0)
        self._book(note, 0.0)
