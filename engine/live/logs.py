"""Notes as log lines, JSON or text, to stderr or to a file that logrotate may move away.

The hot path only makes the line and appends it to a bounded list; a thread of its own writes, so that a slow disk
costs lines (counted and told), never calls.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO, TypeAlias

from engine.boundary import Level, Note
from engine.live.errors import LiveError, reason_of
from engine.live.notes import LinesDropped

LogFormat: TypeAlias = Literal["text", "json"]

_RANKS = {level: rank for rank, level in enumerate(Level)}
_FLUSH_INTERVAL_S = 0.05
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_PLAIN = re.compile(r"[^\s\"'=\\]+")  # what, being printable, needs no quotes in a text line
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class _Shape(NamedTuple):
    event: str
    fields: tuple[str, ...]


_shapes: dict[type[Note], _Shape] = {}  # one entry a class: a cache, not a state


def event_name(kind: type[Note]) -> str:
    """``NodeStateChanged`` is ``node.state_changed``."""
    subject, *verb = (word.lower() for word in _WORD.findall(kind.__name__))
    return f"{subject}.{'_'.join(verb)}" if verb else str(subject)


def _shape(kind: type[Note]) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        shape = _shapes[kind] = _Shape(event_name(kind), tuple(each.name for each in fields(kind)))
    return shape


def json_line(note: Note, when: str) -> str:
    """One JSON object: ``time``, ``level``, ``event``, then the note's fields as they stand."""
    event, names = _shape(type(note))
    row: dict[str, Any] = {"time": when, "level": note.level.value, "event": event}
    for name in names:
        row[name] = getattr(note, name)
    return _encode(row)


def text_line(note: Note, when: str) -> str:
    """``time LEVEL event field=value ...``; a value with blanks or control characters is a JSON string."""
    event, names = _shape(type(note))
    values = " ".join(f"{name}={_text(getattr(note, name))}" for name in names)
    return f"{when} {note.level.upper():7} {event} {values}".rstrip()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value if value.isprintable() and _PLAIN.fullmatch(value) else json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return _encode(value)


class NoteLog:
    """An ``on_note`` that writes.

    Parameters
    ----------
    path
        The log's own file, None for stderr. A file that was moved away (logrotate) is opened anew.
    level
        Less important notes are left out.
    lines_max
        Lines kept while the file takes none; what comes beyond is dropped and counted.

    Raises
    ------
    LiveError
        The file cannot be written.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        log_format: LogFormat = "text",
        level: Level = Level.INFO,
        lines_max: int = 20_000,
    ) -> None:
        self._line = json_line if log_format == "json" else text_line
        self._lowest = _RANKS[level]
        self._lines_max = lines_max
        self._lines: deque[str] = deque()  # its append and popleft are safe between threads
        self._dropped = 0
        self._file = _open(path) if path else None
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="note-log", daemon=True)
        self._thread.start()

    def __call__(self, note: Note, _now: float) -> None:
        if _RANKS[note.level] < self._lowest:
            return
        if len(self._lines) >= self._lines_max:
            self._dropped += 1
            return
        self._lines.append(self._line(note, _wall_clock()))
        if not self._due.is_set():
            self._due.set()

    def close(self) -> None:
        """Write what is left, and end."""
        self._closing.set()
        self._due.set()
        self._thread.join(timeout=2)
        if self._file:
            self._file.close()

    def _write_on(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            self._closing.wait(_FLUSH_INTERVAL_S)  # gather: a line at a time would cost a switch of threads each
            self._due.clear()
            self._write()
        self._write()

    def _write(self) -> None:
        lines = list(self._take())
        if not lines:
            return
        with suppress(OSError, ValueError):  # disk full, stderr closed: those lines are lost, the calls go on
            stream = self._stream()
            stream.write("\n".join(lines) + "\n")
            stream.flush()

    def _take(self) -> Iterator[str]:
        for _ in range(len(self._lines)):
            yield self._lines.popleft()
        dropped, self._dropped = self._dropped, 0
        if dropped:
            yield self._line(LinesDropped(dropped), _wall_clock())

    def _stream(self) -> TextIO:
        if self._file is None:
            return sys.stderr
        self._file.reopenIfNeeded()
        return self._file.stream or sys.stderr  # None: the file could not be opened anew


def _open(path: Path) -> WatchedFileHandler:
    try:
        return WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise LiveError(f"cannot write the log {path}: {reason_of(error)} - choose another file") from None


def _wall_clock() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
