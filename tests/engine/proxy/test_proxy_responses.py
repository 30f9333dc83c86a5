"""Forks, and what goes back to the caller (RFC 3261 §16.7; RFC 4320)."""

from __future__ import annotations

import pytest

from engine.notes import AttemptEnded, CallAnswered, CallFailed
from tests.engine.harness import World
from tests.engine.proxy.scripts import Parallel, Serial
from tests.engine.wire import param

# --- what passes


def test_provisional_responses_pass_at_once_but_not_100() -> None:
    world = World()
    call = world.caller.invite()
    node = world.called()
    for status in (100, 180, 183, 199):
        node.answer(status)
    assert call.statuses == [100, 180, 183, 199]  # the 100 is our own
    assert not param(call.responses[0]["to"], "tag")


def test_every_2xx_passes_the_repeated_ones_too() -> None:
    world = World()
    call = world.caller.invite()
    node = world.called()
    for _ in range(3):
        node.answer(200)
        world.advance(0.5)
    assert call.statuses == [100, 200, 200, 200]
    assert len(world.told(CallAnswered)) == 1


def test_forked_2xx_of_one_node_are_dialogs_of_their_own() -> None:
    world = World()
    call = world.caller.invite()
    node = world.called()
    node.answer(200, tag="a")
    node.answer(200, tag="b")
    assert call.statuses == [100, 200, 200]
    assert world.edge.open_dialogs() == 2
    assert world.in_use(node.name) == 2


def test_what_comes_after_the_final_response_is_dropped() -> None:
    world = World()
    call = world.caller.invite()
    node = world.called()
    for status in (486, 180, 486, 200):
        node.answer(status)
    assert call.statuses == [100, 486]
    assert len(node.got("ACK")) == 2  # each 486 is acknowledged


def test_another_elements_503_becomes_500() -> None:
    """Step 6: a 503 of ours would say that we are overloaded."""
    world = World(nodes=["FS1"], policy=Serial())
    call = world.caller.invite()
    world.node("FS1").answer(503, "Retry-After: 300")
    assert call.statuses == [100, 500]
    assert "retry-after" not in call.final


# --- forks


def test_a_parallel_fork_rings_everywhere_and_the_first_2xx_ends_the_rest() -> None:
    world = World(policy=Parallel())
    call = world.caller.invite()
    first, second = world.nodes
    first.answer(180)
    second.answer(180)
    second.answer(200)
    assert call.statuses == [100, 180, 180, 200]
    assert len(first.got("CANCEL")) == 1
    assert second.got("CANCEL") == []
    first.answer(200, method="CANCEL")
    first.answer(487)
    assert call.statuses == [100, 180, 180, 200]
    assert len(first.got("ACK")) == 1


def test_a_branch_that_said_nothing_yet_is_cancelled_when_it_does() -> None:
    """§9.1: no CANCEL before a provisional response."""
    world = World(policy=Parallel())
    world.caller.invite()
    first, second = world.nodes
    second.answer(200)
    assert first.got("CANCEL") == []
    first.answer(100)
    assert len(first.got("CANCEL")) == 1


def test_branches_differ_and_a_cancel_goes_under_that_of_its_invite() -> None:
    world = World(policy=Parallel())
    call = world.caller.invite()
    for node in world.nodes:
        node.answer(180)
    call.cancel()
    branches = {node.got("INVITE")[0].branch for node in world.nodes}
    assert len(branches) == 2
    assert {node.got("CANCEL")[0].branch for node in world.nodes} == branches
    for node in world.nodes:
        assert len(node.got("CANCEL")[0].all("via")) == 1


def final(*statuses: int, policy: Parallel | Serial | None = None) -> int:
    """What the caller gets when the branches of a parallel fork bring these."""
    world = World(nodes=[f"FS{number + 1}" for number in range(len(statuses))], policy=policy or Parallel())
    call = world.caller.invite()
    for node, status in zip(world.nodes, statuses, strict=True):
        node.answer(status)
    return call.final.status


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ((486, 404), 486),  # the first of equals
        ((503, 486), 486),  # the lowest class
        ((486, 302), 302),
        ((486, 603), 603),  # a 6xx speaks for all
        ((302, 600), 600),
        ((404, 401), 401),  # what helps the caller to try again
        ((486, 407), 407),
        ((404, 484), 484),
        ((500, 503), 500),
        ((503, 503), 500),
    ],
)
def test_the_best_response_is_chosen(statuses: tuple[int, int], best: int) -> None:
    assert final(*statuses) == best


def test_a_6xx_cancels_what_still_rings() -> None:
    world = World(policy=Parallel())
    call = world.caller.invite()
    first, second = world.nodes
    first.answer(180)
    second.answer(603)
    assert len(first.got("CANCEL")) == 1
    assert call.statuses == [100, 180]  # step 6 waits for all
    first.answer(487)
    assert call.statuses == [100, 180, 603]


def test_all_challenges_are_gathered() -> None:
    """Step 7: else the caller could answer one of them only."""
    world = World(nodes=["FS1", "FS2", "FS3"], policy=Parallel())
    call = world.caller.invite()
    world.node("FS1").answer(401, 'WWW-Authenticate: Digest realm="a"')
    world.node("FS2").answer(407, 'Proxy-Authenticate: Digest realm="b"')
    world.node("FS3").answer(401, 'WWW-Authenticate: Digest realm="c"')
    assert call.final.status == 401
    assert call.final.all("www-authenticate") == ['Digest realm="a"', 'Digest realm="c"']
    assert call.final.all("proxy-authenticate") == ['Digest realm="b"']


def test_the_policy_learns_whose_answer_it_was() -> None:
    policy = Parallel()
    world = World(policy=policy)
    world.caller.invite()
    world.node("FS1").answer(486)
    world.node("FS2").answer(503)
    assert (policy.answers[0].status, policy.answers[0].node) == (486, "FS1")


def test_a_serial_fork_sends_the_best_of_all() -> None:
    world = World(policy=Serial())
    call = world.caller.invite()
    world.node("FS1").answer(404)
    world.node("FS2").answer(503)
    assert call.statuses == [100, 404]


# --- Max-Breadth (RFC 5393 §5)


def test_breadth_is_shared_out() -> None:
    world = World(policy=Parallel())
    world.caller.invite("sip:9196@192.0.2.1", "Max-Breadth: 9")
    assert [node.got("INVITE")[0]["max-breadth"] for node in world.nodes] == ["4", "4"]


def test_without_a_bound_it_is_60() -> None:
    world = World(policy=Parallel())
    world.caller.invite()
    assert [node.got("INVITE")[0]["max-breadth"] for node in world.nodes] == ["30", "30"]


@pytest.mark.parametrize(("policy", "breadth"), [(Parallel, 1), (Parallel, 0), (Serial, 0)])
def test_no_breadth_left(policy: type[Parallel] | type[Serial], breadth: int) -> None:
    world = World(policy=policy())
    assert world.caller.invite("sip:9196@192.0.2.1", f"Max-Breadth: {breadth}").statuses == [100, 440]
    assert not any(node.inbox for node in world.nodes)


def test_a_breadth_beyond_all_numbers() -> None:
    world = World(policy=Parallel())
    assert world.caller.invite("sip:9196@192.0.2.1", "Max-Breadth: " + "9" * 5000).statuses == [100]


# --- time


def test_timer_c_ends_a_branch_that_only_rings() -> None:
    world = World(nodes=["FS1"])
    call = world.caller.invite()
    node = world.node("FS1")
    node.answer(180)
    world.advance(100)
    node.answer(180)  # step 2: starts it anew
    world.advance(179)
    assert node.got("CANCEL") == []
    world.advance(1)
    assert len(node.got("CANCEL")) == 1
    assert call.statuses == [100, 180, 180, 503]  # least_loaded's own, for no other node is left
    assert world.told(AttemptEnded)[0].status == 408


def test_a_100_lets_timer_c_run_too() -> None:
    world = World(nodes=["FS1"], policy=Serial())
    call = world.caller.invite()
    world.node("FS1").answer(100)
    world.advance(180)
    assert call.statuses == [100, 408]


def test_a_late_2xx_of_an_abandoned_attempt_goes_to_the_caller() -> None:
    world = World(nodes=["FS1", "FS2"], policy=Serial(timeout_s=0.6))
    call = world.caller.invite()
    world.advance(0.6)
    first, second = world.nodes
    assert len(second.got("INVITE")) == 1
    second.answer(180)
    first.answer(200)
    assert call.statuses == [100, 180, 200]
    assert len(second.got("CANCEL")) == 1
    second.answer(487)
    assert world.told(CallAnswered)[0].node == "FS1"
    assert world.edge.open_dialogs() == 1


def test_two_nodes_accept_and_both_2xx_go_to_the_caller() -> None:
    world = World(policy="least_loaded")
    call = world.caller.invite()
    first = world.called()
    world.advance(0.6)
    second = world.called()
    assert first is not second
    second.answer(200)
    first.answer(200)
    assert call.statuses == [100, 200, 200]
    assert (world.in_use(first.name), world.in_use(second.name)) == (1, 1)


def test_a_late_provisional_response_of_an_abandoned_attempt_is_cancelled_and_kept_from_the_caller() -> None:
    world = World(policy=Serial())
    call = world.caller.invite()
    world.advance(0.6)
    first = world.node("FS1")
    first.answer(180)
    assert call.statuses == [100]
    assert len(first.got("CANCEL")) == 1


def test_an_abandoned_attempt_is_not_repeated() -> None:
    world = World(policy=Serial())
    world.caller.invite()
    world.advance(30)
    assert [wire.at for wire in world.node("FS1").got("INVITE")] == [0, 0.5]


def test_a_non_invite_that_times_out_gets_no_408() -> None:
    """RFC 4320 §4.2: it would come too late, and one such answer breeds others."""
    world = World()
    call = world.caller.invite()
    call.establish()
    bye = call.bye()
    world.run_out()
    assert world.caller.statuses("BYE") == []
    assert world.edge.open_transactions() == 0
    assert bye["cseq"] == "2 BYE"


def test_a_policys_non_invite_whose_node_is_silent_gets_504() -> None:
    world = World(nodes=["FS1"], policy=Serial())
    exchange = world.caller.request("MESSAGE", "sip:9196@192.0.2.1")
    world.advance(0.6)
    assert exchange.statuses == [504]


def test_every_invite_is_answered_in_the_end() -> None:
    world = World(policy=Serial(timeout_s=None))
    call = world.caller.invite()
    world.run_out()
    assert call.final.status == 408
    assert len(world.told(CallFailed)) == 1


# --- a network that says no


def test_icmp_sends_the_call_to_the_next_node_at_once() -> None:
    world = World()
    call = world.caller.invite()
    first = world.called()
    world.advance(0.001)
    first.unreachable()
    second = world.called()
    assert second is not first
    second.answer(200)
    assert call.final.at == 0.001


@pytest.mark.parametrize("wait_s", [0.1, 10.0], ids=["transaction waits for ACK", "transaction is gone"])
def test_a_2xx_that_comes_when_the_caller_was_refused_begins_nothing(wait_s: float) -> None:
    """§17.2.1: it can't be passed on, so no BYE of the caller would ever end what it began."""
    world = World(nodes=["FS1"], policy=Serial())
    call = world.caller.invite()
    world.advance(0.6)
    assert call.statuses == [100, 408]
    call.refuse_ack()
    world.advance(wait_s)
    world.node("FS1").answer(200)
    assert call.statuses == [100, 408]
    assert world.edge.open_dialogs() == 0
    assert world.in_use("FS1") == 0
    assert world.caller.request("OPTIONS").statuses == [200]
