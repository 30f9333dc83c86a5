"""What the sound tests read of session descriptions on their way."""

from __future__ import annotations

import re

from engine.boundary import Address
from engine.media.profiles import read_remote
from engine.media.sdp import SdpError, parse


def described(message: bytes) -> tuple[bytes, bytes] | None:
    """Call-ID and description of a message that has one."""
    head, _, body = message.partition(b"\r\n\r\n")
    call_id = re.search(rb"\r\nCall-ID: ([^\r]+)", head)
    return (call_id[1], body) if body.startswith(b"v=0") and call_id else None


def address_of(body: bytes) -> Address | None:
    """Where a description asks for media."""
    try:
        description = parse(body)
        return read_remote(description, description.media[0]).address
    except (SdpError, IndexError):
        return None
