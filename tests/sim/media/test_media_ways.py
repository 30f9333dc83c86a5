"""Gaps and losses of what is heard are those of the links, to the packet, however media are counted."""

from __future__ import annotations

import pytest

from engine.notes import MediaEnded
from tests.sim.media.conversations import call, talk


@pytest.mark.parametrize("media", ["streams", "packets"])
def test_a_cut_link_is_a_gap_of_its_own_length(media: str) -> None:
    result = talk(
        call("desk/1015", "9196", hold_s=20),
        "at_s: 10, kind: partition, between: [desk, edge1]",
        "at_s: 12, kind: heal, between: [desk, edge1]",
        media=media,
    )
    row = result.between("1015", "1015")
    assert row.gaps == 1
    assert row.longest_gap_s == pytest.approx(2.0, abs=0.041)  # there and back; a packet at each end
    assert row.lost == pytest.approx(100, abs=3)


@pytest.mark.parametrize("media", ["streams", "packets"])
def test_lost_packets_are_counted_where_they_are_lost(media: str) -> None:
    result = talk(
        "at_s: 1, kind: loss, between: [desk, edge1], share: 0.1",
        call("desk/1015", "9196", hold_s=40),
        media=media,
    )
    one_way, both_ways = result.between("FS1", "1015"), result.between("1015", "1015")
    sent = 40 * 50
    assert one_way.packets == pytest.approx(0.9 * sent, rel=0.03)
    assert both_ways.packets == pytest.approx(0.81 * sent, rel=0.04)
    assert both_ways.mos is not None
    assert one_way.mos is not None
    assert both_ways.mos < one_way.mos < 4.0
    caller = next(note for note in result.told(MediaEnded) if note.side == "caller")
    assert caller.lost / (caller.packets + caller.lost) == pytest.approx(0.1, abs=0.03)


def test_a_link_that_dies_both_ways_ends_no_call() -> None:
    result = talk(
        call("softphones/1010", "1015", hold_s=20),
        "at_s: 10, kind: partition, between: [softphones, edge1]",
        "at_s: 15, kind: heal, between: [softphones, edge1]",
    )
    assert result.between("1015", "1010").longest_gap_s == pytest.approx(5.0, abs=0.1)
    assert result.between("1010", "1015").longest_gap_s == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("media", ["streams", "packets"])
def test_a_round_trip_is_known_when_both_sides_had_time_to_report(media: str) -> None:
    """As from RTCP: of a call that is over before nothing is known, and each side has its own."""

    def trips(hold_s: float) -> dict[str, float | None]:
        result = talk(call("softphones/1010", "9196", hold_s=hold_s), media=media)
        return {note.side: note.round_trip_ms for note in result.told(MediaEnded)}

    assert trips(2.0) == {"caller": None, "callee": None}
    known = trips(20.0)
    assert known["caller"] == pytest.approx(60.0, abs=1.0)
    assert known["callee"] is not None
    assert known["callee"] < 5.0
