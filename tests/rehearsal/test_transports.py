"""Calls from agents on each transport, alike in simulation and on real sockets; nobody needs a certificate."""

from __future__ import annotations

import pytest

from engine.notes import CallAdmitted, CallAnswered, ConnectionOpened, DialogEnded
from lab.rehearsal.run import rehearse_topology
from sim.run import simulate
from sim.trace import NoteRecord
from topologies import Topology, parse

TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
CALLS = 4


def topology() -> Topology:
    files = "{certificate: not/here.pem, private_key: nor/here.key}"  # production's, of no use to a rehearsal
    interfaces = [
        f"{each}: {{host: 127.0.0.1, port: {5060 + number}, transport: {each}, tls: {files}}}"
        for number, each in enumerate(TRANSPORTS)
    ]
    clients = [f"c-{each}: {{host: 127.0.2.{n}, transport: {each}}}" for n, each in enumerate(TRANSPORTS, start=1)]
    traffic = [
        f"{{from: c-{each}, to: 9196, rate_per_s: 3, arrivals: fixed, hold_s: 0.3, calls: {CALLS}}}"
        for each in TRANSPORTS
    ]
    return parse(
        f"""
edges: {{edge1: {{interfaces: {{{", ".join(interfaces)}}}, probe: {{mode: never}}}}}}
nodes: {{FS1: {{host: 127.0.1.1, resources: pstn=100}}}}
clients: {{{", ".join(clients)}}}
scenarios: {{all: {{duration_s: 2, traffic: [{", ".join(traffic)}]}}}}
""".encode()
    )


@pytest.fixture(scope="module")
def worlds() -> tuple[list[NoteRecord], list[NoteRecord]]:
    read = topology()
    rehearsed: list[NoteRecord] = []
    rehearse_topology(read, drain_s=20, free_ports=True, on_note=rehearsed.append)
    return list(simulate(read).notes), rehearsed


def test_each_call_of_each_transport_is_answered_and_ends_in_both_worlds(
    worlds: tuple[list[NoteRecord], list[NoteRecord]],
) -> None:
    for records in worlds:
        for kind in (CallAdmitted, CallAnswered, DialogEnded):
            assert sum(isinstance(record.note, kind) for record in records) == CALLS * len(TRANSPORTS), kind


def test_each_agent_keeps_to_one_connection_in_both_worlds(
    worlds: tuple[list[NoteRecord], list[NoteRecord]],
) -> None:
    for records in worlds:
        opened = [record.note.interface for record in records if isinstance(record.note, ConnectionOpened)]
        assert sorted(opened) == sorted(TRANSPORTS[1:])
