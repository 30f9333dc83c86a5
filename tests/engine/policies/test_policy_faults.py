"""A policy is its author's code: whatever it does harms its own call at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.notes import CallAnswered, PolicyFailed
from engine.policy import Call, Policy
from tests.engine.harness import World
from tests.engine.proxy.scripts import Scripted


async def raises(call: Call) -> None:
    raise LookupError("no such customer")


async def raises_after_an_attempt(call: Call) -> None:
    for node in call.nodes("fs"):
        await call.try_(node)
        raise LookupError("no such customer")


async def awaits_a_foreign_thing(call: Call) -> None:
    await asyncio.sleep(0)


async def pauses_for_ever(call: Call) -> None:
    await call.pause(float("nan"))


async def asks_for_nodes_for_ever(call: Call) -> None:
    while True:
        for node in call.nodes("fs"):
            call.tried.add(node.name)


async def pauses_for_nothing_for_ever(call: Call) -> None:
    while True:
        await call.pause(0)


async def rejects_by_an_impossible_status(call: Call) -> None:
    call.reject(200)


async def asks_for_an_unknown_algorithm(call: Call) -> None:
    list(call.nodes("fs", by="coin"))


async def tries_nothing(call: Call) -> None:
    await call.fork([])


async def tries_what_is_no_uri(call: Call) -> None:
    await call.try_("not a uri")


async def tries_a_transport_that_we_do_not_speak(call: Call) -> None:
    await call.try_("sip:x@10.0.0.9;transport=sctp")


FAULTS = [
    raises,
    awaits_a_foreign_thing,
    pauses_for_ever,
    asks_for_nodes_for_ever,
    pauses_for_nothing_for_ever,
    rejects_by_an_impossible_status,
    asks_for_an_unknown_algorithm,
    tries_nothing,
    tries_what_is_no_uri,
    tries_a_transport_that_we_do_not_speak,
]


@pytest.mark.parametrize("script", FAULTS)
def test_the_call_gets_500_and_the_author_the_reason(script: Callable[[Call], Awaitable[None]]) -> None:
    world = World(policy=Scripted(script))
    call = world.caller.invite()
    world.advance(0.1)
    assert call.statuses == [100, 500]
    failed = world.told(PolicyFailed)
    assert len(failed) == 1
    assert failed[0].call_id == call.call_id
    assert failed[0].error
    assert world.caller.request("OPTIONS").statuses == [200]


def test_the_traceback_is_told_once_per_kind() -> None:
    world = World(policy=Scripted(raises))
    for _ in range(3):
        world.caller.invite()
    traces = [note.traceback for note in world.told(PolicyFailed)]
    assert "no such customer" in traces[0]
    assert "test_policy_faults.py" in traces[0]
    assert traces[1:] == ["", ""]


def test_kinds_without_number_are_not_all_kept() -> None:
    async def raises_something_new(call: Call) -> None:
        raise LookupError(call.call_id)

    world = World(policy=Scripted(raises_something_new))
    for _ in range(300):
        world.caller.invite()
    told = [note for note in world.told(PolicyFailed) if note.traceback]
    assert len(told) == 100


def test_other_calls_are_unharmed() -> None:
    async def only_some(call: Call) -> None:
        if call.user == "13":
            raise LookupError("thirteen")
        for node in call.nodes("fs"):
            await call.try_(node)
            return

    world = World(policy=Scripted(only_some))
    good = world.caller.invite()
    chosen = world.called()
    bad = world.caller.invite("sip:13@192.0.2.1")
    chosen.answer(200)
    assert (good.final.status, bad.final.status) == (200, 500)
    assert len(world.told(CallAnswered)) == 1


def test_what_still_rings_is_cancelled() -> None:
    async def forgets(call: Call) -> None:
        for node in call.nodes("fs"):
            await call.try_(node, ring_s=1)
            raise LookupError

    world = World(policy=Scripted(forgets))
    call = world.caller.invite()
    world.called().answer(180)
    world.advance(1)
    assert call.final.status == 500
    assert len(world.called().got("CANCEL")) == 1


def test_after_a_failure_of_an_attempt_too() -> None:
    world = World(policy=Scripted(raises_after_an_attempt))
    call = world.caller.invite()
    world.called().answer(486)
    assert call.final.status == 500


def test_a_policy_that_returns_without_an_answer() -> None:
    async def silent(call: Call) -> None:
        return

    world = World(policy=Scripted(silent))
    assert world.caller.invite().statuses == [100, 500]
    assert world.told(PolicyFailed) == []


def test_a_policy_that_never_awaits_may_still_answer() -> None:
    async def busy(call: Call) -> None:
        call.reject(486, "Not\r\nX-Injected: now")

    call = World(policy=Scripted(busy)).caller.invite()
    assert call.final.status == 486
    assert "x-injected" not in call.final


def test_a_method_that_is_no_coroutine() -> None:
    class Forgetful(Policy):
        def invite(self, call: Call) -> None:  # type: ignore[override]  # the mistake that is tested
            call.reject(486)

    world = World(policy=Forgetful())
    assert world.caller.invite().statuses == [100, 500]
    assert "async def" in world.told(PolicyFailed)[0].error


def test_a_policy_that_tries_one_node_for_ever() -> None:
    async def stubborn(call: Call) -> None:
        node = next(call.nodes("fs"))
        while True:
            await call.try_(node, timeout_s=0.5, leave_when_down=False)

    world = World(policy=Scripted(stubborn))
    call = world.caller.invite()
    world.advance(60)
    assert call.final.status == 500
    assert world.edge.idle


def test_a_policy_that_goes_on_though_the_caller_gave_up() -> None:
    async def deaf(call: Call) -> None:
        while True:
            await call.pause(1)

    world = World(policy=Scripted(deaf))
    call = world.caller.invite()
    world.advance(10)
    call.cancel()
    assert call.final.status == 487


def test_a_policy_that_swallows_every_error_and_its_own_end() -> None:
    async def immortal(call: Call) -> None:
        for node in call.nodes("fs"):
            try:
                await call.try_(node)
            finally:
                await call.pause(5)

    world = World(policy=Scripted(immortal))
    call = world.caller.invite()
    chosen = world.called()
    chosen.answer(200)
    assert call.final.status == 200
    call.bye()
    chosen.answer(200, method="BYE")
    assert world.edge.idle


# --- what a policy may rightly do


def test_headers_and_uri_can_be_changed() -> None:
    async def edits(call: Call) -> None:
        call.set_header("X-Tenant", f"{call.from_user} {call.header('Call-ID')}")
        call.remove_header("Subject")
        call.set_uri(f"sip:{call.user}@pbx.example.com")
        for node in call.nodes("fs"):
            await call.try_(node)
            return

    world = World(policy=Scripted(edits))
    call = world.caller.invite("sip:9196@192.0.2.1", "Subject: x")
    invite = world.called().got("INVITE")[0]
    assert invite["x-tenant"] == f"1000 {call.call_id}"
    assert "subject" not in invite
    assert invite.uri == "sip:9196@pbx.example.com"


def test_redirect() -> None:
    async def elsewhere(call: Call) -> None:
        call.redirect("sip:a@example.com", "sip:b@example.com")

    final = World(policy=Scripted(elsewhere)).caller.invite().final
    assert final.status == 302
    assert final.all("contact") == ["<sip:a@example.com>", "<sip:b@example.com>"]


def test_a_uri_as_target() -> None:
    async def outward(call: Call) -> None:
        await call.try_("sip:+4930@203.0.113.80:5080")

    world = World(policy=Scripted(outward))
    carrier = world.peer("203.0.113.80", 5080)
    call = world.caller.invite()
    carrier.replies(carrier.got("INVITE")[0], 200, tag="c")
    assert carrier.got("INVITE")[0].uri == "sip:+4930@203.0.113.80:5080"
    assert call.final.status == 200


def test_a_pause_takes_its_time() -> None:
    async def later(call: Call) -> None:
        assert await call.pause(2.5)
        call.reject(486)

    world = World(policy=Scripted(later))
    call = world.caller.invite()
    world.advance(10)
    assert call.final.at == 2.5
