"""The certificate by which DTLS peers know us: self-signed, its fingerprint told in signalling (RFC 5763 §5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.media.sdp.attributes import Fingerprint

# Nobody looks at the dates, for the fingerprint says all; but an edge may run for years.
_LIFETIME = timedelta(days=3_650)


class Certificate(NamedTuple):
    """A certificate and its key, kept in memory alone."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> Fingerprint:
        """For MediaSettings."""
        return Fingerprint(b"sha-256", self.certificate.fingerprint(hashes.SHA256()))

    def __repr__(self) -> str:
        return f"Certificate({bytes(self.fingerprint)!r})"


def new_certificate() -> Certificate:
    """One on P-256, which every WebRTC peer takes (RFC 8827 §6.5), under a name that tells nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + _LIFETIME)
    return Certificate(builder.sign(key, hashes.SHA256()), key)
