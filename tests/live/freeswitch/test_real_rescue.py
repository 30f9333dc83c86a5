"""Conversations, and calls to applications, outlive a real FreeSWITCH that is killed under them.

``pytest -m freeswitch --freeswitch HOST1 --freeswitch HOST2 --freeswitch-kill COMMAND``, with as many users as
there are to be callers and callees: FREESWITCH_USERS=1000-1403 makes 200 conversations, and four users listen to
the tone at 9664.
"""

from __future__ import annotations

import os
import random
from typing import TypeVar

import pytest

from engine.boundary import Flow, Note
from engine.config import NodeConfig
from engine.nodes import Node
from engine.nodes.selection import Wish, rendezvous
from engine.notes import CallMoved, CallNotRescued, CallRescued, NodeStateChanged, RescuedCallEnded
from lab.outcome import Outcome
from lab.rehearsal import rehearse_topology
from sim.agents.notes import CallEnded, CallSetUp
from sim.faults import FaultApplied
from sim.media import Heard
from topologies import Topology, parse

pytestmark = pytest.mark.freeswitch

N = TypeVar("N", bound=Note)
TONE = "9664"
DEPLOYMENT = """
edges:
  edge1:
    interfaces:
      phones: {host: OUTSIDE}
      inside: {host: WITHIN}
    policy: hash_user
    relay: builtin
    rescue: {others: move}
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


def home(user: str) -> str:
    """The node that a user registers and calls at, by the policy ``hash_user``: nodes share no registrations."""
    nodes = [Node(NodeConfig(name=name, host="127.0.0.1"), Flow("", ("", 0))) for name in ("FS1", "FS2")]
    return rendezvous(nodes, Wish("", user.encode(), random.Random()))[0].name


def parts() -> tuple[list[tuple[str, str]], list[str]]:
    """Who calls whom, both at one node, and who calls the tone: up to four."""
    everybody = users()
    listeners = everybody[max(len(everybody) - 4, 2) :]
    others = everybody[: len(everybody) - len(listeners)]
    pairs: list[tuple[str, str]] = []
    for name in ("FS1", "FS2"):
        here = [user for user in others if home(user) == name]
        pairs += zip(here[::2], here[1::2], strict=False)
    return pairs, listeners


def deployment(nodes: list[str], per_s: float = 10.0, talks_s: float = 20.0) -> Topology:
    """Users call each other in pairs over two nodes, of which one dies when all speak."""
    network = f"127.{random.randint(100, 125)}.{random.randint(1, 250)}"
    callers = users()
    pairs, listeners = parts()
    calls = [*pairs, *((one, TONE) for one in listeners)]
    spread_s = len(callers) / 20
    began_s = 3.0 + spread_s
    dies_s = began_s + len(calls) / per_s + 5.0
    lasts_s = dies_s + talks_s
    text = DEPLOYMENT
    for word, node in zip(("FIRST", "SECOND"), nodes, strict=True):
        host, _, port = node.partition(":")
        text = text.replace(f"{word}_PORT", port or "5060").replace(word, host)
    said = {
        "OUTSIDE": f"{network}.1",
        "WITHIN": f"{network}.2",
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
    for index, (one, other) in enumerate(calls):
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
    pairs, listeners = parts()
    if not any(home(caller) == "FS1" for caller, _ in pairs):
        pytest.skip("the users are too few to have a conversation at the first node")
    outcome = rehearse_topology(
        deployment(nodes[:2]), real=("FS1", "FS2"), kill_with={"FS1": command}, drain_s=20.0
    )
    report(outcome)
    assert outcome.violations == []
    rescued = told(outcome, CallRescued)
    moved = {note.call_id for note in told(outcome, CallMoved)}
    assert len(moved) == sum(home(user) == "FS1" for user in listeners)
    assert len(rescued) == sum(home(caller) == "FS1" for caller, _ in pairs)
    assert told(outcome, CallNotRescued) == []
    assert {note.why for note in told(outcome, RescuedCallEnded)} == {"bye"}
    assert len(told(outcome, RescuedCallEnded)) == len(rescued) + len(moved)
    set_up = {note.call_id for note in told(outcome, CallSetUp)}
    assert len(set_up) == len(pairs) + len(listeners)
    assert set_up <= {note.call_id for note in told(outcome, CallEnded)}
    gaps = sorted(each.longest_gap_s for each in spoken(outcome))
    assert len(gaps) == 2 * len(pairs)
    assert gaps[int(len(gaps) * 0.99)] <= 1.0
    died_s = next(each.time_s for each in outcome.notes if isinstance(each.note, FaultApplied))
    for tone in tones(outcome, moved):
        assert tone.last_s is not None
        assert tone.last_s > died_s + 10.0
        assert tone.longest_gap_s <= 2.0


def tones(outcome: Outcome, calls: set[str]) -> list[Heard]:
    """What callers of the tone heard whose calls were moved."""
    return [each for each in told(outcome, Heard) if each.call_id in calls]


def spoken(outcome: Outcome) -> list[Heard]:
    """What phones heard of each other."""
    return [each for each in told(outcome, Heard) if each.speaker.isdigit() and each.speaker != each.listener]


def report(outcome: Outcome) -> None:
    """The figures, for who asks for them by -s."""
    gaps = sorted(each.longest_gap_s for each in spoken(outcome)) or [0.0]
    states = [f"{note.node} {note.before}->{note.after}" for note in told(outcome, NodeStateChanged)]
    print(f"\n{len(told(outcome, CallSetUp))} conversations, {len(told(outcome, CallRescued))} rescued", *states)
    moved = {note.call_id: note for note in told(outcome, CallMoved)}
    for tone in tones(outcome, set(moved)):
        print(f"tone: moved after {moved[tone.call_id].after_s:.2f} s, longest gap {tone.longest_gap_s:.2f} s")
    print(f"gaps of {len(gaps)} listeners: p50 {gaps[len(gaps) // 2]:.2f} s, longest {gaps[-1]:.2f} s")
