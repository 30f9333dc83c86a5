"""rtpengines that are full, silent, dead, or have forgotten: new calls go elsewhere, running ones are moved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.media.ng.bencode import encode
from engine.media.ng.settings import NgConfig
from engine.media.profiles import Kind
from engine.media.sdp.attributes import RECVONLY
from engine.notes import MediaMoved
from engine.sip.errors import SipError
from tests.engine.media.ng.relaying import Call, Modelled, Relaying, Server, orders_of
from tests.engine.media.ng.test_ng_relay import held, process, server
from tests.engine.media.relay import read
from tests.engine.media.written import BARESIP, BROWSER, BROWSER_ANSWER

__all__ = ["process", "server"]  # fixtures


def home(call: Call) -> str:
    return call.media.home


def set_up(world: Relaying) -> Call:
    call = world.open("softphone", "softphone")
    call.told("> INVITE 1", BARESIP)
    call.told("< 200 INVITE 1", BARESIP)
    return call


def started(*servers: Modelled, **more: object) -> Relaying:
    world = Relaying(*servers, config=NgConfig(**more))  # type: ignore[arg-type]
    world.relay.start(0.0)
    world.run(2.0)
    return world


def test_calls_are_shared() -> None:
    world = Relaying(Modelled(1), Modelled(2))
    assert sorted(home(set_up(world)) for _ in range(10)) == ["rtp1"] * 5 + ["rtp2"] * 5


def test_a_silent_server_costs_a_new_call_its_time_out_and_no_more() -> None:
    world = Relaying(Modelled(1), Modelled(2))
    world.dead = {world.relay.servers.get("rtp1").config.address}  # type: ignore[union-attr]
    call = world.open("softphone", "softphone")
    outcomes = call.say("> INVITE 1", BARESIP)
    world.run(0.99)
    assert outcomes == []
    world.run(1.0)
    assert isinstance(outcomes[0], bytes)
    assert home(call) == "rtp2"
    assert [home(set_up(world)) for _ in range(3)] == ["rtp2"] * 3  # the other is suspect
    assert len(orders_of(world, "delete")) == 1  # should it only have been slow


def test_a_full_server_is_passed_over_at_once() -> None:
    world = Relaying(Modelled(1, max_sessions=2), Modelled(2))
    assert sorted(home(set_up(world)) for _ in range(8)) == ["rtp1"] * 2 + ["rtp2"] * 6


def test_where_none_can_serve_the_call_is_refused() -> None:
    world = Relaying(Modelled(1, max_sessions=0))
    (outcome,) = world.open("softphone", "softphone").say("> INVITE 1", BARESIP)
    assert isinstance(outcome, SipError)
    assert (outcome.status, outcome.why) == (503, "rtpengine rtp1 is full")
    world = started(Modelled(1))
    world.dead = set(world.servers)
    world.run(4.0)
    (outcome,) = world.open("softphone", "softphone").say("> INVITE 1", BARESIP)
    assert isinstance(outcome, SipError)
    assert outcome.status == 503


def test_what_rtpengine_refuses_is_refused_and_the_next_try_is_free() -> None:
    world = Relaying(Modelled(1))
    server = world.servers[("10.0.0.1", 2_223)]
    world.servers[("10.0.0.1", 2_223)] = _Refusing()  # type: ignore[assignment]
    call = world.open("softphone", "softphone")
    (outcome,) = call.say("> INVITE 1", BARESIP)
    assert isinstance(outcome, SipError)
    assert (outcome.status, outcome.why) == (500, "rtpengine rtp1: Ran out of ports")
    world.servers[("10.0.0.1", 2_223)] = server
    assert call.told("> INVITE 2", BARESIP)


class _Refusing:
    def __call__(self, data: bytes, now: float) -> list[bytes]:
        return [data.partition(b" ")[0] + b" d6:result5:error12:error-reason16:Ran out of portse"]


@pytest.mark.parametrize(
    "content",
    [b"d6:result2:oke", b"d6:result2:ok3:sdp5:helloe", b"de", b"d6:resulti1ee", b"d6:result2:ok3:sdp0:e"],
)
def test_an_answer_that_is_of_no_use_is_a_refusal(content: bytes) -> None:
    world = Relaying(Modelled(1))
    world.servers[("10.0.0.1", 2_223)] = lambda data, now: [data.partition(b" ")[0] + b" " + content]  # type: ignore[assignment]
    (outcome,) = world.open("softphone", "softphone").say("> INVITE 1", BARESIP)
    assert isinstance(outcome, SipError)
    assert outcome.status == 500


def test_descriptions_and_ends_wait_for_each_other_within_a_call() -> None:
    world = Relaying(Modelled(1))
    call = world.open("softphone", "softphone")
    call.told("> INVITE 1", BARESIP)
    call.told("< 200 INVITE 1", BARESIP)
    address = ("10.0.0.1", 2_223)
    world.dead = {address}
    first = call.say("> INVITE 2", held(BARESIP, b"9"))
    call.ended("< 488 INVITE 2")
    second = call.say("> INVITE 3", BARESIP)
    assert (first, second) == ([], [])
    world.dead = set()
    world.run(0.5)
    assert isinstance(first[0], bytes)
    assert isinstance(second[0], bytes)


def test_the_calls_of_a_dead_server_are_moved_one_after_another() -> None:
    world = started(Modelled(1), Modelled(2), reanchored_per_s=10.0)
    calls = [set_up(world) for _ in range(10)]
    lost = [call.media for call in calls if home(call) == "rtp1"]
    world.dead = {("10.0.0.1", 2_223)}
    world.client_says_unreachable(("10.0.0.1", 2_223))
    assert len(lost) == 5
    assert world.renewed == []
    began = world.now
    world.run(began + 0.25)
    assert world.renewed == lost[:3]
    world.run(began + 1.0)
    assert world.renewed == lost


def renew(call: Call, number: int) -> tuple[bytes, bytes]:
    """Both sides are offered anew, each what the other said last: as the proxy does it."""
    for_callee = call.told(f"> INVITE {number}", BARESIP)
    call.told(f"< 200 INVITE {number}", BARESIP)
    for_caller = call.told(f"< INVITE {number}", BARESIP)
    call.told(f"> 200 INVITE {number}", BARESIP)
    return for_callee, for_caller


def test_a_moved_call_has_the_other_servers_ports_on_both_sides() -> None:
    one, two = Modelled(1), Modelled(2)
    world = started(one, two)
    call = set_up(world)
    assert home(call) == "rtp1"
    world.dead = {one.address}
    world.client_says_unreachable(one.address)
    world.run(world.now + 0.1)
    hosts = {read(body).address[0] for body in renew(call, 2)}  # type: ignore[index]
    assert hosts == {two.outside}
    assert world.of(MediaMoved) == [MediaMoved(call.media.call_id, "rtp1", "rtp2")]
    assert not call.media.lost


def test_a_reinvite_of_a_side_moves_its_call_by_itself() -> None:
    one, two = Modelled(1), Modelled(2)
    world = started(one, two)
    call = set_up(world)
    world.dead = {one.address}
    outcomes = call.say("> INVITE 2", held(BARESIP, b"9"))
    world.run(world.now + 1.0)
    assert isinstance(outcomes[0], bytes)
    assert read(outcomes[0]).address[0] == two.outside  # type: ignore[index]
    answered = read(call.told("< 200 INVITE 2", BARESIP))
    assert answered.direction == RECVONLY
    world.run(world.now + 3.0)
    assert world.renewed == []


def test_a_server_that_dies_between_offer_and_answer_is_replaced_and_who_was_offered_hears_of_it() -> None:
    one, two = Modelled(1), Modelled(2)
    world = started(one, two)
    call = world.open("softphone", "softphone")
    call.told("> INVITE 1", BARESIP)
    world.dead = {one.address}
    world.client_says_unreachable(one.address)
    answered = call.told("< 200 INVITE 1", BARESIP)
    assert read(answered).address[0] == two.outside  # type: ignore[index]
    world.run(world.now + 0.1)
    assert world.renewed == [call.media]


def test_a_server_that_came_back_empty_between_two_pings_is_found_out() -> None:
    one = Modelled(1)
    world = started(one)
    calls = [set_up(world) for _ in range(20)]
    one.restart()
    began = world.now
    world.run(began + 2.0)
    assert world.renewed == [call.media for call in calls]


def test_an_answer_to_a_server_that_has_forgotten_the_offer_is_given_with_it() -> None:
    one = Modelled(1)
    world = Relaying(one)
    call = world.open("softphone", "browser")
    call.told("> INVITE 1", BARESIP)
    one.restart()
    assert call.told("< 200 INVITE 1", BROWSER_ANSWER)
    assert len(orders_of(world, "offer")) == 2
    world.run(1.0)
    assert world.renewed == [call.media]


def test_where_all_are_dead_calls_wait_for_one_that_comes_back() -> None:
    one = Modelled(1)
    world = started(one)
    call = set_up(world)
    world.dead = {one.address}
    world.run(world.now + 5.0)
    assert world.renewed == []
    one.restart()
    world.dead = set()
    world.run(world.now + 2.0)
    assert world.renewed == [call.media]


def test_a_call_that_has_ended_is_not_moved() -> None:
    one, two = Modelled(1), Modelled(2)
    world = started(one, two, reanchored_per_s=1.0)
    calls = [set_up(world) for _ in range(4)]
    world.dead = {one.address}
    world.client_says_unreachable(one.address)
    calls[2].release()
    world.run(world.now + 5.0)
    assert world.renewed == [calls[0].media]


def test_the_end_of_a_call_is_told_and_nothing_stays() -> None:
    one = Modelled(1)
    world = Relaying(one)
    for _ in range(100):
        call = set_up(world)
        call.release()
    assert one.machine.calls == 0
    assert len(world.relay) == 0
    assert len(world.relay.client) == 0


@pytest.mark.parametrize("caller", ["browser", "softphone"])
def test_browsers_that_answer_the_move_with_new_names_are_understood(server: Server, caller: Kind) -> None:
    """New names of the relay make a browser take new ones itself; the relay must not change its own for that."""
    call = Relaying(server).open(caller, "browser")
    offer = BROWSER if caller == "browser" else BARESIP
    call.told("> INVITE 1", offer)
    call.told("< 200 INVITE 1", BROWSER_ANSWER)
    call.world.relay.lost(call.media, 0.0)
    call.release_at_server()
    offered = read(call.told("> INVITE 2", offer))
    renamed = BROWSER_ANSWER.replace(b"a=ice-ufrag:Zk3m", b"a=ice-ufrag:Fresh")
    call.told("< 200 INVITE 2", renamed)
    again = read(call.told("> INVITE 3", offer))
    assert (again.ice, again.address) == (offered.ice, offered.address)


REPLY = st.dictionaries(
    st.sampled_from(["result", "sdp", "error-reason", "message"]),
    st.sampled_from(["ok", "error", "load limit", "pong", "v=0", "Unknown call-id", ""]) | st.binary(max_size=40),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REPLY | st.binary(max_size=60), min_size=1, max_size=4), st.booleans())
def test_whatever_an_rtpengine_says_ends_each_question_once(replies: list[Any], wrong_sdp: bool) -> None:
    """With a refusal, or with a description that can be sent on."""
    one = Modelled(1)
    world = Relaying(one)

    def answering(data: bytes, now: float) -> list[bytes]:
        cookie = data.partition(b" ")[0]
        said = [each if isinstance(each, bytes) else encode(each) for each in replies]
        return [cookie + b" " + each for each in said] + ([] if wrong_sdp else one(data, now))

    world.servers[one.address] = answering  # type: ignore[assignment]
    call = world.open("softphone", "browser")
    outcomes = call.say("> INVITE 1", BARESIP)
    world.run(10.0)
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], bytes | SipError)
    call.release()
    world.run(20.0)
    assert len(world.relay) == 0
    assert len(world.relay.client) <= 2  # pings: the next one may be due before one is given up
