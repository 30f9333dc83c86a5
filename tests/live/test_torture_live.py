"""The torture messages one datagram at a time to an edge on real sockets, which answers OPTIONS afterwards."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Mapping

import pytest

from engine.boundary import Interface
from engine.config import EdgeConfig, NodeConfig
from engine.edge import Edge, EdgeSettings
from engine.live import LiveHost, run
from engine.policies import load_policy
from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from tests.engine.torture import FOLDER, MISSING, Torture, messages

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=MISSING)

# A loopback address for this process alone: answers go to the ports that the messages' Vias name.
SENDER = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"


def bound(host: str, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


def waiting(sock: socket.socket) -> list[bytes]:
    """What lies in a socket's buffer: loopback delivers within the call that sends."""
    found = []
    while True:
        try:
            found.append(sock.recv(65_535))
        except BlockingIOError:
            return found


def answer_port(message: Torture) -> int:
    """Where the answer goes: the port in the top Via."""
    try:
        parsed = parse_datagram(message.data)
        return (parsed.via.port if parsed else None) or 5060
    except SipError:
        return 5060


def options(edge: Interface) -> bytes:
    return (
        f"OPTIONS sip:{edge.host}:{edge.port} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {SENDER}:5060;branch=z9hG4bKafter;rport\r\n"
        f"From: <sip:me@{SENDER}>;tag=1\r\nTo: <sip:{edge.host}>\r\nCall-ID: after\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def outcomes(torture: list[Torture]) -> dict[str, set[str]]:
    """What became of each at an edge of its own, for some of them bear one and the same branch."""
    node = bound("127.0.0.1")
    answers = {port: bound(SENDER, port) for port in {5060, *map(answer_port, torture)}}
    try:
        return {message.name: await outcome(message, node, answers) for message in torture}
    finally:
        for sock in (node, *answers.values()):
            sock.close()


async def outcome(message: Torture, node: socket.socket, answers: Mapping[int, socket.socket]) -> set[str]:
    """Final statuses back to the sender, F where it was forwarded, else D."""

    def build(interfaces: Mapping[str, Interface]) -> Edge:
        config = EdgeConfig(
            name="edge",
            interfaces=tuple(interfaces.values()),
            nodes=(NodeConfig(name="FS1", host="127.0.0.1", port=node.getsockname()[1]),),
            domains=("example.com",),
        )
        return Edge(EdgeSettings(config, load_policy(config.policy)), random.Random(1))

    interface = Interface(name="agents", transport="udp", host="127.0.0.1", port=0)
    host = LiveHost(build, [interface], on_note=lambda *_: None)
    await host.start()
    edge = host.interface("agents")
    try:
        answers[5060].sendto(message.data, (edge.host, edge.port))
        answers[5060].sendto(options(edge), (edge.host, edge.port))
        got: list[bytes] = []
        while not any(b"Call-ID: after" in each and b" 200 " in each for each in got):
            got.append(await asyncio.wait_for(asyncio.get_running_loop().sock_recv(answers[5060], 65_535), 5))
    finally:
        host.kill()
    for sock in answers.values():
        got += waiting(sock)
    statuses = {each[8:11].decode() for each in got if b"Call-ID: after" not in each}
    found = {status for status in statuses if status >= "200"}
    if any(b"z9hG4bKp" not in each.split(b"\r\n", 2)[1] for each in waiting(node)):  # not a probe
        found.add("F")
    return found or {"D"}


def test_every_message_meets_a_permitted_end_and_the_edge_lives() -> None:
    torture = messages()
    found = run(outcomes(torture))
    assert len(found) == 49 + 12
    for message in torture:
        permitted = {each.rstrip("!") for each in message.permitted}
        assert found[message.name] <= permitted, f"{message.name}: {found[message.name]}, not {permitted}"
