"""The connectivity checks of a full ICE agent (RFC 8445 §7.2), as browsers send them."""

from __future__ import annotations

from hmac import digest
from typing import Final
from zlib import crc32

from engine.media.sdp.attributes import IceNames

_COOKIE: Final = b"\x21\x12\xa4\x42"
_REQUEST: Final = b"\x00\x01"
_PRIORITY: Final = (110 << 24) + (65_535 << 8) + 255  # of a peer-reflexive candidate, component 1


def check(local: IceNames, remote: IceNames, number: int) -> bytes:
    """A check that nominates its pair; ``number`` makes its transaction."""
    body = _attribute(0x0006, remote.ufrag + b":" + local.ufrag)
    body += _attribute(0x0024, _PRIORITY.to_bytes(4))
    body += _attribute(0x802A, number.to_bytes(8))  # ICE-CONTROLLING
    body += _attribute(0x0025, b"")  # USE-CANDIDATE
    transaction = _COOKIE + number.to_bytes(12)
    proof = digest(remote.password, _REQUEST + (len(body) + 24).to_bytes(2) + transaction + body, "sha1")
    body += _attribute(0x0008, proof)
    message = _REQUEST + (len(body) + 8).to_bytes(2) + transaction + body
    return message + _attribute(0x8028, (crc32(message) ^ 0x5354_554E).to_bytes(4))


def _attribute(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)
