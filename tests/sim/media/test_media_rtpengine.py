"""rtpengines as the relay of a simulated edge: the same sound, also when one of two dies in the midst of calls."""

from __future__ import annotations

from random import Random

import pytest

from engine.nodes import state
from engine.notes import MediaEnded, MediaMoved, MediaNotMoved, MediaRefused, RelayStateChanged
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


def ended(result: Talk) -> dict[tuple[str, str], MediaEnded]:
    return {(note.call_id, note.side): note for note in result.told(MediaEnded)}


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_what_is_told_of_each_side_is_what_the_built_in_relay_tells(loss: float) -> None:
    wan = {"wan: {latency_ms: 30}": f"wan: {{latency_ms: 30, loss: {loss}}}"}
    one, other = (ended(talk(call("softphones/1010", "1000"), relay=relay, **wan)) for relay in ("builtin", RELAY))
    assert len(one) == len(other) == 4  # two legs of two sides
    for name, expected in one.items():
        found = other[name]
        assert found.codec == expected.codec
        assert found.packets == pytest.approx(expected.packets, rel=0.06)  # it takes a moment longer to be set up
        assert found.lost == pytest.approx(expected.lost, abs=0.02 * expected.packets)
        assert found.round_trip_ms == pytest.approx(expected.round_trip_ms, abs=1.0)
        assert found.mos is not None
        assert found.mos == pytest.approx(expected.mos, abs=0.25)


def fifty_calls_are_heard_again(seed: int) -> None:
    """One of two dies when the seed says. Killed, its host tells of it; frozen, it only falls silent."""
    choice = Random(seed)
    death, at_s = choice.choice(("kill", "freeze")), round(choice.uniform(15.0, 25.0), 3)
    calls = [
        call(f"softphones/{1010 + number % 5}", f"{1000 + number % 5}", at_s=5, hold_s=30) for number in range(50)
    ]
    result = talk(*calls, f"at_s: {at_s}, kind: {death}, target: RTP1", relay=RELAY, seed=seed)
    (died,) = [note for note in result.told(RelayStateChanged) if note.after == state.DOWN]
    assert len(result.told(MediaMoved)) == died.calls == 50  # of a hundred, for each call passes the edge twice
    rows = [row for row in result.heard if row.speaker and row.listener != row.speaker]
    assert len(rows) == 200  # FreeSWITCH listens, too
    assert 0.2 < max(row.longest_gap_s for row in rows) < 3.0
    assert result.told(CallLost) == result.told(MediaNotMoved) == []


@pytest.mark.parametrize("seed", range(4))
def test_fifty_calls_are_heard_again_within_three_seconds_when_one_of_two_dies(seed: int) -> None:
    fifty_calls_are_heard_again(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4, 104, 10))
def test_so_they_are_whenever_it_dies(first: int) -> None:
    for seed in range(first, first + 10):
        fifty_calls_are_heard_again(seed)


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
