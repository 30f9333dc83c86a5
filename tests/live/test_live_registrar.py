"""Registrations on real sockets: an edge killed and started anew, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from live_machines import World, in_loop, interface, receive, started, udp_peer
from websocket_peers import agent

from engine.boundary import Flow, Interface
from engine.config import EdgeConfig, NodeConfig, ProbeConfig, RegistrarConfig
from engine.edge import Edge, EdgeSettings
from engine.notes import MessageDropped, RequestRefused
from engine.policies import load_policy
from tests.engine.wire import Wire, message, reply, uri_of

SECRET = "known to each life of the edge"
# A loopback address for this process alone: nobody takes the ports while the edge is away.
EDGE = f"127.79.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
USER = "sip:1000@lab.test"


class Site:
    """An edge with interfaces ``udp`` for phones, ``a`` for browsers and ``in`` for its node, a socket."""

    def __init__(self, node: socket.socket) -> None:
        self.node = node
        self.world: World
        self.edge: Edge
        self._ports: dict[str, int] = {}
        self._sent = 0

    async def start(self) -> None:
        """Start the edge, again on the ports that it had."""

        def machine(interfaces: Mapping[str, Interface]) -> Edge:
            config = EdgeConfig(
                name="edge1",
                interfaces=tuple(interfaces.values()),
                nodes=(NodeConfig(name="FS1", host="127.0.0.1", port=self.node.getsockname()[1], interface="in"),),
                probe=ProbeConfig(mode="disabled_only"),
                registrar=RegistrarConfig(secret=SECRET),
            )
            self.edge = Edge(EdgeSettings(config, load_policy(config.policy)), random.SystemRandom())
            return self.edge

        ports = self._ports
        self.world = await started(
            machine,
            interface(host=EDGE, name="udp", port=ports.get("udp", 0)),
            interface(host=EDGE, name="in", port=ports.get("in", 0)),
            interface("ws"),
        )
        self._ports = {name: self.world.host.interface(name).port for name in ("udp", "in")}

    def at(self, name: str) -> tuple[str, int]:
        return EDGE, self._ports[name]

    def request(
        self, method: str, uri: str, *lines: str, of: str = "UDP 127.0.0.1:5060", to_tag: str = ""
    ) -> bytes:
        self._sent += 1
        return message(
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{of};branch=z9hG4bKlive{self._sent};rport",
            "Max-Forwards: 70",
            f"From: <{USER}>;tag=1",
            f"To: <{USER}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: live-{method}",
            f"CSeq: {self._sent} {method}",
            *lines,
        )

    async def ask(self, peer: socket.socket, data: bytes, at: str = "udp") -> Wire:
        """Send a request, and wait for its final response."""
        peer.sendto(data, self.at(at))
        while (answer := await heard(peer)).is_request or answer.status < 200:
            pass
        return answer

    async def accept(self) -> str:
        """The node accepts the REGISTER that comes; the result is the Contact URI that it stores."""
        register = await heard(self.node)
        stored = uri_of(register["contact"])
        self.node.sendto(reply(register, 200, f"Contact: <{stored}>;expires=180", tag="n"), self.at("in"))
        return stored


async def heard(sock: socket.socket) -> Wire:
    return Wire(await receive(sock), Flow("", ("", 0)), 0.0)


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    with udp_peer() as node:
        place = Site(node)
        await place.start()
        try:
            yield place
        finally:
            await place.world.host.stop()


def test_a_registration_over_udp_survives_the_edge(fast: bool) -> None:
    """Nothing registers anew in between."""

    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as phone:
                contact = "Contact: <sip:1000@192.168.1.20>"
                phone.sendto(place.request("REGISTER", "sip:lab.test", contact, "Expires: 600"), place.at("udp"))
                stored = await place.accept()
                assert (await heard(phone))["contact"] == "<sip:1000@192.168.1.20>;expires=180"
                await place.world.host.stop()
                await place.start()
                place.node.sendto(place.request("INVITE", stored), place.at("in"))
                assert (await heard(phone)).start == "INVITE sip:1000@192.168.1.20 SIP/2.0"

    in_loop(scenario, fast=fast)


def test_a_browser_is_reached_on_its_websocket_while_it_stands(fast: bool) -> None:
    async def scenario() -> None:
        async with site() as place:
            async with agent(place.world) as ws:
                contact = "Contact: <sip:x@a.invalid;transport=ws>"
                register = place.request("REGISTER", "sip:lab.test", contact, "Expires: 600", of="WS a.invalid")
                await ws.send_str(register.decode())
                stored = await place.accept()
                assert "a.invalid;transport=ws>;expires=180" in (await ws.receive(5)).data
                place.node.sendto(place.request("MESSAGE", stored), place.at("in"))
                assert (await ws.receive(5)).data.startswith("MESSAGE sip:x@a.invalid;transport=ws SIP/2.0")
            while (await place.ask(place.node, place.request("MESSAGE", stored), "in")).status != 430:
                await asyncio.sleep(0.01)

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize("of", ["a stranger", "a node"])
def test_tokens_that_are_forged_truncated_or_not_ones_own(of: str, fast: bool) -> None:
    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as phone, udp_peer() as stranger:
                phone.sendto(
                    place.request("REGISTER", "sip:lab.test", "Contact: <sip:1000@192.168.1.20>"), place.at("udp")
                )
                true = await place.accept()
                await heard(phone)
                user = re.findall("sip:(.*)@", true)[0]
                forged = user[:40] + ("A" if user[40] != "A" else "B") + user[41:]
                tried = [true.replace(user, other) for other in (forged, user[:-4], "flow-", "flow-%00")]
                asks, at = (stranger, "udp") if of == "a stranger" else (place.node, "in")
                for uri in tried + ([true] if of == "a stranger" else []):
                    assert (await place.ask(asks, place.request("MESSAGE", uri), at)).status == 403
                assert len(place.world.of(RequestRefused)) >= 4
                with pytest.raises(BlockingIOError):
                    phone.recv(65_535)

    in_loop(scenario, fast=fast)


def test_a_route_overheard_in_one_call_serves_no_other(fast: bool) -> None:
    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as phone, udp_peer() as stranger:
                phone.sendto(
                    place.request("REGISTER", "sip:lab.test", "Contact: <sip:1000@192.168.1.20>"), place.at("udp")
                )
                stored = await place.accept()
                await heard(phone)
                place.node.sendto(place.request("INVITE", stored, f"Contact: <{stored}>"), place.at("in"))
                routes = (await heard(phone)).all("record-route")
                route = next(each for each in routes if "flow-" in each)
                bye = place.request("BYE", "sip:1000@192.168.1.20", f"Route: {route}", to_tag="2")
                assert (await place.ask(stranger, bye)).status == 403
                assert place.world.of(RequestRefused)[-1].status == 403
                with pytest.raises(BlockingIOError):
                    phone.recv(65_535)

    in_loop(scenario, fast=fast)


def test_an_in_dialog_request_of_a_stranger_is_sent_nowhere(fast: bool) -> None:
    """With a Route of ours, but of no call: the edge is no open relay. The ACK is dropped."""

    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as stranger, udp_peer() as victim:
                host, port = victim.getsockname()
                route = f"Route: <sip:{EDGE}:{place.at('udp')[1]};lr;ftag=1>"
                for method in ("ACK", "INVITE", "MESSAGE", "BYE"):
                    request = place.request(method, f"sip:{host}:{port}", route, to_tag="2")
                    if method == "ACK":
                        stranger.sendto(request, place.at("udp"))
                    else:
                        assert (await place.ask(stranger, request)).status == 403
                assert [note.method for note in place.world.of(RequestRefused)] == ["INVITE", "MESSAGE", "BYE"]
                assert len(place.world.of(MessageDropped)) == 1
                with pytest.raises(BlockingIOError):
                    victim.recv(65_535)

    in_loop(scenario, fast=fast)


def test_requests_of_a_call_pass_after_a_restart(fast: bool) -> None:
    """The next life knows no dialog; the Route that it wrote in the last one is proof enough."""

    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as phone, udp_peer() as beyond:
                host, port = phone.getsockname()
                of = f"UDP {host}:{port}"
                invite = place.request("INVITE", "sip:9196@lab.test", f"Contact: <sip:1000@{host}:{port}>", of=of)
                phone.sendto(invite, place.at("udp"))
                asked = await heard(place.node)
                far = "{}:{}".format(*beyond.getsockname())
                place.node.sendto(reply(asked, 200, f"Contact: <sip:9196@{far}>", tag="n"), place.at("in"))
                while (answer := await heard(phone)).status != 200:
                    pass
                await place.world.host.stop()
                await place.start()
                routes = [f"Route: {route}" for route in reversed(answer.all("record-route"))]
                bye = place.request("BYE", f"sip:9196@{far}", *routes, of=of, to_tag="n")
                phone.sendto(bye.replace(b"live-BYE", b"live-INVITE"), place.at("udp"))
                assert (await heard(beyond)).start == f"BYE sip:9196@{far} SIP/2.0"

    in_loop(scenario, fast=fast)


def test_an_absurd_expiry_is_cut(fast: bool) -> None:
    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as phone:
                contact = f"Contact: <sip:1000@192.168.1.20>;expires={2**32 - 1}"
                phone.sendto(place.request("REGISTER", "sip:lab.test", contact), place.at("udp"))
                register = await heard(place.node)
                assert "expires=3600" in register["contact"]
                place.node.sendto(reply(register, 200, f"Contact: {register['contact']}", tag="n"), place.at("in"))
                assert (await heard(phone))["contact"] == "<sip:1000@192.168.1.20>;expires=3600"

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Contact: " + ", ".join(f"<sip:1000@192.168.1.20:{port}>" for port in range(2000, 3000))], 403),
        (["Contact: <sip:1000@192.168.1.20>", "Expires: 99999999999999999999"], 400),
        (["Contact: <sip:1000@192.168.1.20>", "Expires: 1"], 423),
        (["Contact: *", "Expires: 60"], 400),
        (["Contact: *, <sip:1000@192.168.1.20>", "Expires: 0"], 400),
    ],
    ids=["a thousand contacts", "an absurd expiry", "a short one", "a star that lasts", "a star beside another"],
)
def test_registers_that_are_refused(lines: list[str], status: int, fast: bool) -> None:
    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as phone:
                answer = await place.ask(phone, place.request("REGISTER", "sip:lab.test", *lines))
                assert answer.status == status
                assert place.edge.open_bindings() == 0

    in_loop(scenario, fast=fast)


def test_a_flood_without_credentials_harms_nobody(fast: bool) -> None:
    async def scenario() -> None:
        async with site() as place:
            with udp_peer() as flooder, udp_peer() as phone:
                for _ in range(300):
                    register = place.request("REGISTER", "sip:lab.test", "Contact: <sip:1000@192.168.1.20>")
                    answered = asyncio.ensure_future(place.ask(flooder, register))
                    challenge = 'WWW-Authenticate: Digest realm="x", nonce="y"'
                    place.node.sendto(reply(await heard(place.node), 401, challenge, tag="n"), place.at("in"))
                    assert (await answered).status == 401
                assert place.edge.open_bindings() == 0
                phone.sendto(place.request("REGISTER", "sip:lab.test", "Contact: <sip:b@b>"), place.at("udp"))
                await place.accept()
                assert (await heard(phone)).status == 200

    in_loop(scenario, fast=fast)
