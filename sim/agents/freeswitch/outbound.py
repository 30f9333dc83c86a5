"""Where a call to a user, or over a bridge, goes; and the calls that FreeSWITCH begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.boundary import Flow
from engine.sip.errors import SipError
from engine.sip.message import Request
from engine.sip.uri import parse_uri
from engine.ua.parts import Block, address_of
from sim.agents.freeswitch import causes
from sim.agents.freeswitch.callee import CalleeLeg
from sim.agents.freeswitch.caller import CallerLeg, caller_name
from sim.agents.freeswitch.causes import Cause
from sim.agents.freeswitch.registrations import Binding
from sim.agents.freeswitch.wording import party

if TYPE_CHECKING:
    from sim.agents.freeswitch.node import Node

_SCREENED = b"screen=yes;privacy=off"
_NOBODY = b"0000000000"  # the caller of a call that FreeSWITCH itself begins


class Target(NamedTuple):
    """``uri`` is the Request-URI, ``routes`` the Route values; ``webrtc`` says which kind of offer suits.

    ``number`` is how the caller's side is told who was called.
    """

    number: bytes
    uri: bytes
    routes: tuple[bytes, ...]
    flow: Flow
    webrtc: bool = False
    natted: bool = False  # all requests of the call go where the first one went, whatever the Contact says


def target_of(node: Node, user: str, binding: Binding) -> Target:
    """A registered contact: over its Path where it has one (RFC 3327).

    ``;transport=ws`` is what makes FreeSWITCH offer WebRTC media; with a Path the request goes over UDP all
    the same.

    Raises
    ------
    SipError
        Where contact or path is no SIP URI.
    """
    contact = parse_uri(binding.contact)
    transport = (contact.params.get(b"transport") or b"udp").lower()
    webrtc = node.config.media_webrtc or transport in (b"ws", b"wss")
    name = binding.interface if binding.interface in node.places else next(iter(node.places))
    if not binding.paths and transport == b"tcp":
        name = next((place for place, known in node.places.items() if known.interface.reliable), name)
    hop = binding.paths[0] if binding.paths else binding.contact
    routes = tuple(b"<" + path + b">" for path in binding.paths)
    peer = address_of(hop) if binding.received is None else binding.received
    return Target(user.encode(), binding.contact, routes, Flow(name, peer), webrtc, binding.received is not None)


def target_of_bridge(dial_string: str, interface: str) -> Target:
    """``sip:1001@lab.test;fs_path=sip:10.0.0.1:5060``: the route is written as it stands, without ``lr``.

    Raises
    ------
    SipError
        Where it is no SIP URI.
    """
    uri, _, path = dial_string.encode().partition(b";fs_path=")
    number = parse_uri(uri).user or b""
    routes = (b"<" + path + b">",) if path else ()
    return Target(number, uri, routes, Flow(interface, address_of(path or uri)))


def bridge(node: Node, caller: CallerLeg, target: Target, now: float) -> None:
    """Call the target for this caller."""
    if node.full:
        caller.hang_up(causes.CONGESTION, now)
        return
    max_forwards = int(caller.transaction.request.get("max-forwards") or b"70")
    if max_forwards < 1:
        caller.hang_up(causes.ROUTING_ERROR, now)
        return
    leg = CalleeLeg(node, target)
    leg.peer, caller.peer = caller, leg
    place = node.places[target.flow.interface]
    display, uri = caller_name(caller, node.config.domain.encode(), place.host)
    port = node.media.next_port()
    offer = node.media.bridged_offer(caller.offer, place.media_host, port, target.webrtc)
    caller_id = b'"%b" <%b>' % (display, uri)
    copied = _extensions(caller.transaction.request)
    leg.begin(caller_id, party(display, uri, _SCREENED), max_forwards - 1, offer, now, copied)


def _extensions(invite: Request) -> Block:
    """Headers that begin with X-: they go into the other leg (``sip_copy_custom_headers``)."""
    found = [
        (name, line)
        for name, line in zip(invite.names, invite.lines, strict=True)
        if name.startswith("x-") and name != "x-fs-support"
    ]
    return Block([name for name, _ in found], [line for _, line in found])


def originate(node: Node, user: str, now: float) -> Cause | None:
    """Call a registered user, who hears an echo; the cause where that can't be done."""
    binding = node.registrations.find(user)
    if binding is None:
        return causes.NOT_REGISTERED
    if node.full:
        return causes.CONGESTION
    try:
        target = target_of(node, user, binding)
    except SipError:
        return causes.NOT_REGISTERED
    leg = CalleeLeg(node, target)
    leg.content = "echo"
    place = node.places[target.flow.interface]
    uri = b"<sip:%b@%b>" % (_NOBODY, node.config.domain.encode())
    party_line = b"Remote-Party-ID: %b;party=calling;%b" % (uri, _SCREENED)
    offer = node.media.originated_offer(place.media_host, node.media.next_port(), target.webrtc)
    leg.begin(uri, party_line, 70, offer, now)
    return None
