"""Everybody hears everybody: each kind of agent calls each, over ws and wss, by streams and packet by packet."""

from __future__ import annotations

import pytest

from engine.notes import MediaEnded, MediaFailed, MediaFound, MediaRefused, OneWayAudio
from sim.agents.notes import CallLost
from tests.sim.media.conversations import Talk, call, talk

PAIRS = {
    "softphone to softphone": ("softphones/1010", "1011"),
    "softphone to browser": ("softphones/1010", "1001"),
    "browser to softphone": ("browsers/1000", "1010"),
    "browser to browser": ("browsers/1000", "1001"),
    "asymmetric to browser": ("desk/1015", "1000"),
}


def is_sound(result: Talk, one: str, other: str) -> None:
    """Both hear each other well, soon, and nobody else; and so does the relay."""
    for listener, speaker in ((one, other), (other, one)):
        row = result.between(listener, speaker)
        assert row.first_s is not None
        assert row.packets > 400
        assert (row.lost, row.gaps) == (0, 0)
        assert row.mos is not None
        assert row.mos > 4.3
    assert result.told(CallLost) == result.told(MediaRefused) == result.told(MediaFailed) == []
    assert result.told(OneWayAudio) == []
    sides = result.told(MediaEnded)
    assert len(sides) == 4  # two calls pass the edge: to FreeSWITCH, and from there
    assert all(side.packets > 400 for side in sides)


@pytest.mark.parametrize("web", ["ws", "wss"])
@pytest.mark.parametrize(("caller", "callee"), PAIRS.values(), ids=PAIRS)
def test_both_hear_each_other(caller: str, callee: str, web: str) -> None:
    result = talk(call(caller, callee), web=web)
    is_sound(result, caller.split("/")[1], callee)
    assert len(result.told(MediaFound)) == 4


@pytest.mark.parametrize(("caller", "callee"), PAIRS.values(), ids=PAIRS)
def test_packet_by_packet_it_comes_to_the_same(caller: str, callee: str) -> None:
    by_streams, one_by_one = (talk(call(caller, callee), media=mode) for mode in ("streams", "packets"))
    user = caller.split("/")[1]
    is_sound(one_by_one, user, callee)
    for listener, speaker in ((user, callee), (callee, user)):
        one, other = by_streams.between(listener, speaker), one_by_one.between(listener, speaker)
        assert one.first_s == pytest.approx(other.first_s, abs=0.02)
        assert one.packets == pytest.approx(other.packets, abs=3)  # those on their way when the call ends


@pytest.mark.parametrize("user", ["1010", "1000"], ids=["softphone", "browser"])
def test_a_node_calls_with_a_plain_offer_and_both_hear(user: str) -> None:
    client = "browsers" if user == "1000" else "softphones"
    result = talk(
        f"at_s: 5, kind: originate, target: FS1, user: {user}", f"at_s: 20, kind: hangup, target: {client}/{user}"
    )
    for listener in (user, "FS1"):
        row = result.between(listener, user)
        assert row.packets > 500
        assert (row.lost, row.gaps) == (0, 0)


@pytest.mark.parametrize(("caller", "callee"), list(PAIRS.values())[:4], ids=list(PAIRS)[:4])
def test_hold_and_retrieve(caller: str, callee: str) -> None:
    result = talk(
        call(caller, callee, hold_s=30),
        f"at_s: 15, kind: hold, target: {caller}",
        f"at_s: 20, kind: retrieve, target: {caller}",
    )
    user = caller.split("/")[1]
    held, heard = result.between(user, callee), result.between(callee, user)
    assert held.gaps == 1
    assert held.longest_gap_s == pytest.approx(5.0, abs=0.2)
    assert heard.gaps == 0  # who holds goes on sending
    assert result.told(OneWayAudio) == []
    assert heard.last_s is not None
    assert held.last_s == pytest.approx(heard.last_s, abs=0.2)


def test_who_is_called_may_hold_too() -> None:
    result = talk(
        call("browsers/1000", "1001", hold_s=30),
        "at_s: 15, kind: hold, target: browsers/1001",
        "at_s: 25, kind: retrieve, target: browsers/1001",
    )
    assert result.between("1001", "1000").longest_gap_s == pytest.approx(10.0, abs=0.2)
    assert result.between("1000", "1001").gaps == 0


@pytest.mark.parametrize("caller", ["browsers/1000", "softphones/1010"])
def test_a_call_that_is_given_up_while_it_rings_leaves_nothing(caller: str) -> None:
    result = talk(call(caller, "1001"), f"at_s: 5.6, kind: hangup, target: {caller}")
    assert not result.hears("1001", caller.split("/")[1])
    assert [lost.why for lost in result.told(CallLost)] == ["gave up"]


@pytest.mark.parametrize("callee", ["browsers/1001", "softphones/1011"])
def test_a_call_that_is_declined_leaves_nothing(callee: str) -> None:
    result = talk(call("browsers/1000", callee.split("/")[1]), f"at_s: 5.8, kind: hangup, target: {callee}")
    assert [lost.why for lost in result.told(CallLost)] == ["refused"]
    assert not result.hears(callee.split("/")[1], "1000")
