"""Peers that speak SRTP and DTLS by libraries of their own, not by the plane's code."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import lru_cache

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from pylibsrtp import Policy, Session
from relay_desk import Phone

from engine.boundary import Address
from engine.live.relay.certificate import Certificate, new_certificate
from engine.media.rules import Sdes
from engine.media.sdp.attributes import SUITES, Crypto

_PROFILES = {
    b"AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    b"AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    b"AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    b"AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


def crypto(suite: bytes, letter: bytes) -> Crypto:
    """Keys that differ by a letter."""
    return Crypto(1, suite, letter * sum(SUITES[suite]))


class Secured:
    """The peer's side of a port's keys."""

    def __init__(self, suite: bytes, send: bytes, receive: bytes) -> None:
        self.out = _session(suite, send, Policy.SSRC_ANY_OUTBOUND)
        self.back = _session(suite, receive, Policy.SSRC_ANY_INBOUND)

    @classmethod
    def of(cls, ours: Sdes) -> Secured:
        """The other end of what the port is secured by."""
        return cls(ours.receive.suite, ours.receive.key, ours.send.key)


def _session(suite: bytes, key: bytes, ssrc_type: int) -> Session:
    return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[suite]))


@lru_cache
def peer_certificate() -> Certificate:
    return new_certificate()


class DtlsPeer:
    """The other end of a hand-shake: by pyOpenSSL, over a phone's socket."""

    def __init__(self, phone: Phone, *, is_client: bool) -> None:
        certificate = peer_certificate()
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
        self.phone = phone
        self.is_client = is_client
        self.connection = SSL.Connection(context, None)
        if is_client:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()

    def flight(self) -> bytes:
        """What it has to say."""
        with suppress(SSL.WantReadError):
            self.connection.do_handshake()
        try:
            return self.connection.bio_read(65_535)
        except SSL.WantReadError:
            return b""

    async def shake(self, target: Address) -> Secured:
        """Conduct the hand-shake to its end."""
        flight = self.flight()
        while True:
            if flight:
                self.phone.send(flight, target)
            try:
                self.connection.do_handshake()
                break
            except SSL.WantReadError:
                self.connection.bio_write(await self.phone.receive())
            flight = self.flight()
        text = self.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)
        client, server = text[:16] + text[32:46], text[16:32] + text[46:]
        ours, theirs = (client, server) if self.is_client else (server, client)
        with suppress(SSL.WantReadError):
            self.phone.send(self.connection.bio_read(65_535), target)
        await asyncio.sleep(0)
        return Secured(b"AES_CM_128_HMAC_SHA1_80", ours, theirs)

    def certificate_seen(self) -> bytes:
        """What the plane has shown, as DER."""
        shown = self.connection.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        return shown.public_bytes(Encoding.DER)
