"""Conversations survive the death of their node: over many seeds, with the node's events and without them."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

import topologies
from engine.notes import CallNotRescued, CallRescued, MediaMoved, MediaNotJoined, MediaNotMoved, RescuedCallEnded
from sim.agents.notes import CallEnded
from sim.run import simulate
from tests.sim.deaths import RTPENGINES, Story, written
from topologies.faults import ProcessFault, Start
from topologies.topology import Topology


def deployment(
    conversations: int,
    events: bool,
    death: str,
    died_s: float,
    relay: str = "builtin",
    more: str = "",
    *,
    kept: bool = False,
) -> Topology:
    """Phones and browsers in all combinations; one more phone listens to an echo. ``more`` are faults besides."""
    users = 2 * conversations + 1
    phones, browsers = range(1000, 1000 + users), range(3000, 3000 + users)
    pairs = [(phones, phones), (phones, browsers), (browsers, phones), (browsers, browsers)]
    text = written(
        phones=f"{phones[0]}-{phones[-1]}",
        browsers=f"{browsers[0]}-{browsers[-1]}",
        nodes=2,
        duration_s=40,
        relay=f"{relay}\n    store: main" if kept else relay,
        events=events,
    )
    if kept:
        text = "databases: {main: {}}\n" + text
    for index in range(conversations):
        one, other = pairs[index % 4]
        place = "phones" if one is phones else "browsers"
        to = other[2 * index + 1]
        call = f"kind: call, target: {place}/{one[2 * index]}, to: {to}, hold_s: 25"
        text += f"      - {{at_s: {3 + index * 0.01}, {call}}}\n"
    text += f"      - {{at_s: 3, kind: call, target: phones/{phones[-1]}, to: 9196, hold_s: 25}}\n"
    for node in ("FS1", "FS2"):
        text += f"      - {{at_s: {died_s}, kind: {death}, target: {node}}}\n"
    return topologies.parse((text + more).encode())


@cache
def story(
    seed: int, *, conversations: int = 4, events: bool = True, death: str = "kill", relay: str = "builtin"
) -> Story:
    """Both nodes die at a moment that the seed chooses."""
    died_s = round(Random(seed).uniform(6.0, 16.0), 3)
    return Story(simulate(deployment(conversations, events, death, died_s, relay), seed=seed), died_s)


def goes_on(told: Story, conversations: int, most_s: float) -> None:
    """Everybody is heard again, both sides hang up in the end, and nothing is left behind."""
    assert told.run.violations == []
    assert told.run.drained
    assert len(told.told(CallRescued)) == len(told.told(RescuedCallEnded)) == conversations
    assert {note.why for note in told.told(RescuedCallEnded)} == {"bye"}
    heard = [each for each in told.agents() if each.speaker != each.listener]
    assert len(heard) == 2 * conversations
    assert max(each.longest_gap_s for each in heard) <= most_s
    assert min(each.last_s or 0.0 for each in heard) > told.died_s + 8.0


SEEDS, CHUNK = range(200), 20


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_with_the_nodes_events_nobody_notices(first: int) -> None:
    for seed in range(first, first + CHUNK):
        goes_on(story(seed), 4, 0.3)


@pytest.mark.parametrize("first", range(0, 40, CHUNK))
def test_without_events_a_killed_process_is_found_by_the_next_probe(first: int) -> None:
    for seed in range(first, first + CHUNK):
        goes_on(story(seed, events=False), 4, 6.0)


@pytest.mark.parametrize("first", range(0, 40, CHUNK))
def test_a_node_that_only_falls_silent_costs_no_more_than_its_probes_take(first: int) -> None:
    for seed in range(first, first + CHUNK):
        goes_on(story(seed, events=False, death="freeze"), 4, 12.1)


@pytest.mark.parametrize("first", range(0, 20, 10))
def test_nor_does_anybody_where_rtpengines_relay(first: int) -> None:
    """Both calls of a conversation are at one of the two, or each at another."""
    for seed in range(first, first + 10):
        goes_on(story(seed, relay=RTPENGINES), 4, 0.4)
        assert story(seed, relay=RTPENGINES).told(MediaNotJoined) == []


def test_a_rescued_conversation_outlives_its_rtpengine_too() -> None:
    """It is moved as any other, by re-INVITEs in the name of the node that is gone."""
    for seed in range(5):
        more = "      - {at_s: 14, kind: kill, target: RTP1}\n"
        topology = deployment(4, True, "kill", 8.0 + seed / 10, RTPENGINES, more)
        told = Story(simulate(topology, seed=seed), 14.0)
        assert told.told(MediaMoved)
        assert told.told(MediaNotMoved) == told.told(MediaNotJoined) == []
        goes_on(told, 4, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(20, 200, 20))
def test_nor_does_anybody_there_over_many_seeds(first: int) -> None:
    for seed in range(first, first + 20):
        goes_on(story(seed, relay=RTPENGINES), 4, 0.4)


def test_two_hundred_conversations_at_once() -> None:
    told = story(1, conversations=200)
    goes_on(told, 200, 0.3)
    heard = sorted(each.longest_gap_s for each in told.agents())
    assert heard[int(len(heard) * 0.99)] <= 0.3


def test_a_call_to_an_application_ends_at_once_and_says_why() -> None:
    told = story(0)
    (alone,) = told.told(CallNotRescued)
    (ended,) = [note for note in told.told(CallEnded) if note.call_id == alone.call_id]
    assert ended.why == "far end hung up"
    assert "cause=27" in ended.reason


def test_a_node_that_wakes_may_answer_calls_that_were_answered_elsewhere() -> None:
    """Its late 2xx makes a second dialog, which the caller ends; the request is forgotten by then."""
    text = written(
        phones="1000-1007", browsers="1008-1008", nodes=2, duration_s=20, events=False, users="1000-1009"
    )
    for index in range(8):
        call = f"kind: call, target: phones/{1000 + index}, to: 9196, hold_s: 3"
        text += f"      - {{at_s: {4 + index * 0.1}, {call}}}\n"
    text += "      - {at_s: 3, kind: freeze, target: FS1}\n      - {at_s: 9, kind: thaw, target: FS1}\n"
    run = simulate(topologies.parse(text.encode()))
    assert run.drained
    assert run.violations == []


@pytest.mark.parametrize("kept", [False, True])
def test_after_a_restart_of_the_edge_a_bye_ends_both_sides_where_there_is_a_store(kept: bool) -> None:
    """Without one nothing is known of a rescued call any more: each side ends by itself."""
    topology = deployment(4, events=True, death="kill", died_s=8.0, kept=kept)
    scenario = topology.scenarios["death"]
    restart = (
        ProcessFault(at_s=12.0, kind="kill", target="edge1"),
        Start(at_s=13.0, kind="start", target="edge1"),
    )
    scenarios = {"death": scenario.model_copy(update={"faults": (*scenario.faults, *restart)})}
    told = Story(simulate(topology.model_copy(update={"scenarios": scenarios})), 8.0)
    assert told.run.violations == []
    assert told.run.drained
    assert len(told.told(CallRescued)) == 4
    why = {note.user: note.why for note in told.told(CallEnded)}
    assert len(why) == 9
    # 3003 and 3007 have had no node to register at since, so that no edge reaches their WebSockets.
    assert {why[user] for user in ("1001", "1005")} == ({"far end hung up"} if kept else {"500"})
    assert {why[user] for user in ("1000", "1002", "3004", "3006")} == ({"hung up"} if kept else {"500"})
