"""Records of calls: made of Notes, and written to a file and a database."""

from __future__ import annotations

import csv
import itertools
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from engine.boundary import Note
from engine.live import LiveError
from engine.live.notes import CallRecordsLost
from engine.live.records import COLUMNS, CsvSink, RecordWriter, SqlSink
from engine.live.store import Database, schema
from engine.live.store.tables import CALLS
from engine.live.tally import CallBook, CallRecord
from engine.notes import (
    CallAnswered,
    CallFailed,
    CallMoved,
    CallMoving,
    CallNotRescued,
    CallRestored,
    DialogEnded,
    MediaEnded,
    RescuedCallEnded,
)

ANSWERED = CallAnswered("one", "INVITE", "FS1", 200, 2, 0.5, "sip:1000@lab.test", "sip:9196@lab.test")


def book(*times: float) -> tuple[CallBook, list[CallRecord]]:
    """A book whose clock shows these times, one after the other."""
    records: list[CallRecord] = []
    clock = itertools.chain(times, itertools.repeat(times[-1]))
    made = CallBook(lambda: next(clock))
    made.sinks.append(records.append)
    return made, records


def relaying_book(*times: float) -> tuple[CallBook, list[CallRecord]]:
    """As ``book``, at an edge whose own relay the media go through."""
    records: list[CallRecord] = []
    clock = itertools.chain(times, itertools.repeat(times[-1]))
    made = CallBook(lambda: next(clock), relays=True)
    made.sinks.append(records.append)
    return made, records


def media_ended(side: str, packets: int = 98, lost: int = 2) -> MediaEnded:
    return MediaEnded("one", side, "pcmu", 30.0, packets, packets * 172, lost, 1.0, None, 4.2, 0)


def record(**changes: object) -> CallRecord:
    fields: dict[str, object] = {
        "call_id": "one",
        "caller": "sip:1000@lab.test",
        "callee": "sip:9196@lab.test",
        "node": "FS1",
        "began_at": 99.5,
        "answered_at": 100.0,
        "ended_at": 130.0,
        "duration_s": 30.0,
        "status": 200,
        "reason": "OK",
        "end": "bye",
        "attempts": 2,
    }
    return CallRecord(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_answered_call_is_one_record_at_its_end() -> None:
    told, records = book(100.0, 130.0)
    told(ANSWERED, 0.0)
    assert records == []
    assert told.standing["one"].caller == "sip:1000@lab.test"
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)  # another fork of it
    assert records == [record()]
    assert told.standing == {}


def moves(told: CallBook, own: str, to: str, status: int = 200) -> None:
    """The call "one" is made anew to a node, by a call of the edge's own."""
    told(CallMoving("one", own, "FS1"), 0.0)
    if status == 200:
        told(CallMoved("one", own, "FS1", to, 1.0), 0.0)
        told(CallAnswered(own, "INVITE", to, 200, 1, 0.1, "sip:1000@lab.test", "sip:9196@lab.test"), 0.0)
    else:
        told(CallFailed(own, "INVITE", to, status, "No", 1, 0.1, "a", "b"), 0.0)


def test_a_call_that_was_moved_is_one_record_which_tells_where_to() -> None:
    told, records = book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "taken over", 10.0), 0.0)
    moves(told, "a", "FS3", 503)
    moves(told, "b", "FS2")
    told(DialogEnded("b", "FS2", "pstn", "taken over", 10.0), 0.0)
    moves(told, "c", "FS3")
    assert list(told.standing) == ["one"]
    told(RescuedCallEnded("one", "c", "bye", 10.0), 0.0)
    told(DialogEnded("c", "FS3", "pstn", "bye", 10.0), 0.0)
    assert records == [record(end="moved to FS2, FS3, then bye")]
    assert told.standing == {}


def test_the_parties_of_a_call_that_stood_before_a_restart_are_known() -> None:
    told, records = book(110.0, 130.0)
    told(CallRestored("one", "sip:1000@lab.test", "sip:9196@lab.test", "FS1", 10.0), 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    assert records == [record(began_at=100.0, attempts=1)]


def test_one_that_was_moved_before_the_restart_is_still_one_record() -> None:
    told, records = book(110.0, 130.0)
    told(CallRestored("own", "sip:1000@lab.test", "sip:9196@lab.test", "FS2", 5.0), 0.0)
    told(CallRestored("one", "sip:1000@lab.test", "sip:9196@lab.test", "FS1", 10.0), 0.0)
    told(CallMoving("one", "own", "FS1"), 0.0)
    told(DialogEnded("own", "FS2", "pstn", "bye", 25.0), 0.0)
    told(RescuedCallEnded("one", "own", "bye", 20.0), 0.0)
    assert [(each.call_id, each.end) for each in records] == [("one", "rescued, then bye")]


def test_one_that_could_not_be_moved_ended_with_its_node() -> None:
    told, records = book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "taken over", 10.0), 0.0)
    moves(told, "a", "FS2", 503)
    told(CallNotRescued("one", "FS1", "not moved"), 0.0)
    assert records == [record(end="node lost")]


def test_a_failed_call_is_a_record_but_a_challenge_is_none() -> None:
    told, records = book(100.0)
    told(CallFailed("one", "INVITE", "FS1", 407, "Proxy Authentication Required", 1, 0.1, "a", "b"), 0.0)
    told(CallFailed("two", "REGISTER", "FS1", 403, "Forbidden", 1, 0.1), 0.0)
    assert records == []
    told(CallFailed("one", "INVITE", "FS1", 486, "Busy Here", 1, 4.0, "a", "b"), 0.0)
    (found,) = records
    assert (found.status, found.end, found.began_at, found.answered_at) == (486, "refused", 96.0, None)


def test_a_call_that_outlives_its_node_is_recorded_when_it_is_over() -> None:
    told, records = book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "taken over", 10.0), 0.0)
    assert records == []
    told(RescuedCallEnded("other", "one", "bye", 20.0), 0.0)
    assert [(each.end, each.duration_s) for each in records] == [("rescued, then bye", 30.0)]


def test_a_call_that_dies_with_its_node_is_recorded_then() -> None:
    told, records = book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(CallNotRescued("one", "FS1", "it was transferred"), 0.0)
    told(DialogEnded("one", "FS1", "pstn", "taken over", 30.0), 0.0)
    assert [(each.end, each.duration_s) for each in records] == [("node lost", 30.0)]
    assert told.standing == {}


def test_a_call_that_outlives_the_edge_is_recorded_without_its_parties() -> None:
    told, records = book(130.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    assert records == [record(caller="", callee="", began_at=100.0, attempts=1)]


def test_records_are_appended_to_a_file_with_one_heading(tmp_path: Path) -> None:
    path = tmp_path / "records" / "calls.csv"
    CsvSink(path).write([record(), record(call_id="two", answered_at=None)])
    CsvSink(path).write([record(caller='=HYPERLINK("http://x")')])
    rows = list(csv.DictReader(path.open(newline="")))
    assert list(rows[0]) == list(COLUMNS)
    assert [row["call_id"] for row in rows] == ["one", "two", "one"]
    assert (rows[0]["began_at"], rows[0]["duration_s"]) == ("1970-01-01T00:01:39.500+00:00", "30.000")
    assert rows[1]["answered_at"] == ""
    assert rows[2]["caller"].startswith("'=")


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LiveError, match=r"^cannot write call records to .*: file exists - choose another file"):
        CsvSink(tmp_path / "file" / "calls.csv")


def test_records_are_rows_of_a_database(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/edge.db")
    schema.create(database)
    SqlSink(database, "edge1").write([record(), record(call_id="two", answered_at=None, caller="sip:\udcff@x")])
    with database.engine.connect() as connection:
        first, second = connection.execute(select(CALLS).order_by(CALLS.c.id)).all()
    assert (first.edge, first.call_id, first.callee, first.end) == ("edge1", b"one", b"sip:9196@lab.test", "bye")
    assert (first.answered_at, second.answered_at) == (100.0, None)
    database.close()


class Sink:
    """Fails so often before it takes anything."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or OSError("away")
        self.written: list[CallRecord] = []
        self.closed = False

    def write(self, records: Sequence[CallRecord]) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error
        self.written += records

    def close(self) -> None:
        self.closed = True


def written(sinks: Sequence[Sink], count: int, tell: Callable[[Note, float], None]) -> None:
    """Put so many records, then end."""
    writer = RecordWriter(sinks, tell)
    for number in range(count):
        writer(record(call_id=str(number)))
    writer.close()


def test_what_waits_is_written_at_the_end_to_each_sink() -> None:
    sinks, notes = [Sink(), Sink()], []
    written(sinks, 1_200, lambda note, now: notes.append(note))
    for sink in sinks:
        assert [each.call_id for each in sink.written] == [str(number) for number in range(1_200)]
        assert sink.closed
    assert notes == []


def test_what_cannot_be_written_is_told_and_the_other_sink_has_it() -> None:
    away, well, notes = Sink(failures=10**9), Sink(), []
    written([away, well], 3, lambda note, now: notes.append(note))
    assert (away.written, len(well.written), away.closed) == ([], 3, True)
    assert notes == [CallRecordsLost(3)]


@pytest.mark.parametrize("error", [OSError("away"), LiveError("away"), struct.error("short"), IndexError()])
def test_whatever_a_driver_trips_over_later_records_are_written(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.live.records._FLUSH_S", 0.001)
    monkeypatch.setattr("engine.live.records._RETRY_S", 0.001)
    sink, notes = Sink(failures=2, error=error), []
    writer = RecordWriter([sink], lambda note, now: notes.append(note))
    writer(record())
    ends = time.monotonic() + 10.0
    while not sink.written and time.monotonic() < ends:
        time.sleep(0.001)
    writer.close()
    assert sink.written == [record()]
    assert notes == []


def test_the_record_of_a_relayed_call_tells_how_it_sounded() -> None:
    told, records = relaying_book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    told(media_ended("caller"), 0.0)
    assert records == []
    told(media_ended("callee", packets=0, lost=0), 0.0)
    assert records == [record(caller_mos=4.2, caller_loss=0.02)]
    told.close()
    assert len(records) == 1


def test_where_nobody_said_how_it_was_heard_the_record_makes_nothing_up() -> None:
    """As of an rtpengine between sides that send no RTCP."""
    told, records = relaying_book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    for side in ("caller", "callee"):
        told(replace(media_ended(side), mos=None), 0.0)
    assert records == [record()]


def test_a_relay_that_says_nothing_keeps_no_record_back_for_long() -> None:
    told, records = relaying_book(100.0, 130.0, 131.0, 134.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)  # another fork of it
    assert records == []
    told(DialogEnded("other", "FS1", "pstn", "bye", 30.0), 0.0)
    assert records[0] == record()


def test_records_that_wait_are_written_at_the_end() -> None:
    told, records = relaying_book(100.0, 130.0)
    told(ANSWERED, 0.0)
    told(DialogEnded("one", "FS1", "pstn", "bye", 30.0), 0.0)
    told.close()
    assert records == [record()]
