"""The numbers of early dialogs: kept while a 2xx may come, and no longer."""

from __future__ import annotations

from engine.early import EarlyDialogs, Numbers
from engine.sip.message import Request
from engine.timers import TimerQueue

CALL = b"c"


def request(number: int, ours: bytes, theirs: bytes = b"", method: bytes = b"UPDATE") -> Request:
    tag = b";tag=" + theirs if theirs else b""
    return Request.build(
        method,
        b"sip:x@h",
        b"From: <sip:a@h>;tag=" + ours,
        b"To: <sip:b@h>" + tag,
        b"Call-ID: " + CALL,
        b"CSeq: %d %b" % (number, method),
    )


INVITE = request(7, b"a", method=b"INVITE")


def test_the_highest_number_of_each_side_counts() -> None:
    early = EarlyDialogs(TimerQueue())
    early.opens(CALL)
    for each in (request(9, b"a", b"b"), request(8, b"a", b"b"), request(3, b"b", b"a"), request(40, b"a", b"c")):
        early.passes(each)
    assert early.numbers(INVITE, b"b") == Numbers(9, 3)
    assert early.numbers(INVITE, b"d") == Numbers(7, 0)


def test_they_are_kept_until_no_invite_of_the_call_can_make_a_dialog() -> None:
    timers = TimerQueue()
    early = EarlyDialogs(timers)
    early.opens(CALL)
    early.opens(CALL)
    early.passes(request(9, b"a", b"b"))
    early.closes(CALL, 1.0)
    timers.fire_due(33.0)
    assert early.numbers(INVITE, b"b").caller == 9
    early.closes(CALL, 40.0)
    timers.fire_due(71.0)
    assert len(early) == 1
    timers.fire_due(72.0)
    assert len(early) == 0
    early.passes(request(9, b"a", b"b"))
    assert early.numbers(INVITE, b"b") == Numbers(7, 0)


def test_tags_that_anybody_makes_up_take_no_room_without_bound() -> None:
    early = EarlyDialogs(TimerQueue())
    early.opens(CALL)
    for number in range(100):
        early.passes(request(9, b"a", b"%d" % number))
    assert early.numbers(INVITE, b"31").caller == 9
    assert early.numbers(INVITE, b"32").caller == 7
