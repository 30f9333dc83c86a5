"""The socket's error queue (ip(7), IP_RECVERR): which destination cannot be reached, and why."""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

from engine.boundary import Address
from engine.live.sockets import IP_RECVERR, IPV6_RECVERR

_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err: errno, origin, type, code, pad, info, data
_ORIGIN_LOCAL = 1
_ORIGIN_ICMP = 2
_ORIGIN_ICMP6 = 3
_LEVELS = {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}
_ANCILLARY_BYTES = socket.CMSG_SPACE(_EXTENDED_ERROR.size + 28)  # followed by the offender's sockaddr_in6

_REASONS = {  # (origin, type, code): RFC 792 and RFC 1122 §3.2.2.1, RFC 4443 §3.1
    (_ORIGIN_ICMP, 3, 0): "network unreachable",
    (_ORIGIN_ICMP, 3, 1): "host unreachable",
    (_ORIGIN_ICMP, 3, 2): "protocol unreachable",
    (_ORIGIN_ICMP, 3, 3): "port unreachable",
    (_ORIGIN_ICMP, 3, 9): "network prohibited",
    (_ORIGIN_ICMP, 3, 10): "host prohibited",
    (_ORIGIN_ICMP, 3, 13): "administratively prohibited",
    (_ORIGIN_ICMP, 11, 0): "time to live exceeded",
    (_ORIGIN_ICMP6, 1, 0): "no route",
    (_ORIGIN_ICMP6, 1, 1): "administratively prohibited",
    (_ORIGIN_ICMP6, 1, 3): "host unreachable",
    (_ORIGIN_ICMP6, 1, 4): "port unreachable",
    (_ORIGIN_ICMP6, 3, 0): "hop limit exceeded",
}
_TOO_BIG = {
    (_ORIGIN_ICMP, 3, 4),
    (_ORIGIN_ICMP6, 2, 0),
}  # the kernel now knows the path's MTU: the next one passes


class Undelivered(NamedTuple):
    """A datagram to ``peer`` was lost; ``reason`` is in the words of the ICMP message, or of the system."""

    peer: Address
    reason: str


def read_error(sock: socket.socket) -> Undelivered | None:
    """Take one error off the queue, or None if there is none that matters.

    Raises
    ------
    BlockingIOError
        The queue is empty.
    """
    _, ancillary, _, peer = sock.recvmsg(0, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE)
    for level, kind, data in ancillary:
        if (level, kind) not in _LEVELS or len(data) < _EXTENDED_ERROR.size or not peer:
            continue
        number, origin, icmp_type, icmp_code, *_ = _EXTENDED_ERROR.unpack_from(data)
        key = (origin, icmp_type, icmp_code)
        if key in _TOO_BIG:
            return None
        return Undelivered((peer[0], peer[1]), _REASONS.get(key) or os.strerror(number).lower())
    return None
