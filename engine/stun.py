"""STUN Binding requests on a SIP port (RFC 5626 §4.4.2, RFC 8489): "this is the address that I see you at".

User agents send them to keep the binding of their NAT open, and notice by the answer when it has changed. They
need no credentials, so such attributes are understood and not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from struct import Struct
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

_REQUEST, _INDICATION, _SUCCESS, _ERROR = 0x0001, 0x0011, 0x0101, 0x0111
_ERROR_CODE, _UNKNOWN_ATTRIBUTES, _XOR_MAPPED_ADDRESS, _FINGERPRINT = 0x0009, 0x000A, 0x0020, 0x8028
_OPTIONAL = 0x8000  # from here on an attribute that isn't understood is to be passed over
# MAPPED-ADDRESS, USERNAME, MESSAGE-INTEGRITY, ERROR-CODE, UNKNOWN-ATTRIBUTES, REALM, NONCE,
# MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH, XOR-MAPPED-ADDRESS (RFC 8489 §18.3)
_UNDERSTOOD = frozenset((0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E, 0x0020))
_FINGERPRINT_BYTES = 8
_FINGERPRINT_XOR = 0x5354554E
_UNKNOWN_ATTRIBUTE = b"\x00\x00\x04\x14Unknown Attribute"  # class 4, number 20


class StunError(ValueError):
    """A STUN message that gets no answer. The words are ours, never the sender's."""


def is_stun(data: bytes) -> bool:
    """Whether this is STUN; the first octet is held against ``LAST_FIRST_OCTET`` before (RFC 8489 §5)."""
    return data[4:8] == _COOKIE and len(data) >= _HEADER_BYTES


def stun_answer(data: bytes, source: Address) -> bytes:
    """The answer to a STUN message that came from ``source``; empty where none is due.

    Raises
    ------
    StunError
        Where the message is malformed, or nothing that is served here.
    """
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if length % 4 or _HEADER_BYTES + length != len(data):
        raise StunError("length that does not fit")
    unknown: list[int] = []
    fingerprint = False
    for attribute, at in _attributes(data):
        if fingerprint:
            raise StunError("FINGERPRINT not at the end")
        if attribute == _FINGERPRINT:
            if data[at:] != _fingerprint(data[:at]):
                raise StunError("wrong FINGERPRINT")
            fingerprint = True
        elif attribute < _OPTIONAL and attribute not in _UNDERSTOOD:
            unknown.append(attribute)
    if kind == _INDICATION:  # a keep-alive that wants no answer
        return b""
    if kind != _REQUEST:
        raise StunError("no Binding request")
    if unknown:
        return _message(_ERROR, transaction, _unknown_attributes(unknown), fingerprint)
    return _message(_SUCCESS, transaction, _xor_mapped_address(source, transaction), fingerprint)


def _attributes(data: bytes) -> Iterator[tuple[int, int]]:
    """Type and place of each attribute."""
    at = _HEADER_BYTES
    while at < len(data):  # the length is a multiple of four, and so is every step: type and length are there
        attribute, length = _PAIR.unpack_from(data, at)
        yield attribute, at
        at += 4 + (length + 3 & ~3)
    if at != len(data):
        raise StunError("attribute beyond the end")


def _message(kind: int, transaction: bytes, body: bytes, fingerprint: bool) -> bytes:
    length = len(body) + (_FINGERPRINT_BYTES if fingerprint else 0)
    message = _HEADER.pack(kind, length, _COOKIE, transaction) + body
    return message + _fingerprint(message) if fingerprint else message


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


def _unknown_attributes(unknown: list[int]) -> bytes:
    """ERROR-CODE 420 and UNKNOWN-ATTRIBUTES (RFC 8489 §14.8, §14.13)."""
    types = b"".join(attribute.to_bytes(2) for attribute in unknown)
    return _attribute(_ERROR_CODE, _UNKNOWN_ATTRIBUTE) + _attribute(_UNKNOWN_ATTRIBUTES, types)


def _attribute(kind: int, value: bytes) -> bytes:
    return _PAIR.pack(kind, len(value)) + value + bytes(-len(value) % 4)
