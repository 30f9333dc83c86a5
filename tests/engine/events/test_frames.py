"""The event socket's framing, on what a real FreeSWITCH sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.frames import Event, Framer, FramingError
from tests.engine.events.recorded import received


def test_a_recorded_socket_is_cut_into_its_frames() -> None:
    frames = Framer().feed(received("60_esl_heartbeat"))
    assert [frame.kind for frame in frames[:5]] == [
        b"auth/request",
        b"command/reply",
        b"api/response",
        b"command/reply",
        b"text/event-plain",
    ]
    assert frames[1].reply == b"+OK accepted"
    beat = Event(frames[4].body)
    assert (beat.get(b"Event-Name"), beat.get(b"FreeSWITCH-Switchname")) == ("HEARTBEAT", "fs1")
    assert (beat.number(b"Session-Count"), beat.number(b"Max-Sessions")) == (1, 1000)
    assert beat.number(b"Idle-CPU") == pytest.approx(68.633333)
    assert beat.get(b"Event-Date-GMT") == "Mon, 23 Nov 2026 17:52:53 GMT"


@given(st.lists(st.integers(1, 4000), max_size=40))
def test_frames_are_the_same_however_the_bytes_arrive(sizes: list[int]) -> None:
    data = received("60_esl_heartbeat") + received("74_fsctl_shutdown_esl")
    whole = Framer().feed(data)
    framer, cut, at = Framer(), [], 0
    for size in sizes:
        cut += framer.feed(data[at : at + size])
        at += size
    assert cut + framer.feed(data[at:]) == whole


@given(st.binary(max_size=300))
def test_whatever_comes_is_framed_or_refused(data: bytes) -> None:
    framer = Framer()
    try:
        for frame in framer.feed(data):
            Event(frame.body).get(b"Event-Name")
    except FramingError:
        pass


@pytest.mark.parametrize("data", [b"x" * 20_000, b"Content-Length: 99999999\n\n"])
def test_what_no_freeswitch_sends_is_refused_before_it_takes_memory(data: bytes) -> None:
    with pytest.raises(FramingError):
        Framer().feed(data)


def test_a_field_is_found_by_its_whole_name_alone() -> None:
    event = Event(b"Bridge-A-Unique-ID: a\nUnique-ID: b%20c\nEmpty: \n")
    assert event.get(b"Unique-ID") == "b c"
    assert (event.get(b"Empty"), event.get(b"ID"), event.number(b"Unique-ID")) == ("", "", None)
