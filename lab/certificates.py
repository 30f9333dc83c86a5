"""Certificates for development: an authority of one's own, and one certificate that it signed.

The authority's key is forgotten as soon as it has signed: who trusts the authority trusts this certificate alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.boundary import TlsFiles
from lab.errors import InputError

DEFAULT_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
DEFAULT_DAYS: Final = 365

_CLOCK_SKEW: Final = timedelta(hours=1)
_DNS_NAME_MAX: Final = 253


class CertificateFiles(NamedTuple):
    """What was written, as absolute paths of PEM files."""

    authority: Path  # to be trusted by clients
    certificate: Path
    private_key: Path

    @property
    def tls(self) -> TlsFiles:
        """As an interface takes them."""
        return TlsFiles(
            certificate=str(self.certificate), private_key=str(self.private_key), trusted=str(self.authority)
        )


def make_certificate(
    directory: Path, hosts: Sequence[str] = DEFAULT_HOSTS, *, days: int = DEFAULT_DAYS, force: bool = False
) -> CertificateFiles:
    """Write an authority's certificate, one that it signed for ``hosts``, and its key (mode 0600).

    Parameters
    ----------
    directory : Path
        Made where it is missing.
    hosts : sequence of str
        DNS names and IP addresses under which clients will connect.
    days : int
        How long both are valid from now on.
    force : bool
        Replace files that are there.

    Raises
    ------
    InputError
        A host is none, files are there already, or the directory cannot be written to.
    """
    files = CertificateFiles(*(directory.absolute() / name for name in ("ca.pem", "siptwin.pem", "siptwin.key")))
    names = [_name(host) for host in dict.fromkeys(hosts)]
    there = [path for path in files if path.exists()]
    if there and not force:
        raise InputError(f"{there[0]} exists - give --force to replace it, or another directory with --out")
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    begins = datetime.now(UTC) - _CLOCK_SKEW
    ends = begins + _CLOCK_SKEW + timedelta(days=days)
    authority = _authority(authority_key, begins, ends)
    leaf = _leaf(names, key, authority, authority_key, begins, ends)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(files.authority, authority.public_bytes(Encoding.PEM), 0o644)
        _write(files.certificate, leaf.public_bytes(Encoding.PEM), 0o644)
        _write(files.private_key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot write to {directory} ({reason}) - give another directory with --out") from None
    return files


def _name(host: str) -> x509.GeneralName:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return x509.IPAddress(ip_address(bare))
    except ValueError:
        pass
    labels = bare.removeprefix("*.").split(".")
    if len(bare) > _DNS_NAME_MAX or not all(_is_label(label) for label in labels):
        raise InputError(f"{host!r} is neither an IP address nor a DNS name - write it as clients will")
    return x509.DNSName(bare)


def _is_label(label: str) -> bool:
    plain = label.replace("-", "a")
    return 0 < len(label) < 64 and plain.isascii() and plain.isalnum() and label[0] != "-" != label[-1]


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _authority(key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime) -> x509.Certificate:
    # Each has a name of its own: a browser that trusts several must not take one for the other.
    serial = x509.random_serial_number()
    subject = _subject(f"siptwin development {serial % 2**32:08x}")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _leaf(
    names: Sequence[x509.GeneralName],
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_subject("siptwin"))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    """Beside it, then over it: nobody ever reads half a file, or one with other rights."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    beside.replace(path)
