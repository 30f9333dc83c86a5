"""Just enough reading of SIP to follow transactions and dialogs on the wire, apart from the engine's own parser.

A checker that shared the engine's parser would share its mistakes.
"""

from __future__ import annotations

import re

_BRANCH = re.compile(rb"\n(?:via|v)[ \t]*:[^\n]*?;[ \t]*branch[ \t]*=[ \t]*([^\s;,]+)", re.IGNORECASE)
_CALL_ID = re.compile(rb"\n(?:call-id|i)[ \t]*:[ \t]*([^\s]+)", re.IGNORECASE)
_CSEQ = re.compile(rb"\ncseq[ \t]*:[ \t]*(\d+)[ \t]+([^\s]+)", re.IGNORECASE)
_FROM_TAG = re.compile(rb"\n(?:from|f)[ \t]*:[^\n]*;[ \t]*tag[ \t]*=[ \t]*([^\s;,>]+)", re.IGNORECASE)
_TO_TAG = re.compile(rb"\n(?:to|t)[ \t]*:[^\n]*;[ \t]*tag[ \t]*=[ \t]*([^\s;,>]+)", re.IGNORECASE)


def status_of(data: bytes) -> int:
    """The status of a response; 0 for anything else."""
    return int(data[8:11]) if data.startswith(b"SIP/2.0 ") and data[8:11].isdigit() else 0


def method_of(data: bytes) -> bytes:
    """The method of a request, from its first word."""
    return data[: data.find(b" ", 0, 40)]


def branch_of(data: bytes) -> bytes:
    """The branch of the topmost Via; b"" where there is none."""
    return _first(_BRANCH, data)


def call_id_of(data: bytes) -> bytes:
    return _first(_CALL_ID, data)


def from_tag_of(data: bytes) -> bytes:
    return _first(_FROM_TAG, data)


def to_tag_of(data: bytes) -> bytes:
    return _first(_TO_TAG, data)


def cseq_of(data: bytes) -> tuple[bytes, bytes]:
    """Number and method."""
    match = _CSEQ.search(data)
    return (match[1], match[2]) if match else (b"", b"")


def _first(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    match = pattern.search(data)
    return match[1] if match else b""
