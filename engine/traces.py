"""What the sides of a dialog have said of it, as far as a request needs it that the edge makes in their names."""

from __future__ import annotations

from typing import Final

from engine.boundary import Flow
from engine.early import Numbers
from engine.sip.message import Message, Request, Response
from engine.ua.parts import line_of

MOVING: Final = frozenset((b"INVITE", b"UPDATE"))  # target refresh requests (RFC 3261 §12.2, RFC 3311)


class Traces:
    """Header lines and values as they stand, for nobody reads them but of the few calls that are ended by order.

    ``caller_key`` names the caller's binding, where it has one.
    """

    __slots__ = (
        "call_id_line",
        "callee_contact",
        "callee_flow",
        "callee_number",
        "callee_routes",
        "caller_contact",
        "caller_flow",
        "caller_key",
        "caller_number",
        "caller_routes",
        "from_line",
        "to_line",
    )

    def __init__(
        self,
        invite: Request,
        response: Response,
        numbers: Numbers,
        caller: Flow,
        caller_key: bytes,
        callee: Flow,
    ) -> None:
        self.from_line = line_of(invite, "from")
        self.to_line = line_of(response, "to")
        self.call_id_line = line_of(invite, "call-id")
        self.caller_contact = invite.first("contact")
        self.callee_contact = response.first("contact")
        self.caller_routes = invite.all("record-route")
        self.callee_routes = response.all("record-route")
        self.caller_flow = caller
        self.callee_flow = callee
        self.caller_key = caller_key
        self.caller_number, self.callee_number = numbers

    def passes(self, request: Request, from_callee: bool) -> None:
        """A request of the dialog goes by."""
        number = request.cseq.number
        if from_callee:
            self.callee_number = max(self.callee_number, number)
        else:
            self.caller_number = max(self.caller_number, number)
        if request.method in MOVING:
            self.moves(request, from_callee)

    def moves(self, message: Message, callee: bool) -> None:
        """A side may be reached at another Contact from now on (§12.2)."""
        contact = message.first("contact")
        if contact and callee:
            self.callee_contact = contact
        elif contact:
            self.caller_contact = contact
