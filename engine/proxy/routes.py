"""Route information: what is done on arrival (RFC 3261 §16.4), and where a request goes (§16.6 steps 6, 7)."""

from __future__ import annotations

from typing import Final

from engine.boundary import Flow
from engine.here import MARK, URI_SAFE, Here
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request
from engine.sip.uri import SipUri, parse_uri

_TAG: Final = b";ftag="
_MARK: Final = b";" + MARK + b"="


class Routed:
    """``popped`` of our own Routes were taken off; the last of them named ``interface``, by which to leave.

    ``user`` is that one's user part, which may be a token of the flow on which the far side is reached. ``users``
    and ``marks`` are all that they bear to show that they were made for a call (``engine.registrar.tokens``).
    """

    __slots__ = ("interface", "marks", "popped", "user", "users")

    def __init__(self) -> None:
        self.popped = 0
        self.interface = ""
        self.user: bytes | None = None
        self.users: tuple[bytes, ...] = ()
        self.marks: tuple[bytes, ...] = ()

    def take(self, uri: SipUri, interface: str, mark: bytes | None) -> None:
        """One more, which lies behind those before."""
        self.popped += 1
        self.interface = interface
        self.user = uri.user
        if uri.user is not None:
            self.users += (uri.user,)
        if mark is not None:
            self.marks += (mark,)


def take_routes(request: Request, here: Here) -> Routed:
    """Take our own values off the route set, and undo what a strict router did to the request.

    The last Route popped is the one that we wrote for the far side of the dialog, so it names the interface on
    which that side stands, whatever address its Contact shows.
    """
    routed = Routed()
    if b";lr" in request.uri:
        # Only a strict router puts a Record-Route value of ours there (§16.4, second paragraph).
        uri = parse_uri(request.uri)
        ours = here.interface_of(uri)
        if ours is not None and b"lr" in uri.params and request.has("route"):
            routes = request.values("route")
            request.uri = parse_name_addr(routes[-1], "Route").uri
            request.remove("route")
            for value in routes[:-1]:
                request.append("route", b"Route: " + value)
            routed.take(uri, ours.name, uri.params.get(MARK))
    while request.has("route"):
        uri, mark = _read(request.first("route"))
        mine = here.interface_of(uri)
        if mine is None:
            break
        # A Route to us is ours with or without lr: FreeSWITCH writes it without from ``fs_path=sip:host``.
        request.pop_value("route")
        routed.take(uri, mine.name, mark)
    return routed


def _read(route: bytes) -> tuple[SipUri, bytes | None]:
    """The URI of a Route, and its mark; of one as ``Here.record_route`` writes it, the URI without mark and tag.

    These say nothing of the way, and without them the URI is one of few.
    """
    end = route.find(_TAG)
    if end > 0 and route[:1] == b"<" and route[-1:] == b">":
        tag, marked, mark = route[end + len(_TAG) : -1].partition(_MARK)
        if not tag.translate(None, URI_SAFE) and not mark.translate(None, URI_SAFE):
            return parse_uri(route[1:end]), mark if marked else None
    uri = parse_uri(parse_name_addr(route, "Route").uri)
    return uri, uri.params.get(MARK)


def next_hop(request: Request, here: Here, leave_by: str) -> Flow:
    """Where this request goes, by its topmost Route or else its Request-URI.

    A topmost Route without ``lr`` makes us write for a strict router (§16.6 step 6): it becomes the Request-URI,
    and the Request-URI the last Route.
    """
    if not request.has("route"):
        return here.flow_to(parse_uri(request.uri), leave_by)
    top = parse_name_addr(request.first("route"), "Route").uri
    uri = parse_uri(top)
    if b"lr" not in uri.params:
        request.pop_value("route")
        request.append("route", b"Route: <" + request.uri + b">")
        request.uri = top
    return here.flow_to(uri, leave_by)
