"""rtpengines as the relay of a simulated edge: the same sound, also when one of two dies in the midst of calls."""

from __future__ import annotations

import pytest

from engine.nodes import state
from engine.notes import MediaMoved, MediaNotMoved, MediaRefused, RelayStateChanged
from sim.agents.notes import CallLost
from tests.sim.media.conversations import Talk, call, talk
from tests.sim.media.test_media_matrix import PAIRS

RELAY = """
      rtpengine:
        - {name: RTP1, host: 127.0.4.1, media: {inside: 127.0.5.1}}
        - {name: RTP2, host: 127.0.4.2, media: {inside: 127.0.5.2}}
      interfaces: {outside: {serves: [web, phones]}, inside: {serves: [inside]}}
"""


def are_heard(result: Talk, one: str, other: str) -> None:
    for listener, speaker in ((one, other), (other, one)):
        row = result.between(listener, speaker)
        assert row.packets > 400
        assert row.mos is not None
        assert row.mos > 4.0
    assert result.told(CallLost) == result.told(MediaRefused) == result.told(MediaNotMoved) == []


@pytest.mark.parametrize(("caller", "callee"), PAIRS.values(), ids=PAIRS)
def test_both_hear_each_other(caller: str, callee: str) -> None:
    result = talk(call(caller, callee), relay=RELAY)
    are_heard(result, caller.split("/")[1], callee)


@pytest.mark.parametrize("death", ["kill", "freeze"])
def test_fifty_calls_are_heard_again_within_three_seconds_when_one_of_two_dies(death: str) -> None:
    """Killed, its host says so; frozen, it only falls silent."""
    calls = [
        call(f"softphones/{1010 + number % 5}", f"{1000 + number % 5}", at_s=5, hold_s=30) for number in range(50)
    ]
    result = talk(*calls, f"at_s: 20, kind: {death}, target: RTP1", relay=RELAY)
    (died,) = [note for note in result.told(RelayStateChanged) if note.after == state.DOWN]
    assert len(result.told(MediaMoved)) == died.calls == 50  # of a hundred, for each call passes the edge twice
    rows = [row for row in result.heard if row.speaker and row.listener != row.speaker]
    assert len(rows) == 200  # FreeSWITCH listens, too
    assert max(row.longest_gap_s for row in rows) < 3.0
    assert result.told(CallLost) == result.told(MediaNotMoved) == []


def test_one_that_is_restarted_has_forgotten_its_calls_and_is_found_out() -> None:
    """So quickly that no ping misses it."""
    result = talk(
        call("browsers/1000", "1010", hold_s=30),
        "at_s: 20, kind: kill, target: RTP1",
        "at_s: 20.001, kind: start, target: RTP1",
        relay=RELAY,
    )
    assert len(result.told(MediaMoved)) <= 1
    assert max(row.longest_gap_s for row in result.heard if row.speaker) < 3.0
    assert result.told(MediaNotMoved) == []
