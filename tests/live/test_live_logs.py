"""Notes as log lines."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from engine.boundary import Level, Note
from engine.live import LiveError
from engine.live.logs import NoteLog, event_name, json_line, text_line
from engine.notes import CallAdmitted, DecisionTaken, NodeStateChanged, Overloaded

WHEN = "2030-01-02T03:04:05.000006Z"
CHANGED = NodeStateChanged("fs1", "active", "down", "3 attempts without an answer")


@dataclass(frozen=True, slots=True)
class DTLSFailed(Note):
    level: ClassVar[Level] = Level.ERROR
    why: str


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (NodeStateChanged, "node.state_changed"),
        (CallAdmitted, "call.admitted"),
        (Overloaded, "overloaded"),
        (DTLSFailed, "dtls.failed"),
    ],
)
def test_the_event_is_named_after_its_class(kind: type[Note], name: str) -> None:
    assert event_name(kind) == name


def test_json_holds_the_fields_as_they_stand() -> None:
    note = DecisionTaken("id@host", "least_loaded", "fs", "pstn", "fs2", "most free", (("fs1", "down"),))
    assert json.loads(json_line(note, WHEN)) == {
        "time": WHEN,
        "level": "debug",
        "event": "decision.taken",
        "call_id": "id@host",
        "policy": "least_loaded",
        "group": "fs",
        "resource": "pstn",
        "chosen": "fs2",
        "why": "most free",
        "passed_over": [["fs1", "down"]],
    }


def test_text_is_one_line_and_quotes_what_needs_it() -> None:
    assert text_line(CHANGED, WHEN) == (
        f'{WHEN} WARNING node.state_changed node=fs1 before=active after=down why="3 attempts without an answer"'
    )


@pytest.mark.parametrize("line", [text_line, json_line])
def test_a_stranger_cannot_forge_a_line(line) -> None:  # type: ignore[no-untyped-def]
    note = CallAdmitted("x\nERROR\u2028forged=1\x1b[2J\u202e\x9b2J", "INVITE", 'sip:"a b"@c', "")
    assert line(note, WHEN).isprintable()


def test_lines_go_to_the_file_by_level(tmp_path: Path) -> None:
    path = tmp_path / "siptwin.log"
    log = NoteLog(path, log_format="json", level=Level.WARNING)
    log(CallAdmitted("id", "INVITE", "sip:a@b", "127.0.0.1:5060"), 1.0)
    log(CHANGED, 2.0)
    log.close()
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row["event"] == "node.state_changed"
    assert row["time"].endswith("Z")


def test_a_file_that_logrotate_moved_away_is_opened_anew(tmp_path: Path) -> None:
    path, moved = tmp_path / "siptwin.log", tmp_path / "siptwin.log.1"
    log = NoteLog(path)
    path.rename(moved)
    log(CHANGED, 1.0)
    log.close()
    assert "fs1" in path.read_text()
    assert moved.read_text() == ""


def test_a_file_that_logrotate_copied_and_truncated_goes_on_from_its_beginning(tmp_path: Path) -> None:
    """As its ``copytruncate`` does: nobody is told, the file stays the same."""
    path = tmp_path / "siptwin.log"
    log = NoteLog(path)
    log(CHANGED, 1.0)
    ends = time.monotonic() + 10.0
    while not path.read_text():
        assert time.monotonic() < ends, "nothing was written"
        time.sleep(0.001)
    os.truncate(path, 0)
    log(CHANGED, 2.0)
    log.close()
    text = path.read_text()
    assert "\0" not in text
    assert text.startswith("20")


def test_bytes_that_were_no_text_do_not_stop_the_log(tmp_path: Path) -> None:
    path = tmp_path / "siptwin.log"
    log = NoteLog(path, log_format="json", level=Level.DEBUG)
    log(CallAdmitted(b"\xff".decode(errors="surrogateescape"), "INVITE", "", ""), 1.0)
    log(CHANGED, 1.0)
    log.close()
    assert len(path.read_text().splitlines()) == 2


def test_beyond_the_bound_lines_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "siptwin.log"
    log = NoteLog(path, lines_max=10)
    for _ in range(25):
        log(CHANGED, 1.0)
    log.close()
    lines = path.read_text().splitlines()
    assert sum("node.state_changed" in line for line in lines) >= 10
    dropped = sum(int(line.rpartition("count=")[2]) for line in lines if "lines.dropped" in line)
    assert sum("node.state_changed" in line for line in lines) + dropped == 25
    assert dropped > 0


def test_without_a_file_it_writes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    log = NoteLog()
    log(CHANGED, 1.0)
    log.close()
    assert "node.state_changed" in capfd.readouterr().err


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match=r"^cannot write the log .+: no such file or directory - "):
        NoteLog(tmp_path / "missing" / "siptwin.log")
