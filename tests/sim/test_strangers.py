"""Strangers in the simulated world: nobody sends through an edge to whom he likes."""

from __future__ import annotations

import random

from engine.boundary import AgentOrder
from engine.config import EdgeConfig, NodeConfig, RegistrarConfig
from engine.edge import Edge, EdgeSettings
from engine.notes import MessageDropped, RequestRefused
from engine.policies import load_policy
from sim.trace import NoteRecord
from sim.world import World
from tests.engine.wire import message
from tests.sim.toys import Ear, interface

EDGE, STRANGER, VICTIM = ("127.0.0.1", 5060), ("127.0.9.1", 5060), ("127.0.9.2", 5060)
CONFIG = EdgeConfig(
    name="edge1",
    interfaces=(interface(EDGE),),
    nodes=(NodeConfig(name="FS1", host="127.0.1.1", port=5060),),
    registrar=RegistrarConfig(secret="not the stranger's to know"),
)


def asks(method: str, branch: str) -> bytes:
    """A request of a dialog that never was, with the Route that everybody can read off a call of its own."""
    return message(
        f"{method} sip:victim@{VICTIM[0]}:{VICTIM[1]} SIP/2.0",
        f"Via: SIP/2.0/UDP {STRANGER[0]}:{STRANGER[1]};branch=z9hG4bK{branch}",
        "Route: <sip:127.0.0.1:5060;lr;ftag=made-up>",
        "Max-Forwards: 70",
        "From: <sip:mallory@example.com>;tag=made-up",
        "To: <sip:victim@example.com>;tag=made-up-too",
        "Call-ID: made-up",
        f"CSeq: 1 {method}",
        "Contact: <sip:mallory@127.0.9.1>",
    )


def test_the_edge_is_no_open_relay_for_requests_that_claim_a_dialog() -> None:
    world = World(seed=1)
    told: list[NoteRecord] = []
    world.trace.listen(None, told.append)
    stranger, victim = Ear(EDGE), Ear()
    world.add(
        "edge1",
        lambda _: Edge(EdgeSettings(CONFIG, load_policy(CONFIG.policy)), random.Random(1)),
        CONFIG.interfaces,
    )
    world.add("stranger", lambda _: stranger, [interface(STRANGER)])
    world.add("victim", lambda _: victim, [interface(VICTIM)])
    for number, method in enumerate(("INVITE", "MESSAGE", "BYE", "ACK")):
        order = AgentOrder("send", asks(method, f"s{number}").decode())
        world.network.later(1.0 + number, world.deliver, "stranger", order)
    world.run(10.0)
    assert victim.data == []
    answers = [data.partition(b"\r\n")[0] for data in stranger.data]
    assert set(answers) == {b"SIP/2.0 403 Forbidden"}
    notes = [record.note for record in told]
    assert [note.method for note in notes if isinstance(note, RequestRefused)] == ["INVITE", "MESSAGE", "BYE"]
    assert [note.why for note in notes if isinstance(note, MessageDropped)] == ["ACK that belongs to nothing"]
