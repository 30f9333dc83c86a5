"""One DTLS association (RFC 5763, RFC 5764): datagrams in and out, SRTP keys at its end. No socket, no thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

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
    """One end. ``keys`` stand after a hand-shake with the right peer; ``failure`` says why they never will."""

    __slots__ = ("_connection", "_is_client", "failure", "fingerprints", "keys")

    def __init__(self, context: SSL.Context, *, is_client: bool, fingerprints: tuple[Fingerprint, ...]) -> None:
        self.keys: Keys | None = None
        self.failure = ""
        self.fingerprints = fingerprints
        self._is_client = is_client
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(_MTU)
        if is_client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def start(self) -> list[bytes]:
        """Begin; the client's first words."""
        return self._advance()

    def receive(self, datagram: bytes) -> list[bytes]:
        """A datagram came from the peer; what to answer."""
        if self.failure:
            return []
        try:
            self._connection.bio_write(datagram)
        except SSL.Error:
            return []
        return self._advance() if self.keys is None else self._listen()

    def timeout_s(self) -> float | None:
        """How long to wait for the peer before ``expire``; None: as long as it likes."""
        if self.failure or self.keys is not None:
            return None
        timeout_s: float | None = self._connection.DTLSv1_get_timeout()
        return timeout_s

    def expire(self) -> list[bytes]:
        """The peer said nothing: say the last again (RFC 6347 §4.2.4)."""
        with suppress(SSL.Error):
            self._connection.DTLSv1_handle_timeout()
        return self._outgoing()

    def close(self) -> list[bytes]:
        """A farewell."""
        with suppress(SSL.Error):
            self._connection.shutdown()
        return self._outgoing()

    def _advance(self) -> list[bytes]:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return self._outgoing()
        except SSL.Error:
            self.failure = "handshake"
            return self._outgoing()
        self._conclude()
        return self._outgoing()

    def _listen(self) -> list[bytes]:
        """After the hand-shake only a farewell means something, and a last flight that the peer has missed."""
        try:
            self._connection.recv(1)
        except SSL.ZeroReturnError:
            self.failure = "closed"
            self.keys = None
        except SSL.Error:
            pass
        return self._outgoing()

    def _conclude(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or not certificate_fits(self.fingerprints, certificate.public_bytes(Encoding.DER)):
            self.failure = "certificate"
            return
        suite = _PROFILES.get(self._connection.get_selected_srtp_profile())
        if suite is None:
            self.failure = "no SRTP profile"
            return
        key_bytes, salt_bytes = SUITES[suite]
        text = self._connection.export_keying_material(_LABEL, 2 * (key_bytes + salt_bytes))
        # RFC 5764 §4.2: both keys, then both salts, the client's first.
        client = text[:key_bytes] + text[2 * key_bytes : 2 * key_bytes + salt_bytes]
        server = text[key_bytes : 2 * key_bytes] + text[2 * key_bytes + salt_bytes :]
        self.keys = Keys(suite, server, client) if self._is_client else Keys(suite, client, server)

    def _outgoing(self) -> list[bytes]:
        text = b""
        with suppress(SSL.Error):
            while True:
                text += self._connection.bio_read(65_535)
        return list(_datagrams(text))


def _datagrams(text: bytes) -> Iterator[bytes]:
    """OpenSSL's records as datagrams: as many whole ones in each as fit (RFC 6347 §4.1.1)."""
    begin = at = 0
    while at + _RECORD_HEADER <= len(text):
        end = at + _RECORD_HEADER + int.from_bytes(text[at + 11 : at + 13])
        if end - begin > _MTU and at > begin:
            yield text[begin:at]
            begin = at
        at = end
    if at > begin:
        yield text[begin:at]
