"""TLS of one interface: contexts made from PEM files, and whether the files have changed since."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from engine.boundary import Interface
from engine.live.errors import LiveError, reason_of

Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file its time, size and inode; None where it is missing."""

# Forward secrecy and authenticated encryption alone; TLS 1.3 has nothing else (RFC 9325 §4.2).
_CIPHERS_OF_1_2: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_MAKE_ONE: Final = "`siptwin certificate` makes one for development"


class Tls:
    """What an interface shows to those that it accepts, and whom it trusts when it connects.

    A hand-shake takes the contexts of its moment; connections that stand keep theirs.

    Raises
    ------
    LiveError
        A file is missing, unreadable or not what it should be; the text names it and the remedy.
    """

    def __init__(self, interface: Interface) -> None:
        self.stamp = stamp_of(interface)
        self.certificate = interface.tls.certificate if interface.tls else ""
        self._owner = f"interface {interface.name}"
        if interface.listens and interface.tls is None:
            raise LiveError(
                f"{self._owner}: {interface.transport} needs tls: with certificate and private_key - {_MAKE_ONE}"
            )
        self.accepting = self._accepting(interface)
        self.connecting = self._connecting(interface)

    def _accepting(self, interface: Interface) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        _harden(context)
        if interface.tls is not None:
            self._load_chain(context, interface.tls.certificate, interface.tls.private_key)
        if interface.whole_messages:
            context.set_alpn_protocols(["http/1.1"])  # RFC 6455 needs it; a browser would like HTTP/2 better
        return context

    def _connecting(self, interface: Interface) -> ssl.SSLContext:
        trusted = interface.tls.trusted if interface.tls else None
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=trusted)
        except ssl.SSLError:
            raise self._error(f"{trusted} holds no certificate", "give a PEM file of authorities") from None
        except OSError as error:
            raise self._error(f"cannot read {trusted} ({reason_of(error)})", "correct tls.trusted") from None
        _harden(context)
        if interface.tls is not None:  # a peer may ask us for one as well (RFC 5923)
            self._load_chain(context, interface.tls.certificate, interface.tls.private_key)
        return context

    def _load_chain(self, context: ssl.SSLContext, certificate: str, private_key: str) -> None:
        for path, key in ((certificate, "certificate"), (private_key, "private_key")):
            try:
                text = Path(path).read_bytes()
            except (OSError, ValueError) as error:
                remedy = f"correct tls.{key}, or its rights; {_MAKE_ONE}"
                raise self._error(f"cannot read {path} ({reason_of(error)})", remedy) from None
            if b"-----BEGIN " not in text:
                raise self._error(f"{path} is not a PEM file", f"give tls.{key} one; {_MAKE_ONE}")
        try:
            # Without a function for the password OpenSSL would ask for it on the terminal.
            context.load_cert_chain(certificate, private_key, password=_no_password)
        except _PasswordError:
            remedy = "take the password off: openssl pkey -in OLD -out NEW"
            raise self._error(f"{private_key} has a password", remedy) from None
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                problem = f"{private_key} is not the key of {certificate}"
                raise self._error(problem, "give the two that were made together") from None
            problem = f"{certificate} and {private_key} cannot be used ({reason_of(error)})"
            raise self._error(problem, "give a certificate with its chain, and its key, as PEM") from None

    def _error(self, problem: str, remedy: str) -> LiveError:
        return LiveError(f"{self._owner}: {problem} - {remedy}")


def read_tls(interfaces: Iterable[Interface]) -> dict[str, Tls]:
    """The contexts of all secure ones among these interfaces, by name; raises LiveError as `Tls` does."""
    return {each.name: Tls(each) for each in interfaces if each.secure}


def stamp_of(interface: Interface) -> Stamp:
    """What of the files shows at a glance that they have changed."""
    files = interface.tls
    return (
        tuple(_stamp(path) for path in (files.certificate, files.private_key, files.trusted) if path)
        if files
        else ()
    )


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_OF_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION  # a peer could make us compute without end


class _PasswordError(Exception):
    """The key is encrypted."""


def _no_password() -> str:
    raise _PasswordError
