"""Which notices are believed: each once, and those of now alone."""

from __future__ import annotations

import random

import pytest

from engine.boundary import Interface
from engine.here import Here
from engine.notices import Notices
from engine.registrar.tokens import Notice, Tokens
from engine.sip.errors import SipError
from engine.sip.message import Request

HERE = Here((Interface(name="in", transport="tcp", host="10.0.0.2", port=5060),), ())
TOKENS = Tokens(b"known to both", 1)
WALL = 1_700_000_000.0
MONTH_S = 30 * 86_400.0


def notices(number: int, wall_offset_s: float = WALL, most: int = 10) -> Notices:
    return Notices(
        f"edge{number}", frozenset({"edge1", "edge2"}), TOKENS, wall_offset_s, most, random.Random(number)
    )


def says(edge: Notices, agent: int = 1, now: float = 0.0) -> Request:
    return edge.write(b"%08d" % agent, HERE, "in", HERE, "in", now, now)


def believed(edge: Notices, notice: Request, now: float = 0.0) -> Notice:
    found = edge.read(notice, now)
    assert found is not None
    return found


def test_no_more_is_remembered_than_bindings_may_stand() -> None:
    one, two = notices(1), notices(2)
    written = [says(two, number, number / 1000) for number in range(1000)]
    for notice in written:
        believed(one, notice, 1.0)
    assert len(one) == 10
    for notice in written:
        with pytest.raises(SipError, match="older than what it has said since"):
            one.read(notice, 1.0)


def test_what_was_overheard_is_not_believed_after_a_restart() -> None:
    notice = says(notices(2))
    believed(notices(1), notice)
    restarted = notices(1, WALL + MONTH_S)
    with pytest.raises(SipError, match="dated 2592000 s before our clock") as refused:
        restarted.read(notice, 0.0)
    assert refused.value.status == 403


@pytest.mark.parametrize(("off_s", "taken"), [(-64, True), (-66, False), (32, True), (34, False)])
def test_clocks_may_differ_by_so_much(off_s: float, taken: bool) -> None:
    one, notice = notices(1), says(notices(2, WALL + off_s))
    if taken:
        believed(one, notice)
    else:
        with pytest.raises(SipError, match=r"s (before|after) our clock: overheard, or set the clocks"):
            one.read(notice, 0.0)


@pytest.mark.parametrize("off_s", [30.0, 1_000.0], ids=["a little", "far"])
def test_an_edge_whose_clock_went_ahead_is_heard_when_it_is_right(off_s: float) -> None:
    one = notices(1)
    ahead = notices(2, WALL + off_s)
    if off_s < 32:
        believed(one, says(ahead, 1))
    else:
        with pytest.raises(SipError):
            one.read(says(ahead, 1), 0.0)
    restarted = notices(2)
    believed(one, says(restarted, 2, 1.0), 1.0)  # of other agents at once
    believed(one, says(restarted, 1, 31.0), 31.0)


def test_what_is_refused_takes_no_room() -> None:
    one, two = notices(1), notices(2)
    written = [says(two, number, number / 1000) for number in range(100)]
    for notice in written[50:]:
        believed(one, notice, 1.0)
    for notice in written:
        with pytest.raises(SipError):
            one.read(notice, 1.0)
    assert len(one) == 10


def test_what_is_too_old_to_be_believed_is_forgotten() -> None:
    one, two = notices(1), notices(2)
    believed(one, says(two, 1))
    believed(one, says(two, 2, 70.0), 70.0)
    assert len(one) == 1
