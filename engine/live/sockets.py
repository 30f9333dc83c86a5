"""Bound, sized, non-blocking sockets. Linux constants that Python does not name are spelt out here."""

from __future__ import annotations

import resource
import socket
import struct
from contextlib import suppress

from engine.boundary import Interface
from engine.live.errors import bind_error

# include/uapi: asm-generic/socket.h, linux/sock_diag.h, linux/in.h, linux/in6.h
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_SK_MEMINFO_DROPS = 8
_SK_MEMINFO_VARS = 9
IP_RECVERR = 11
IPV6_RECVERR = 25
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_DONT = 0

_BACKLOG = 4096  # agents that come back all at once; the kernel bounds it by net.core.somaxconn

_FORCE = {socket.SO_RCVBUF: _SO_RCVBUFFORCE, socket.SO_SNDBUF: _SO_SNDBUFFORCE}


def allow_open_files() -> None:
    """As many open files as we may have: the usual limit is a thousand, and each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def family_of(host: str) -> socket.AddressFamily:
    """The family of an IP literal."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bind_udp(interface: Interface, host: str) -> socket.socket:
    """A datagram socket on ``host``, the interface's host as a literal; it tells ICMP errors (IP_RECVERR).

    Raises
    ------
    LiveError
        If the address is taken, not ours or not allowed.
    """
    sock = _new(interface, host, socket.SOCK_DGRAM)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        # Don't-fragment would lose the first large request on every path with a smaller MTU; let routers fragment.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
    return _bound(sock, interface, host)


def bind_tcp(interface: Interface, host: str) -> socket.socket:
    """A listening stream socket on ``host``; raises LiveError as ``bind_udp`` does."""
    sock = _new(interface, host, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT must not hinder a restart
    _bound(sock, interface, host)
    try:
        sock.listen(_BACKLOG)
    except OSError as error:  # two sockets may bind one port with SO_REUSEADDR: then the second one's listen fails
        sock.close()
        raise bind_error(interface, error) from None
    return sock


def size_buffer(sock: socket.socket, option: int, size_bytes: int) -> int:
    """Ask for a kernel buffer, beyond the system's bound where we may (CAP_NET_ADMIN); return what was granted."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _FORCE[option], size_bytes)
    except OSError:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, size_bytes)
    return sock.getsockopt(socket.SOL_SOCKET, option) // 2  # the kernel doubles it for its own bookkeeping


def kernel_drops(sock: socket.socket) -> int:
    """Datagrams that the kernel dropped on this socket so far, modulo 2**32 (its receive buffer was full)."""
    info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _SK_MEMINFO_VARS)
    drops: int = struct.unpack_from("=I", info, 4 * _SK_MEMINFO_DROPS)[0]
    return drops


def _new(interface: Interface, host: str, kind: socket.SocketKind) -> socket.socket:
    try:
        sock = socket.socket(family_of(host), kind)
    except OSError as error:
        raise bind_error(interface, error) from None
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1
        )  # an interface has one family: no ::ffff:1.2.3.4
    return sock


def _bound(sock: socket.socket, interface: Interface, host: str) -> socket.socket:
    try:
        sock.bind((host, interface.port))
    except OSError as error:
        sock.close()
        raise bind_error(interface, error) from None
    return sock
