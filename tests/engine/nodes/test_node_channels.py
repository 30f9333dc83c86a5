"""A channel is taken when a node is chosen and given back exactly once, whatever becomes of the call."""

from __future__ import annotations

from engine.notes import DialogEnded
from tests.engine.harness import Exchange, NodePeer, World, node
from tests.engine.wire import Wire


def answered(**settings: object) -> tuple[World, Exchange, NodePeer]:
    world = World(nodes=[node("FS1", resources={"pstn": 10})], **settings)  # type: ignore[arg-type]  # passed on
    call = world.caller.invite()
    return world, call, call.establish()


def why(world: World) -> list[str]:
    return [note.why for note in world.told(DialogEnded)]


def test_taken_from_the_choice_to_the_end_of_the_call() -> None:
    world = World(nodes=["FS1"])
    call = world.caller.invite()
    assert world.in_use("FS1") == 1
    world.node("FS1").answer(180)
    assert world.in_use("FS1") == 1
    call.establish()
    world.advance(3600)
    assert world.in_use("FS1") == 1


def test_given_back_when_the_node_refuses() -> None:
    world = World(nodes=["FS1"])
    world.caller.invite()
    world.node("FS1").answer(486)
    assert world.in_use("FS1") == 0


def test_given_back_when_the_attempt_is_abandoned() -> None:
    world = World(nodes=["FS1"])
    world.caller.invite()
    world.advance(0.6)
    assert world.in_use("FS1") == 0


def test_given_back_when_the_caller_gives_up() -> None:
    world = World(nodes=["FS1"])
    call = world.caller.invite()
    world.node("FS1").answer(180)
    call.cancel()
    world.node("FS1").answer(487)
    assert world.in_use("FS1") == 0


def test_given_back_by_a_bye_of_the_caller() -> None:
    world, call, one = answered()
    world.advance(90)
    call.bye()
    assert world.in_use("FS1") == 1
    one.answer(200, method="BYE")
    assert world.in_use("FS1") == 0
    assert world.told(DialogEnded) == [DialogEnded(call.call_id, "FS1", "pstn", "bye", 90.0)]


def test_given_back_by_a_bye_of_the_node() -> None:
    world, _, one = answered()
    one.hangs_up()
    world.caller.replies(world.caller.got("BYE")[0], 200)
    assert (world.in_use("FS1"), why(world)) == (0, ["bye"])


def test_given_back_once_when_both_hang_up() -> None:
    world, call, one = answered()
    call.bye()
    one.hangs_up()
    one.answer(200, method="BYE")
    world.caller.replies(world.caller.got("BYE")[0], 200)
    assert (world.in_use("FS1"), why(world)) == (0, ["bye"])


def test_given_back_when_the_node_does_not_know_the_dialog() -> None:
    world, call, one = answered()
    call.bye()
    one.answer(481, method="BYE")
    assert (world.in_use("FS1"), why(world)) == (0, ["lost"])


def test_given_back_when_a_re_invite_finds_no_dialog() -> None:
    """§12.2.1.2: the node was restarted with an empty memory."""
    world, call, one = answered()
    world.caller.within("INVITE", call.final, cseq=2)
    one.answer(481)
    assert (world.in_use("FS1"), why(world)) == (0, ["lost"])


def test_given_back_when_no_one_answers_the_bye() -> None:
    world, call, _ = answered()
    call.bye()
    world.run_out()
    assert (world.in_use("FS1"), why(world)) == (0, ["lost"])


def test_kept_while_a_bye_is_challenged() -> None:
    world, call, one = answered()
    call.bye()
    one.answer(407, method="BYE")
    assert world.in_use("FS1") == 1
    world.caller.within("BYE", call.final, cseq=3)
    one.answer(200, method="BYE")
    assert (world.in_use("FS1"), why(world)) == (0, ["bye"])


def test_kept_by_a_bye_under_another_tag() -> None:
    world, call, one = answered()
    forged = Wire(call.final.data.replace(b";tag=t-", b";tag=x-"), call.final.flow, world.now)
    world.caller.bye(forged)
    one.answer(200, method="BYE")
    assert world.in_use("FS1") == 1


def test_kept_through_a_re_invite_and_its_failure() -> None:
    world, call, one = answered()
    world.caller.within("INVITE", call.final, cseq=2)
    one.answer(488)
    world.run_out()
    assert world.in_use("FS1") == 1


def test_given_back_after_the_lifetime_of_a_dialog_whose_bye_was_lost() -> None:
    world, _, _ = answered(dialog_lifetime_s=7200.0)
    world.advance(7199)
    assert world.in_use("FS1") == 1
    world.advance(1)
    assert (world.in_use("FS1"), why(world)) == (0, ["lifetime"])


def test_taken_again_by_a_late_2xx() -> None:
    world = World(nodes=["FS1", "FS2"])
    call = world.caller.invite()
    first = world.called()
    world.advance(0.6)
    assert world.in_use(first.name) == 0
    first.answer(200)
    assert world.in_use(first.name) == 1
    call.bye()
    first.answer(200, method="BYE")
    assert world.in_use(first.name) == 0


def test_each_fork_behind_a_node_takes_its_own() -> None:
    world = World(nodes=["FS1"])
    call = world.caller.invite()
    one = world.node("FS1")
    one.answer(200, tag="a")
    one.answer(200, tag="b")
    one.answer(200, tag="b")
    assert world.in_use("FS1") == 2
    for response in (call.responses[1], call.responses[2]):
        world.caller.bye(response)
        one.answer(200, method="BYE")
    assert world.in_use("FS1") == 0


def test_a_repeated_bye_gives_nothing_back_twice() -> None:
    world, call, one = answered()
    world.caller.invite().establish()
    call.bye()
    one.answer(200, method="BYE")
    call.bye()
    one.answer(481, method="BYE")
    assert world.in_use("FS1") == 1


def test_the_snapshot_tells_use_capacity_and_success() -> None:
    world, _, _ = answered()
    world.caller.invite()
    world.advance(0.6)
    status = world.status("FS1")
    assert (status.in_use, status.capacity) == ({"pstn": 1}, {"pstn": 10})
    assert (status.attempts, status.failures) == (2, 1)
    assert status.latency_s == 0.0
    assert status.address == "10.0.0.11:5060"


def test_a_2xx_that_comes_again_after_the_end_of_its_call_takes_no_channel() -> None:
    world = World()
    call = world.caller.invite()
    chosen = call.establish()
    call.bye()
    chosen.answer(200, method="BYE")
    chosen.answer(200)  # its ACK was lost
    assert world.edge.open_dialogs() == 0
    assert world.in_use(chosen.name) == 0
