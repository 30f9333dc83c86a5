"""Framing of the event socket: header lines, an empty line, and a body where there is a Content-Length.

The protocol is FreeSWITCH's own (mod_event_socket). A body of ``text/event-plain`` is an event: lines again, whose
values are percent-encoded, so that no value holds a line's end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.sip.uri import unescape

HEADER_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 32 * 1024 * 1024  # a list of ten thousand channels has ten

_END = b"\n\n"
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,10})[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_TYPE = re.compile(rb"^content-type:[ \t]*([^\s;]+)", re.IGNORECASE | re.MULTILINE)
_REPLY = re.compile(rb"^reply-text:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class FramingError(ValueError):
    """What came is no event socket's word; nothing after it can be understood."""


class Frame(NamedTuple):
    """One message: its Content-Type, its Reply-Text where it has one, and its body."""

    kind: bytes
    reply: bytes
    body: bytes


class Framer:
    """Cuts a stream of bytes into frames."""

    __slots__ = ("_buffer", "_head", "_wanted")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head = b""  # of the frame whose body is still to come
        self._wanted = -1  # bytes of that body; -1 while its head is still to come

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete.

        Raises
        ------
        FramingError
            A head or body is longer than any that FreeSWITCH sends.
        """
        buffer = self._buffer
        searched = max(len(buffer) - 1, 0) if self._wanted < 0 else 0
        buffer += data
        frames: list[Frame] = []
        at = 0
        while True:
            if self._wanted < 0:
                end = buffer.find(_END, max(at, searched))
                if end < 0:
                    if len(buffer) - at > HEADER_BYTES_MAX:
                        raise FramingError(f"more than {HEADER_BYTES_MAX} bytes without an empty line")
                    break
                self._head = bytes(buffer[at:end])
                at = end + len(_END)
                length = _LENGTH.search(self._head)
                self._wanted = int(length[1]) if length else 0
                if self._wanted > BODY_BYTES_MAX:
                    raise FramingError(f"a body of {self._wanted} bytes, {BODY_BYTES_MAX} at most")
            if len(buffer) - at < self._wanted:
                break
            body = bytes(buffer[at : at + self._wanted])
            at += self._wanted
            self._wanted = -1
            if head := self._head.strip():  # empty lines between frames mean nothing
                frames.append(Frame(_first(_TYPE, head), _first(_REPLY, head), body))
        del buffer[:at]
        return frames


def _first(pattern: re.Pattern[bytes], head: bytes) -> bytes:
    found = pattern.search(head)
    return found[1] if found else b""


class Event:
    """One event; a field is looked for when it is asked, since of a hundred three are."""

    __slots__ = ("_text",)

    def __init__(self, body: bytes) -> None:
        self._text = b"\n" + body

    def get(self, name: bytes) -> str:
        """The value of this field, decoded; "" where the event has none."""
        text = self._text
        start = text.find(b"\n" + name + b": ")
        if start < 0:
            return ""
        start += len(name) + 3
        end = text.find(b"\n", start)
        value = text[start : end if end >= 0 else len(text)]
        if b"%" in value:
            value = unescape(value)
        return value.decode("utf-8", "replace").rstrip("\r")

    def number(self, name: bytes) -> float | None:
        """The value as a number; None where there is none."""
        try:
            value = float(self.get(name))
        except ValueError:
            return None
        return value if 0.0 <= value < 1e12 else None
