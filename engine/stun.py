"""STUN messages about bindings (RFC 8489), and the answer to those on a SIP port (RFC 5626 §4.4.2).

User agents ask "what address do you see me at?" on the SIP port to keep the binding of their NAT open, and notice
by the answer when it has changed. They need no credentials there, so such attributes are understood and not looked
at. On media ports the same messages are ICE checks, which do (``engine.media.ice``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from hmac import compare_digest, digest
from ipaddress import IPv6Address
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from engine.boundary import Address

LAST_FIRST_OCTET = 1
"""The first octet of every message about bindings is 0 or 1, that of a SIP message above 32."""

_COOKIE_NUMBER = 0x2112A442
_COOKIE = _COOKIE_NUMBER.to_bytes(4)
_HEADER = Struct(">HH4s12s")  # type, length, magic cookie, transaction id
_HEADER_BYTES = _HEADER.size
_PAIR = Struct(">HH")
_XOR_IPV4 = Struct(">HHxBHI")  # attribute's type and length, family, port, address
_XOR_IPV6 = Struct(">HHxBH16s")
_FINGERPRINT_VALUE = Struct(">HHI")

REQUEST: Final = 0x0001
INDICATION: Final = 0x0011
SUCCESS: Final = 0x0101
ERROR: Final = 0x0111

# Attributes (RFC 8489 §18.3, RFC 8445 §20.1); those from 0x8000 on may be passed over by who doesn't know them.
USERNAME: Final = 0x0006
MESSAGE_INTEGRITY: Final = 0x0008
PRIORITY: Final = 0x0024
USE_CANDIDATE: Final = 0x0025
ICE_CONTROLLED: Final = 0x8029
_ERROR_CODE, _UNKNOWN_ATTRIBUTES, _INTEGRITY_SHA256 = 0x0009, 0x000A, 0x001C
_XOR_MAPPED_ADDRESS, _FINGERPRINT = 0x0020, 0x8028
_OPTIONAL = 0x8000
# MAPPED-ADDRESS, USERNAME, MESSAGE-INTEGRITY, ERROR-CODE, UNKNOWN-ATTRIBUTES, REALM, NONCE,
# MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH, XOR-MAPPED-ADDRESS (RFC 8489 §18.3)
UNDERSTOOD: Final = frozenset(
    (0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E, 0x0020)
)
_FINGERPRINT_BYTES = 8
_FINGERPRINT_XOR = 0x5354554E
_INTEGRITY_BYTES = 24
_REASONS = {
    400: b"Bad Request",
    401: b"Unauthenticated",
    420: b"Unknown Attribute",
    487: b"Role Conflict",
}


class StunError(ValueError):
    """A STUN message that gets no answer. The words are ours, never the sender's."""


def is_stun(data: bytes) -> bool:
    """Whether this is STUN; the first octet is held against ``LAST_FIRST_OCTET`` before (RFC 8489 §5)."""
    return data[4:8] == _COOKIE and len(data) >= _HEADER_BYTES


class StunMessage(NamedTuple):
    """A message that was read. ``attributes`` holds type and value of each, the first of a type."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    unknown: tuple[int, ...]  # that would have to be understood
    fingerprint: bool
    integrity_at: int  # where MESSAGE-INTEGRITY stands; 0: nowhere
    data: bytes

    def proves(self, password: bytes) -> bool:
        """Whether the sender knew the short-term password (RFC 8489 §9.1, §14.5)."""
        if not self.integrity_at:
            return False
        claimed = self.attributes[MESSAGE_INTEGRITY]
        return compare_digest(claimed, _integrity(self.data[: self.integrity_at], password))


def read_stun(data: bytes, understood: Collection[int] = UNDERSTOOD) -> StunMessage:
    """Read a message that ``is_stun``.

    Raises
    ------
    StunError
        Where it is malformed.
    """
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if length % 4 or _HEADER_BYTES + length != len(data):
        raise StunError("length that does not fit")
    attributes: dict[int, bytes] = {}
    unknown: list[int] = []
    fingerprint = False
    integrity_at = 0
    for attribute, at, value in _attributes(data):
        if fingerprint:
            raise StunError("FINGERPRINT not at the end")
        if attribute == _FINGERPRINT:
            if data[at:] != _fingerprint(data[:at]):
                raise StunError("wrong FINGERPRINT")
            fingerprint = True
        elif integrity_at and attribute != _INTEGRITY_SHA256:
            continue  # §14.5: what follows is not protected, so it is passed over
        elif attribute not in attributes:
            if attribute == MESSAGE_INTEGRITY:
                integrity_at = at
            elif attribute < _OPTIONAL and attribute not in understood:
                unknown.append(attribute)
            attributes[attribute] = value
    return StunMessage(kind, transaction, attributes, tuple(unknown), fingerprint, integrity_at, data)


def stun_answer(data: bytes, source: Address) -> bytes:
    """The answer on a SIP port to a message that came from ``source``; empty where none is due.

    Raises
    ------
    StunError
        Where the message is malformed, or nothing that is served here.
    """
    request = read_stun(data)
    if request.kind == INDICATION:  # a keep-alive that wants no answer
        return b""
    if request.kind != REQUEST:
        raise StunError("no Binding request")
    if request.unknown:
        return stun_error(request, 420)
    return stun_success(request, source)


def stun_success(request: StunMessage, source: Address, password: bytes | None = None) -> bytes:
    """The answer that names the address which the request came from; proven where there is a password."""
    body = _xor_mapped_address(source, request.transaction)
    return _message(SUCCESS, request.transaction, body, request.fingerprint, password)


def stun_error(request: StunMessage, code: int, password: bytes | None = None) -> bytes:
    """The answer that refuses a request (RFC 8489 §14.8); with 420 it lists what was not understood."""
    body = _attribute(_ERROR_CODE, bytes((0, 0, code // 100, code % 100)) + _REASONS[code])
    if code == 420:
        types = b"".join(attribute.to_bytes(2) for attribute in request.unknown)
        body += _attribute(_UNKNOWN_ATTRIBUTES, types)
    return _message(ERROR, request.transaction, body, request.fingerprint, password)


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, place and value of each attribute."""
    at = _HEADER_BYTES
    while at < len(data):  # the length is a multiple of four, and so is every step: type and length are there
        attribute, length = _PAIR.unpack_from(data, at)
        yield attribute, at, data[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)
    if at != len(data):
        raise StunError("attribute beyond the end")


def _message(kind: int, transaction: bytes, body: bytes, fingerprint: bool, password: bytes | None) -> bytes:
    if password is not None:
        head = _HEADER.pack(kind, len(body), _COOKIE, transaction) + body
        body += _attribute(MESSAGE_INTEGRITY, _integrity(head, password))
    length = len(body) + (_FINGERPRINT_BYTES if fingerprint else 0)
    message = _HEADER.pack(kind, length, _COOKIE, transaction) + body
    return message + _fingerprint(message) if fingerprint else message


def _integrity(before: bytes, password: bytes) -> bytes:
    """The value of MESSAGE-INTEGRITY after these bytes, whose length is told as if it were the end (§14.5)."""
    length = len(before) - _HEADER_BYTES + _INTEGRITY_BYTES
    return digest(password, before[:2] + length.to_bytes(2) + before[4:], "sha1")


def _fingerprint(before: bytes) -> bytes:
    """The attribute FINGERPRINT of a message, of which it is the last (RFC 8489 §14.7)."""
    return _FINGERPRINT_VALUE.pack(_FINGERPRINT, 4, crc32(before) ^ _FINGERPRINT_XOR)


def _xor_mapped_address(source: Address, transaction: bytes) -> bytes:
    """RFC 8489 §14.2; the exclusive-or keeps NATs from rewriting what looks like an address of theirs."""
    host, port = source
    port ^= _COOKIE_NUMBER >> 16
    if ":" in host:
        address = IPv6Address(host)
        mapped = address.ipv4_mapped
        if mapped is None:
            mask = int.from_bytes(_COOKIE + transaction)
            return _XOR_IPV6.pack(_XOR_MAPPED_ADDRESS, 20, 2, port, (int(address) ^ mask).to_bytes(16))
        host = str(mapped)  # of a socket for both families
    number = int.from_bytes(bytes(map(int, host.split("."))))
    return _XOR_IPV4.pack(_XOR_MAPPED_ADDRESS, 8, 1, port, number ^ _COOKIE_NUMBER)


def _attribute(kind: int, value: bytes) -> bytes:
    return _PAIR.pack(kind, len(value)) + value + bytes(-len(value) % 4)
