"""Just enough of SIP to tell whose message it is, and to find its ends on a stream.

A capture changes nothing, so it need not understand more; and it must take what the engine refuses.
"""

from __future__ import annotations

import re

MESSAGE_BYTES_MAX = 65_000  # as much as one UDP datagram holds; of what is longer the beginning is kept

_START = re.compile(rb"(?:SIP/2\.0 \d{3} |[A-Z]{1,20} \S{1,4096} SIP/2\.0\r?\n)")
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})", re.IGNORECASE | re.MULTILINE)
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_PARTY = re.compile(
    rb"^(?:from|f|to|t|contact|m)[ \t]*:[^\r\n]*?sips?:([^@:;>\s]+)@", re.IGNORECASE | re.MULTILINE
)
_ASKED_FOR = re.compile(rb"[A-Z]{1,20} sips?:([^@:;\s]+)@", re.IGNORECASE)


def is_message(data: bytes) -> bool:
    """Whether this begins a SIP message: keep-alives, STUN and event sockets do not."""
    return _START.match(data) is not None


def call_id_of(data: bytes) -> bytes:
    """Its Call-ID, b"" where it has none."""
    found = _CALL_ID.search(data)
    return found[1] if found else b""


def users_of(data: bytes) -> set[bytes]:
    """The user parts in Request-URI, From, To and Contact."""
    users = {match[1] for match in _PARTY.finditer(data)}
    asked = _ASKED_FOR.match(data)
    if asked:
        users.add(asked[1])
    return users


class Assembler:
    """Cuts what comes on one connection into messages. It may begin in the middle of one, which is left out."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that these bytes complete."""
        buffer = self._buffer + data
        found: list[bytes] = []
        while buffer:
            buffer = buffer.lstrip(b"\r\n")
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            head = buffer[: end + 2]
            if not is_message(head):
                buffer = buffer[end + 4 :]
                continue
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < whole:
                break
            found.append(buffer[:whole])
            buffer = buffer[whole:]
        self._buffer = buffer if len(buffer) <= MESSAGE_BYTES_MAX else b""
        return found
