"""Certificates of secure interfaces: whether `siptwin serve` can use them, and clients will accept them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509

from engine.boundary import Interface
from engine.config import EdgeConfig
from engine.live.errors import LiveError
from engine.live.tls import Tls
from lab.findings.finding import Finding

_SOON: Final = timedelta(days=14)


def certificates(config: EdgeConfig, now: datetime) -> Iterator[Finding]:
    """What is wrong with the certificate of each secure interface; simulation and rehearsal need none."""
    for interface in config.interfaces:
        if interface.secure and interface.listens:
            yield from _certificate(config, interface, now)


def _certificate(config: EdgeConfig, interface: Interface, now: datetime) -> Iterator[Finding]:
    where = f"{config.name}, {interface.name}"
    try:
        path = Tls(interface).certificate
    except LiveError as error:
        problem, _, remedy = str(error).partition(" - ")
        yield Finding("risk", where, f"`siptwin serve` cannot start: {problem}", remedy)
        return
    leaf = x509.load_pem_x509_certificate(Path(path).read_bytes())
    left = leaf.not_valid_after_utc - now
    if left <= timedelta():
        yield Finding("breaks", where, f"{path} expired {(-left).days} days ago: no client accepts it", "renew it")
    elif left < _SOON:
        what = f"{path} expires in {left.days} days"
        yield Finding("risk", where, what, "renew it; a running `siptwin serve` takes it over by itself")
    hosts = (interface.public_host, *config.domains)
    if not any(_covers(leaf, host) for host in hosts):
        what = f"{path} is for other names than {', '.join(hosts)}: clients that connect to these refuse it"
        yield Finding("risk", where, what, "get one for the name that clients connect to, or add it to domains:")


def _covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a client that connects to this host accepts the certificate (RFC 6125 §6.4)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    shown = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    host = host.lower()
    return host in shown or f"*.{host.partition('.')[2]}" in shown
