"""Conversations outlive a real FreeSWITCH that is killed under them.

``pytest -m freeswitch --freeswitch HOST1 --freeswitch HOST2 --freeswitch-kill COMMAND``, with as many users as
there are to be callers and callees: FREESWITCH_USERS=1000-1399 makes 200 conversations.
"""

from __future__ import annotations

import os
import random
from typing import TypeVar

import pytest

from engine.boundary import Note
from engine.notes import CallNotRescued, CallRescued, NodeStateChanged, RescuedCallEnded
from lab.outcome import Outcome
from lab.rehearsal import rehearse_topology
from sim.agents.notes import CallEnded, CallSetUp
from sim.media import Heard
from topologies import Topology, parse

pytestmark = pytest.mark.freeswitch

N = TypeVar("N", bound=Note)
DEPLOYMENT = """
edges:
  edge1:
    interfaces:
      phones: {host: HERE}
      inside: {host: THERE}
    relay: builtin
nodes:
  FS1: &fs
    host: FIRST
    port: FIRST_PORT
    interface: inside
    events: {port: EVENTS_PORT, password: EVENTS_PASSWORD}
    resources: pstn=fs
  FS2: {<<: *fs, host: SECOND, port: SECOND_PORT}
clients:
  phones:
    kind: softphone
    host: AGENTS
    users: USERS
    password: "PASSWORD"
    interface: phones
    register_spread_s: SPREAD
scenarios:
  death:
    duration_s: LASTS
    media: streams
    faults:
      - {at_s: DIES, kind: kill, target: FS1}
"""


def users() -> list[str]:
    given = os.environ.get("FREESWITCH_USERS", "1000,1001")
    first, dash, last = given.partition("-")
    return [str(number) for number in range(int(first), int(last) + 1)] if dash else given.split(",")


def deployment(nodes: list[str], per_s: float = 20.0, talks_s: float = 20.0) -> Topology:
    """Users call each other in pairs over two nodes, of which one dies when all speak."""
    network = f"127.{random.randint(100, 125)}.{random.randint(1, 250)}"
    callers = users()
    pairs = list(zip(callers[::2], callers[1::2], strict=False))
    spread_s = len(callers) / 40
    began_s = 3.0 + spread_s
    dies_s = began_s + len(pairs) / per_s + 5.0
    lasts_s = dies_s + talks_s
    text = DEPLOYMENT
    for word, node in zip(("FIRST", "SECOND"), nodes, strict=True):
        host, _, port = node.partition(":")
        text = text.replace(f"{word}_PORT", port or "5060").replace(word, host)
    said = {
        "HERE": f"{network}.1",
        "THERE": f"{network}.2",
        "AGENTS": f"{network}.3",
        "EVENTS_PORT": os.environ.get("FREESWITCH_EVENTS", "8021"),
        "EVENTS_PASSWORD": os.environ.get("FREESWITCH_EVENTS_PASSWORD", "ClueCon"),
        "PASSWORD": os.environ.get("FREESWITCH_PASSWORD", "1234"),
        "USERS": f"{callers[0]}-{callers[-1]}",
        "SPREAD": f"{spread_s:g}",
        "LASTS": f"{lasts_s:g}",
        "DIES": f"{dies_s:g}",
    }
    for word, value in said.items():
        text = text.replace(word, value)
    for index, (one, other) in enumerate(pairs):
        at_s = began_s + index / per_s
        call = f"kind: call, target: phones/{one}, to: {other}, hold_s: {lasts_s - 3.0 - at_s:.2f}"
        text += f"      - {{at_s: {at_s:.2f}, {call}}}\n"
    return parse(text.encode())


def told(outcome: Outcome, kind: type[N]) -> list[N]:
    return [each.note for each in outcome.notes if isinstance(each.note, kind)]


def test_conversations_go_on_when_one_of_two_nodes_is_killed(pytestconfig: pytest.Config) -> None:
    nodes = pytestconfig.getoption("--freeswitch")
    command = pytestconfig.getoption("--freeswitch-kill")
    if len(nodes) < 2 or not command:
        pytest.skip("no two --freeswitch HOST[:PORT] and --freeswitch-kill COMMAND given")
    outcome = rehearse_topology(
        deployment(nodes[:2]), real=("FS1", "FS2"), kill_with={"FS1": command}, drain_s=20.0
    )
    report(outcome)
    assert outcome.violations == []
    rescued = told(outcome, CallRescued)
    assert rescued
    assert told(outcome, CallNotRescued) == []
    assert {note.why for note in told(outcome, RescuedCallEnded)} == {"bye"}
    assert len(told(outcome, RescuedCallEnded)) == len(rescued)
    set_up = {note.call_id for note in told(outcome, CallSetUp)}
    assert len(set_up) == len(users()) // 2
    assert set_up <= {note.call_id for note in told(outcome, CallEnded)}
    gaps = sorted(each.longest_gap_s for each in spoken(outcome))
    assert len(gaps) == 2 * len(set_up)
    assert gaps[int(len(gaps) * 0.99)] <= 1.0


def spoken(outcome: Outcome) -> list[Heard]:
    """What phones heard of each other."""
    return [each for each in told(outcome, Heard) if each.speaker.isdigit() and each.speaker != each.listener]


def report(outcome: Outcome) -> None:
    """The figures, for who asks for them by -s."""
    gaps = sorted(each.longest_gap_s for each in spoken(outcome)) or [0.0]
    states = [f"{note.node} {note.before}->{note.after}" for note in told(outcome, NodeStateChanged)]
    print(f"\n{len(told(outcome, CallSetUp))} conversations, {len(told(outcome, CallRescued))} rescued", *states)
    print(f"gaps of {len(gaps)} listeners: p50 {gaps[len(gaps) // 2]:.2f} s, longest {gaps[-1]:.2f} s")
