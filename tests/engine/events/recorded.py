"""Event sockets of a real FreeSWITCH as they were recorded (tests/vectors/freeswitch_events)."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "freeswitch_events"
_BLOCK = re.compile(rb"^### \+\d+\.\d+ <\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)


def received(case: str) -> bytes:
    """All that FreeSWITCH sent, as it was on the wire."""
    text = (_FOLDER / f"{case}.txt").read_bytes()
    return b"".join(_on_the_wire(block[1]) for block in _BLOCK.finditer(text) if not block[1].startswith(b"["))


def _on_the_wire(block: bytes) -> bytes:
    head, _, rest = block.partition(b"\n\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return head + b"\n\n" + rest[: int(length[1]) if length else 0]
