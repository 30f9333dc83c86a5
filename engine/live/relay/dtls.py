"""One DTLS association (RFC 5763, RFC 5764): datagrams in and out, SRTP keys at its end. No socket, no thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate

from engine.live.relay.certificate import Certificate
from engine.media.profiles import certificate_fits
from engine.media.sdp.attributes import SUITES, Fingerprint

# By OpenSSL's names, in the order of our wish: GCM takes half the time of the others.
_PROFILES: Final[Mapping[bytes, bytes]] = {
    b"SRTP_AEAD_AES_128_GCM": b"AEAD_AES_128_GCM",
    b"SRTP_AEAD_AES_256_GCM": b"AEAD_AES_256_GCM",
    b"SRTP_AES128_CM_SHA1_80": b"AES_CM_128_HMAC_SHA1_80",
    b"SRTP_AES128_CM_SHA1_32": b"AES_CM_128_HMAC_SHA1_32",
}
_LABEL: Final = b"EXTRACTOR-dtls_srtp"
_DTLS_1_2: Final = 0xFEFD  # as on the wire (RFC 6347 §4.1); older ones are broken (RFC 8996)
_MTU: Final = 1_200  # fits any path (RFC 8831 §5 says as much)
_RECORD_HEADER: Final = 13
_HANDSHAKE: Final = 22
_FIRST_KEYED: Final = b"\x00\x01"


class Keys(NamedTuple):
    """The outcome: suite, and master key with salt of either way."""

    suite: bytes
    receive: bytes
    send: bytes

    def __repr__(self) -> str:
        return f"Keys({self.suite!r})"


def new_context(certificate: Certificate) -> SSL.Context:
    """What all associations share."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)  # a last flight that ends a hand-shake for good; 1.3 has none
    context.use_certificate(certificate.certificate)
    context.use_privatekey(certificate.key)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # Any certificate at first: whether it fits its fingerprint is seen when the hand-shake is through.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.set_tlsext_use_srtp(b":".join(_PROFILES))
    return context


class Association:
    """One end. ``keys`` stand after a hand-shake with the right peer; ``failure`` says why they never will.

    At its end OpenSSL's state (78 KB) goes. A server keeps its last flight, which a client asks for again that has
    missed it; a client knows by the server's last one that its own has come. Alerts mean nothing any more: who
    hangs up says so by a BYE, and who is gone is noticed by his silence.
    """

    __slots__ = ("_connection", "_is_client", "_last_flight", "failure", "fingerprints", "keys")

    def __init__(self, context: SSL.Context, *, is_client: bool, fingerprints: tuple[Fingerprint, ...]) -> None:
        self.keys: Keys | None = None
        self.failure = ""
        self.fingerprints = fingerprints
        self._is_client = is_client
        self._last_flight: list[bytes] = []
        connection = SSL.Connection(context, None)
        connection.set_ciphertext_mtu(_MTU)
        if is_client:
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        self._connection: SSL.Connection | None = connection  # while the hand-shake lasts

    def start(self) -> list[bytes]:
        """Begin; the client's first words."""
        return [] if self._connection is None else self._advance(self._connection)

    def receive(self, datagram: bytes) -> list[bytes]:
        """A datagram came from the peer; what to answer."""
        connection = self._connection
        if connection is None:
            return self._last_flight if _is_last_flight(datagram) else []
        try:
            connection.bio_write(datagram)
        except SSL.Error:
            return []
        return self._advance(connection)

    def timeout_s(self) -> float | None:
        """How long to wait for the peer before ``expire``; None: as long as it likes."""
        if self._connection is None:
            return None
        timeout_s: float | None = self._connection.DTLSv1_get_timeout()
        return timeout_s

    def expire(self) -> list[bytes]:
        """The peer said nothing: say the last again (RFC 6347 §4.2.4)."""
        if self._connection is None:
            return []
        with suppress(SSL.Error):
            self._connection.DTLSv1_handle_timeout()
        return _outgoing(self._connection)

    def _advance(self, connection: SSL.Connection) -> list[bytes]:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return _outgoing(connection)
        except SSL.Error:
            self.failure = "handshake"
        else:
            self._conclude(connection)
        self._connection = None
        flight = _outgoing(connection)
        if not self._is_client and not self.failure:
            self._last_flight = flight
        return flight

    def _conclude(self, connection: SSL.Connection) -> None:
        # Its octets alone: FreeSWITCH's has the serial number 0, which cryptography is about to refuse.
        certificate = connection.get_peer_certificate()
        octets = b"" if certificate is None else dump_certificate(FILETYPE_ASN1, certificate)
        if not certificate_fits(self.fingerprints, octets):
            self.failure = "certificate"
            return
        suite = _PROFILES.get(connection.get_selected_srtp_profile())
        if suite is None:
            self.failure = "no SRTP profile"
            return
        key_bytes, salt_bytes = SUITES[suite]
        text = connection.export_keying_material(_LABEL, 2 * (key_bytes + salt_bytes))
        # RFC 5764 §4.2: both keys, then both salts, the client's first.
        client = text[:key_bytes] + text[2 * key_bytes : 2 * key_bytes + salt_bytes]
        server = text[key_bytes : 2 * key_bytes] + text[2 * key_bytes + salt_bytes :]
        self.keys = Keys(suite, server, client) if self._is_client else Keys(suite, client, server)


def _outgoing(connection: SSL.Connection) -> list[bytes]:
    text = b""
    with suppress(SSL.Error):
        while True:
            text += connection.bio_read(65_535)
    return list(_datagrams(text))


def _is_last_flight(datagram: bytes) -> bool:
    """Whether the peer's Finished is in it: a hand-shake record of the epoch that has keys (RFC 6347 §4.2.4)."""
    return any(record[0] == _HANDSHAKE and record[3:5] == _FIRST_KEYED for record in _records(datagram))


def _datagrams(text: bytes) -> Iterator[bytes]:
    """OpenSSL's records as datagrams: as many whole ones in each as fit (RFC 6347 §4.1.1)."""
    datagram = b""
    for record in _records(text):
        if datagram and len(datagram) + len(record) > _MTU:
            yield datagram
            datagram = b""
        datagram += record
    if datagram:
        yield datagram


def _records(text: bytes) -> Iterator[bytes]:
    """The records of a flight, or of a datagram (RFC 6347 §4.1); what is no whole header ends them."""
    at = 0
    while at + _RECORD_HEADER <= len(text):
        end = at + _RECORD_HEADER + int.from_bytes(text[at + 11 : at + 13])
        yield text[at:end]
        at = end
