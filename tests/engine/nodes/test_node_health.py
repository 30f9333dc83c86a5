"""What is learnt of a node: by OPTIONS probes, and from the calls themselves."""

from __future__ import annotations

import itertools

import pytest

from engine.config import PassiveConfig, ProbeConfig
from engine.notes import NodeStateChanged
from tests.engine.harness import World, node

# --- probes


def test_a_probe_each_interval() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(interval_s=5.0, jitter=0.0))
    world.advance(52)
    times = [wire.at for wire in world.node("FS1").probes]
    assert 0 <= times[0] <= 5
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(times) >= 10
    assert gaps == pytest.approx([5.0] * len(gaps))


def test_jitter_keeps_nodes_out_of_step() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(interval_s=10.0, jitter=0.2))
    world.advance(300)
    times = [wire.at for wire in world.node("FS1").probes]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(9.0 <= gap <= 11.0 for gap in gaps)
    assert len({round(gap, 6) for gap in gaps}) > 5


def test_a_probe_is_an_options_that_a_node_can_answer() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig())
    world.advance(6)
    probe = world.node("FS1").probes[0]
    assert probe.start == "OPTIONS sip:10.0.0.11:5060 SIP/2.0"
    assert probe["contact"] == "<sip:probe@10.0.0.1:5060>"
    assert {"via", "from", "to", "call-id", "cseq", "max-forwards", "content-length"} <= dict(probe.headers).keys()


def test_down_after_so_many_misses_and_back_after_so_many_answers() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(interval_s=5.0, jitter=0.0, leave_after=2, return_after=3))
    one = world.node("FS1")
    world.advance(6)
    assert world.state("FS1") == "active"
    one.alive = False
    world.advance(11)
    assert world.state("FS1") == "down"
    one.alive = True
    world.advance(5)
    assert world.state("FS1") == "returning"
    assert world.caller.invite().final.status == 503  # not yet
    world.advance(10)
    assert world.state("FS1") == "active"
    assert [note.after for note in world.told(NodeStateChanged)] == ["suspect", "down", "returning", "active"]


def test_a_miss_is_known_after_the_time_out() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(interval_s=5.0, timeout_s=1.5, leave_after=1, jitter=0.0))
    world.node("FS1").alive = False
    world.advance(7)
    sent = world.node("FS1").probes[0].at
    changed = world.told(NodeStateChanged)
    assert changed[-1].after == "down"
    assert len([wire for wire in world.node("FS1").probes if wire.at <= sent + 1.5]) == 2  # repeated once, at T1
    assert sent + 1.5 <= 7


@pytest.mark.parametrize(
    ("status", "lives"), [(200, True), (404, True), (405, True), (481, True), (500, False), (503, False)]
)
def test_which_answers_show_a_live_node(status: int, lives: bool) -> None:
    """503 is how a full, paused or starting FreeSWITCH answers; a refusal comes from a live one."""
    world = World(nodes=["FS1"], probe=ProbeConfig(jitter=0.0))
    world.node("FS1").probe_status = status
    world.advance(20)
    assert world.state("FS1") == ("active" if lives else "down")


@pytest.mark.parametrize(
    ("mode", "while_active", "while_down"),
    [("always", True, True), ("disabled_only", False, True), ("never", False, False)],
)
def test_probe_modes(mode: str, while_active: bool, while_down: bool) -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(mode=mode))  # type: ignore[arg-type]  # one of the three
    one = world.node("FS1")
    world.advance(20)
    assert bool(one.probes) == while_active
    one.alive = False
    one.unreachable()
    one.probes.clear()
    world.advance(20)
    assert bool(one.probes) == while_down


# --- what calls tell


def test_a_node_that_owes_an_answer_is_suspect_at_once_and_probed() -> None:
    world = World()
    world.caller.invite()
    first = world.called()
    world.advance(0.199)
    assert world.state(first.name) == "active"
    first.alive = False
    world.advance(0.001)
    assert world.state(first.name) == "suspect"
    for _ in range(4):
        world.caller.invite()
        assert world.called() is not first
        world.called().answer(200)


def test_an_answer_clears_the_suspicion() -> None:
    world = World(probe=ProbeConfig(mode="never"))
    world.caller.invite()
    first = world.called()
    world.advance(0.3)
    assert world.state(first.name) == "suspect"
    first.answer(100)
    assert world.state(first.name) == "active"


def test_three_silent_attempts_and_a_second_without_a_word_are_proof() -> None:
    world = World(nodes=["FS1"], passive=PassiveConfig(down_after=3, down_silence_s=1.0))
    world.node("FS1").alive = False
    world.advance(10)
    for expected in ("suspect", "suspect", "down"):
        world.caller.invite()
        world.advance(0.6)
        assert world.state("FS1") == expected


def test_silent_attempts_prove_nothing_while_others_are_answered() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(mode="never"))
    one = world.node("FS1")
    world.advance(10)
    for _ in range(6):
        world.caller.invite()
        world.advance(0.59)
        world.caller.invite()
        one.answer(486)
        world.advance(0.01)
    assert world.state("FS1") in ("active", "suspect")


def test_icmp_is_believed() -> None:
    world = World()
    world.node("FS1").unreachable()
    assert world.state("FS1") == "down"


def test_icmp_is_not_believed_where_so_set_yet_the_call_moves_on() -> None:
    world = World(passive=PassiveConfig(believe_icmp=False))
    call = world.caller.invite()
    first = world.called()
    first.unreachable()
    assert world.state(first.name) == "active"
    assert world.called() is not first
    world.called().answer(200)
    assert call.final.status == 200


def test_all_calls_that_wait_for_a_dead_node_move_on_at_once() -> None:
    world = World(nodes=[node("FS1", priority=1), "FS2"])
    calls = [world.caller.invite() for _ in range(5)]
    world.node("FS1").unreachable()
    assert len(world.node("FS2").got("INVITE")) == len(calls)


def test_an_answer_to_an_old_call_does_not_bring_a_dead_node_back() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(mode="disabled_only"))
    world.caller.invite()
    one = world.node("FS1")
    one.alive = False
    one.unreachable()
    one.answer(486)
    assert world.state("FS1") == "down"


def test_a_503_closes_the_node_for_its_retry_after() -> None:
    world = World(nodes=[node("FS1", priority=1), "FS2"])
    world.caller.invite()
    world.node("FS1").answer(503, "Retry-After: 4 (in a moment)")
    assert world.state("FS1") == "active"
    world.caller.invite()
    assert world.called().name == "FS2"
    world.advance(4)
    world.caller.invite()
    assert world.called().name == "FS1"


def test_a_retry_after_is_not_believed_beyond_the_cap() -> None:
    """FreeSWITCH always says 300 when full, though a channel may be free in a second."""
    world = World(nodes=[node("FS1", priority=1), "FS2"], passive=PassiveConfig(retry_after_cap_s=10.0))
    world.caller.invite()
    world.node("FS1").answer(503, "Retry-After: 300")
    assert world.status("FS1").closed_for_s == 10.0
