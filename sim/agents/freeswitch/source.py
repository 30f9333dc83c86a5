"""Where responses go, and what sofia-sip writes into the top Via on arrival."""

from __future__ import annotations

from engine.boundary import Flow
from engine.sip.message import Request
from engine.ua.parts import DEFAULT_PORT

_ASKED = b";rport"


def note_source(request: Request, flow: Flow) -> Flow:
    """Write rport's value, and received where it differs from sent-by; the result is the way for the responses.

    RFC 3581 §4 wants received beside rport always; sofia-sip leaves it out where it says nothing new. Without
    rport the response goes to the port of sent-by (RFC 3261 §18.2.2).
    """
    via = request.via
    host, port = flow.peer
    asked = b"rport" in via.params
    differs = via.host.decode("ascii").strip("[]").lower() != host
    if asked or differs:
        value = request.first("via")
        if asked and via.params[b"rport"] is None:
            start, _, end = value.partition(_ASKED)
            value = start + _ASKED + b"=%d" % port + end
        if differs and b"received" not in via.params:
            value += b";received=" + host.encode("ascii", "replace")
        request.replace_top_via(value)
    if asked or flow.stream:
        return flow
    return Flow(flow.interface, (host, via.port or DEFAULT_PORT))
