"""Two edges on real sockets: a browser that comes back through the other one is called over the old address."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from live_machines import World, in_loop, interface, receive, started, udp_peer, until
from websocket_peers import agent

from engine.boundary import Flow, Interface, TlsFiles, Transport
from engine.config import EdgeConfig, NodeConfig, PeerConfig, ProbeConfig, RegistrarConfig
from engine.edge import Edge, EdgeSettings
from engine.notes import ContactUnbound, PeerLost, PeerReturned, RequestRefused
from engine.policies import load_policy
from lab.certificates import make_certificate
from tests.engine.wire import Wire, message, param, reply, uri_of

# Loopback addresses of this process alone, for edges must know each other's ports before they are bound.
HOSTS = [f"127.76.{os.getpid() // 120 % 250}.{os.getpid() % 120 * 2 + n}" for n in (1, 2)]
INSIDE = [Interface(name="in", transport="udp", host=host, port=5060) for host in HOSTS]


async def edge(number: int, node: tuple[str, int], transport: Transport, tls: TlsFiles) -> World:
    """edge1 or edge2, which know one node, and each other by a transport."""
    other = 1 - number
    secure = tls if transport == "tls" else None
    between = [Interface(name="between", transport=transport, host=host, port=5070, tls=secure) for host in HOSTS]
    theirs = (INSIDE[other], replace(between[other], tls=None))

    def machine(interfaces: Mapping[str, Interface]) -> Edge:
        config = EdgeConfig(
            name=f"edge{number + 1}",
            interfaces=tuple(interfaces.values()),
            nodes=(NodeConfig(name="FS1", host=node[0], port=node[1], interface="in"),),
            probe=ProbeConfig(mode="disabled_only", interval_s=0.1),
            registrar=RegistrarConfig(secret="known to both edges"),
            peers=(PeerConfig(name=f"edge{other + 1}", interfaces=theirs, interface="between", by="between"),),
        )
        return Edge(EdgeSettings(config, load_policy(config.policy)), random.SystemRandom())

    return await started(machine, INSIDE[number], between[number], interface("ws"))


def register(cseq: int) -> str:
    return message(
        "REGISTER sip:lab.test SIP/2.0",
        f"Via: SIP/2.0/WS a.invalid;branch=z9hG4bKreg{cseq}",
        "Max-Forwards: 70",
        "From: <sip:1000@lab.test>;tag=1",
        "To: <sip:1000@lab.test>",
        "Call-ID: reg",
        f"CSeq: {cseq} REGISTER",
        'Contact: <sip:x@a.invalid;transport=ws>;+sip.instance="<urn:uuid:f81d4fae>"',
        "Expires: 600",
    ).decode()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_browser_that_moved_is_called_and_hangs_up_and_a_dead_edge_is_noticed(
    transport: Transport, tmp_path: Path
) -> None:
    tls = make_certificate(tmp_path, HOSTS).tls

    async def scenario() -> None:
        with udp_peer() as node:

            async def heard() -> Wire:
                return Wire(await receive(node), Flow("", ("", 0)), 0.0)

            async def accepts(at: str) -> str:
                asked = await heard()
                stored = uri_of(asked["contact"])
                node.sendto(reply(asked, 200, f"Contact: <{stored}>;expires=180", tag="n"), (at, 5060))
                return stored

            one = await edge(0, node.getsockname(), transport, tls)
            await until(lambda: one.of(PeerLost))  # its first probe finds nobody
            two = await edge(1, node.getsockname(), transport, tls)
            await until(lambda: one.of(PeerReturned))
            async with agent(one) as before:
                await before.send_str(register(1))
                stored = await accepts(HOSTS[0])
                assert "200" in (await before.receive(5)).data
                async with agent(two) as after:
                    await after.send_str(register(2))
                    await accepts(HOSTS[1])
                    assert "200" in (await after.receive(5)).data
                    await until(lambda: one.of(ContactUnbound))
                    here = f"{node.getsockname()[0]}:{node.getsockname()[1]}"
                    invite = message(
                        f"INVITE {stored} SIP/2.0",
                        f"Via: SIP/2.0/UDP {here};branch=z9hG4bKinv;rport",
                        "Max-Forwards: 70",
                        "From: <sip:fs@fs>;tag=f",
                        "To: <sip:1000@lab.test>",
                        "Call-ID: moved",
                        "CSeq: 1 INVITE",
                        f"Contact: <sip:fs@{here}>",
                    )
                    node.sendto(invite, (HOSTS[0], 5060))
                    got = Wire((await after.receive(5)).data.encode(), Flow("", ("", 0)), 0.0)
                    assert got.start == "INVITE sip:x@a.invalid;transport=ws SIP/2.0"
                    answer = reply(got, 200, "Contact: <sip:x@a.invalid;transport=ws>", tag="a")
                    await after.send_str(answer.decode())
                    while (final := await heard()).status != 200:
                        pass
                    routes = [f"Route: {route}" for route in got.all("record-route")]
                    bye = message(
                        f"BYE {uri_of(got['contact'])} SIP/2.0",
                        "Via: SIP/2.0/WS a.invalid;branch=z9hG4bKbye",
                        *routes,
                        "Max-Forwards: 70",
                        f"From: <sip:1000@lab.test>;tag={param(final['to'], 'tag')}",
                        f"To: {got['from']}",
                        "Call-ID: moved",
                        "CSeq: 1 BYE",
                    )
                    await after.send_str(bye.decode())
                    assert (await heard()).method == "BYE"
            assert not one.of(RequestRefused)
            assert not two.of(RequestRefused)
            assert not two.of(PeerLost)  # neither node answers anything but calls, and both edges live
            one.host.kill()
            await until(lambda: two.of(PeerLost))
            await two.host.stop()

    in_loop(scenario)
