"""What an operator can do something about: one line, with the remedy in it."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from engine.boundary import Interface

_REMEDIES = {
    errno.EADDRINUSE: "stop the other process or change the port",
    errno.EADDRNOTAVAIL: "take an address of this machine, or 0.0.0.0 for all of them",
    errno.EACCES: "take a port from 1024 up, or grant CAP_NET_BIND_SERVICE",
    errno.EPERM: "take a port from 1024 up, or grant CAP_NET_BIND_SERVICE",
    errno.EAFNOSUPPORT: "this machine has no such address family: take another address",
}


class LiveError(Exception):
    """The host cannot do what it was asked; the text is one line that names the cause and the remedy."""


def reason_of(error: BaseException) -> str:
    """The cause in the system's words, in lower case: ``connection refused``."""
    if isinstance(error, socket.gaierror):
        return "other address family" if error.errno == socket.EAI_ADDRFAMILY else "name does not resolve"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'failed').replace('_', ' ').lower()}"
    if isinstance(error, UnicodeError):
        return "not a host name"
    if isinstance(error, TimeoutError) and error.errno is None:
        return "timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def endpoint(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_error(interface: Interface, error: OSError | UnicodeError) -> LiveError:
    if isinstance(error, (socket.gaierror, UnicodeError)):
        remedy = "take an IP address of this machine"
    else:
        remedy = _REMEDIES.get(error.errno or 0, "check the interface's host and port")
    where = f"{interface.transport} {endpoint(interface.host, interface.port)} (interface {interface.name})"
    return LiveError(f"cannot bind {where}: {reason_of(error)} - {remedy}")
