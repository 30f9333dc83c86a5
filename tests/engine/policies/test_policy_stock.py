"""The stock policies, seen from outside; the seed's three faults, and their absence from the default."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from engine.boundary import Level
from engine.config import ProbeConfig
from engine.notes import AttemptStarted, CallAnswered, DecisionTaken
from tests.engine.harness import World, node

POOL = (node("FS1", resources={"pstn": 500}), node("FS2", resources={"pstn": 500}))


def share(world: World, calls: int, *, hold: bool = True, user: str = "1000") -> Counter[str]:
    """How many of so many calls each node answers."""
    for number in range(calls):
        call = world.caller.invite(from_=f"<sip:{user}@192.0.2.1>;tag=n{number}")
        one = call.establish()
        if not hold:
            call.bye()
            one.answer(200, method="BYE")
        world.advance(0.01)
    return Counter(note.node for note in world.told(CallAnswered))


def test_least_loaded_evens_the_load_out() -> None:
    world = World(nodes=POOL)
    assert share(world, 20) == {"FS1": 10, "FS2": 10}
    small = World(nodes=[node("FS1", resources={"pstn": 30}), node("FS2", resources={"pstn": 10})])
    assert share(small, 20) == {"FS1": 20}


def test_round_robin_takes_turns() -> None:
    assert share(World(nodes=POOL, policy="round_robin"), 20, hold=False) == {"FS1": 10, "FS2": 10}


def test_weighted_keeps_to_the_weights() -> None:
    world = World(nodes=[node("FS1", weight=3), node("FS2", weight=1)], policy="weighted")
    assert share(world, 20) == {"FS1": 15, "FS2": 5}


def test_hash_user_keeps_a_users_calls_together() -> None:
    world = World(nodes=POOL, policy="hash_user")
    assert len(share(world, 10, user="1000")) == 1
    for number in range(40):
        share(world, 1, user=f"20{number}")
    assert len({note.node for note in world.told(CallAnswered)}) == 2


def test_latency_prefers_the_quicker() -> None:
    world = World(nodes=POOL, policy="latency", probe=ProbeConfig(mode="never"))
    for _ in range(2):
        world.caller.invite()
        one = world.called()
        world.advance(0.08 if one.name == "FS1" else 0.02)
        one.answer(486)
    for _ in range(5):
        world.caller.invite()
        assert world.called().name == "FS2"
        world.advance(0.02)
        world.called().answer(486)


@pytest.mark.parametrize("policy", ["least_loaded", "round_robin", "weighted", "hash_user", "latency"])
@pytest.mark.parametrize("status", [408, 500, 503, 599])
def test_the_next_node_is_tried_when_one_fails(policy: str, status: int) -> None:
    world = World(nodes=POOL, policy=policy)
    call = world.caller.invite()
    first = world.called()
    first.answer(status)
    second = world.called()
    assert second is not first
    second.answer(200)
    assert call.statuses == [100, 200]


@pytest.mark.parametrize("policy", ["least_loaded", "round_robin", "weighted", "hash_user", "latency"])
@pytest.mark.parametrize("status", [302, 401, 404, 486, 488, 600, 603])
def test_what_speaks_for_the_callee_ends_the_call(policy: str, status: int) -> None:
    world = World(nodes=POOL, policy=policy)
    call = world.caller.invite()
    world.called().answer(status)
    assert call.statuses == [100, status]


@pytest.mark.parametrize("policy", ["least_loaded", "round_robin", "weighted", "hash_user", "latency"])
def test_when_none_is_left_503_with_retry_after(policy: str) -> None:
    world = World(nodes=POOL, policy=policy)
    call = world.caller.invite()
    world.advance(1.2)
    assert call.final.status == 503
    assert "retry-after" in call.final
    assert call.final.at == pytest.approx(1.2)


def test_every_decision_names_the_candidates_and_why() -> None:
    world = World(nodes=[*POOL, node("FS3", resources={"pstn": 0}), node("FS4", enabled=False)])
    world.caller.invite()
    note = world.told(DecisionTaken)[0]
    assert (note.policy, note.group, note.resource, note.chosen) == ("least_loaded", "fs", "pstn", "FS1")
    assert note.why == "most free: 500"
    assert dict(note.passed_over) == {
        "FS2": "most_free",
        "FS3": "no free channel of pstn",
        "FS4": "disabled",
    }


def test_the_decision_that_found_nobody_is_told_too() -> None:
    world = World(nodes=[node("FS1", enabled=False)])
    world.caller.invite()
    assert [note.chosen for note in world.told(DecisionTaken)] == [""]


def test_details_that_no_one_reads_are_not_told_and_nothing_else_changes() -> None:
    detailed, terse = (World(nodes=POOL, seed=3, notes_from=level) for level in (Level.DEBUG, Level.INFO))
    for world in (detailed, terse):
        call = world.caller.invite()
        world.advance(0.7)  # the first node is silent
        world.called().answer(200)
        assert call.final.status == 200
    assert {note.level for note in detailed.notes} >= {Level.DEBUG, Level.INFO}
    assert terse.notes == [note for note in detailed.notes if note.level != Level.DEBUG]
    assert terse.sent == detailed.sent


# --- the seed


def seed(**settings: Any) -> World:
    return World(nodes=POOL, policy="seed", probe=ProbeConfig(mode="always", jitter=0.0), **settings)


def test_the_seed_costs_fr_timer_for_a_dead_node() -> None:
    world = seed()
    call = world.caller.invite()
    world.advance(2.0)
    world.node("FS2").answer(200)
    assert call.final.at == 2.0


def test_the_seed_says_all_gw_are_down() -> None:
    world = seed()
    call = world.caller.invite()
    world.advance(4.0)
    assert (call.final.status, call.final.reason) == (500, "All GW are down")


def test_the_seed_answers_500_when_full_and_405_to_other_methods() -> None:
    world = World(nodes=[node("FS1", resources={"pstn": 0})], policy="seed")
    assert world.caller.invite().final.status == 500
    assert world.caller.request("MESSAGE", "sip:1001@192.0.2.1").statuses == [405]


def first_tries(policy: str, calls: int = 12) -> Counter[str]:
    """Where calls go first, after FS1 has died and lost its calls while FS2 holds ten."""
    world = World(nodes=POOL, policy=policy, probe=ProbeConfig(mode="always", jitter=0.0))
    share(world, 20)
    dead = world.node("FS1")
    dead.alive = False
    for wire in list(world.caller.inbox):
        if wire.status == 200 and wire["contact"] == "<sip:10.0.0.11:5060>":
            world.caller.bye(wire)  # its callers notice the silence and hang up
    world.advance(40)
    world.notes.clear()
    for _ in range(calls):
        world.caller.invite()
        if world.called() is not dead:
            world.called().answer(200)
        world.advance(2.0)
        if world.called() is not dead:
            world.called().answer(200)
    return Counter(note.node for note in world.told(AttemptStarted) if note.attempt == 1)


def test_fault_1_a_dead_node_whose_load_falls_to_0_attracts_every_call() -> None:
    assert first_tries("seed") == {"FS1": 12}


def test_fault_1_is_not_the_defaults() -> None:
    assert first_tries("least_loaded") == {"FS2": 12}


def test_fault_2_register_has_no_failover() -> None:
    world = seed()
    exchange = world.caller.request("REGISTER", "sip:192.0.2.1", to="<sip:1000@192.0.2.1>")
    world.advance(3.0)
    assert sum(bool(one.got("REGISTER")) for one in world.nodes) == 1
    assert exchange.statuses == [504]


def test_fault_2_is_not_the_defaults() -> None:
    world = World(nodes=POOL)
    exchange = world.caller.request("REGISTER", "sip:192.0.2.1", to="<sip:1000@192.0.2.1>")
    first = next(one for one in world.nodes if one.got("REGISTER"))
    world.advance(0.6)
    second = next(one for one in world.nodes if one is not first and one.got("REGISTER"))
    second.answer(401, method="REGISTER")
    assert exchange.statuses == [401]


def tries_after_603(policy: str) -> int:
    world = World(nodes=POOL, policy=policy)
    world.caller.invite()
    world.called().answer(603)
    return len(world.told(AttemptStarted))


def test_fault_3_a_6xx_is_retried_elsewhere() -> None:
    assert tries_after_603("seed") == 2


def test_fault_3_is_not_the_defaults() -> None:
    assert tries_after_603("least_loaded") == 1
