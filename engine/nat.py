"""Signs of a NAT between a user agent and us, as OpenSIPS' and Kamailio's ``nat_uac_test`` know them.

No sign is a proof. A private address may be one that we can reach (we stand in the same network), and another
source port may only mean that a program sends and listens at two. What shows that someone translated an address on
the way is a difference between what the agent wrote and what we see: ``TRANSLATED``. Ports are compared on UDP
only, for a connection never comes from the port that its opener listens at.
"""

from __future__ import annotations

import re
from enum import IntFlag
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

from engine.boundary import Flow, Transport
from engine.here import DEFAULT_PORTS
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request
from engine.sip.uri import SipUri, parse_uri

_PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
        "100.64.0.0/10",  # RFC 6598: between a provider's NAT and its customers'
        "169.254.0.0/16",  # RFC 3927, link-local
        *("fc00::/7", "fe80::/10"),  # RFC 4193, RFC 4291
    )
)
# How the IPv4 ones of them begin: nearly all others are told from them by a look at that.
_MAY_BE_PRIVATE: Final = frozenset(("10.", "172", "192", "100", "169"))
_CONNECTION: Final = re.compile(rb"^c=IN IP[46] ([^\s/]+)", re.MULTILINE)


class NatSign(IntFlag):
    """What of a request hints at a NAT. The numbers are those of ``nat_uac_test``."""

    CONTACT_PRIVATE = 1
    RECEIVED_ELSEWHERE = 2
    VIA_PRIVATE = 4
    SDP_PRIVATE = 8
    SOURCE_PORT = 16
    CONTACT_ELSEWHERE = 32
    WEBSOCKET = 64


TRANSLATED: Final = (NatSign.RECEIVED_ELSEWHERE | NatSign.SOURCE_PORT | NatSign.CONTACT_ELSEWHERE).value
"""The signs of which one is enough to take an agent for one behind a NAT."""

_CONTACT_PRIVATE, _RECEIVED_ELSEWHERE, _VIA_PRIVATE, _SDP_PRIVATE, _SOURCE_PORT, _CONTACT_ELSEWHERE, _WEBSOCKET = (
    sign.value for sign in NatSign
)

# Signs are kept as a number: what an IntFlag does costs more than all the rest.
_WORDS: Final = {
    _CONTACT_PRIVATE: "Contact is a private address",
    _RECEIVED_ELSEWHERE: "came from another address than its Via says",
    _VIA_PRIVATE: "Via is a private address",
    _SDP_PRIVATE: "SDP names a private address",
    _SOURCE_PORT: "came from another port than its Via says",
    _CONTACT_ELSEWHERE: "Contact is not where it came from",
    _WEBSOCKET: "came over WebSocket",
}


def nat_signs(request: Request, flow: Flow, transport: Transport) -> int:
    """The signs (``NatSign``) in a request that came on ``flow``, over ``transport``.

    A part that can't be read gives none.
    """
    host, port = flow.peer
    signs = 0
    try:
        via = request.via
        sent_by = via.host.decode("ascii").strip("[]").lower()
        if sent_by != host:
            signs |= _RECEIVED_ELSEWHERE
        if is_private(sent_by):
            signs |= _VIA_PRIVATE
        if transport == "udp" and (via.port or DEFAULT_PORTS["udp"]) != port:
            signs |= _SOURCE_PORT
    except SipError:
        pass
    contact = _contact(request)
    if contact is not None:
        if is_private(contact.host_text):
            signs |= _CONTACT_PRIVATE
        elsewhere = transport == "udp" and (contact.port or DEFAULT_PORTS["udp"]) != port
        if elsewhere or contact.host_text != host:
            signs |= _CONTACT_ELSEWHERE
    if request.body:
        for connection in _CONNECTION.findall(request.body):
            if is_private(connection.decode("ascii", "replace")):
                signs |= _SDP_PRIVATE
    if transport in ("ws", "wss"):
        signs |= _WEBSOCKET
    return signs


def words(signs: int) -> tuple[str, ...]:
    """The signs as reasons, in words."""
    return tuple(text for sign, text in _WORDS.items() if sign & signs)


def is_private(host: str) -> bool:
    """Whether this is an address that means something else in each network; a name is none."""
    return (host[:3] in _MAY_BE_PRIVATE or ":" in host) and _is_private(host)


@lru_cache(maxsize=8192)
def _is_private(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE)


def _contact(request: Request) -> SipUri | None:
    """The first Contact; None where there is none, or ``*``."""
    try:
        for value in request.values("contact"):
            return parse_uri(parse_name_addr(value, "Contact").uri)
    except SipError:
        pass
    return None
