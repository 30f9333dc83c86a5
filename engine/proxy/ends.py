"""Both ends of a dialog that passes the edge, as far as the edge must know them to ask something itself.

A proxy that puts a request of its own into a dialog takes a CSeq number of which the side in whose name it speaks
knows nothing. So everything which that side sends after it is counted up on its way, and what is answered to it
counted down again.
"""

from __future__ import annotations

import re

from engine.boundary import Flow
from engine.early import Numbers
from engine.here import Here
from engine.media.offer_answer import OTHER, Side
from engine.sip.errors import SipError
from engine.sip.message import Message, Request, Response
from engine.traces import MOVING
from engine.ua.dialog import Dialog
from engine.ua.parts import contact_uri

# RAck = response-num LWS CSeq-num LWS Method (RFC 3262 §7.2)
_RACK = re.compile(rb"([0-9]{1,10}[ \t]+)([0-9]{1,10})([ \t]+.*)")


class End:
    """One end. ``dialog`` is the other's half, in whose name it is spoken to."""

    __slots__ = ("contact", "dialog", "flow", "inserted", "invite", "key")

    def __init__(self, dialog: Dialog, contact: bytes, key: bytes, flow: Flow) -> None:
        self.dialog = dialog
        self.contact = contact  # of the other side, as this one knows it
        self.key = key  # of the agent's binding, if it has one
        self.flow = flow  # where it was reached
        self.inserted = 0  # how many requests of ours it has had
        self.invite = (0, 0)  # the other side's last INVITE: its number, and how much it was counted up by

    def offset(self, method: bytes, number: int) -> int:
        """By how much a request for this end is counted up. An ACK goes with its INVITE."""
        if method == b"ACK" and number == self.invite[0]:
            return self.invite[1]
        return self.inserted

    def next_number(self) -> int:
        """The CSeq number of a request of ours."""
        self.inserted += 1
        return self.dialog.next_number()


class Ends:
    """The two of one dialog."""

    __slots__ = ("_ends",)

    def __init__(self, caller: End, callee: End) -> None:
        self._ends: dict[Side, End] = {"caller": caller, "callee": callee}

    @classmethod
    def of(
        cls,
        here: Here,
        invite: Request,
        response: Response,
        numbers: Numbers,
        caller: tuple[bytes, Flow],
        callee: tuple[bytes, Flow],
    ) -> Ends:
        """From the INVITE as it came, and its 2xx; ``caller`` and ``callee`` are binding and flow of each.

        Raises
        ------
        SipError
            Where one has no Contact.
        """
        to_caller = Dialog.of_callee(invite, response.to.tag, caller[1], numbers.callee)
        to_callee = Dialog.of_caller(response, callee[1])
        to_callee.local_number = numbers.caller
        to_caller.routes = here.beyond(to_caller.routes)
        to_callee.routes = here.beyond(to_callee.routes, len(invite.values("record-route")))
        ends = cls(
            End(to_caller, contact_uri(response), *caller),
            End(to_callee, contact_uri(invite), *callee),
        )
        ends["callee"].invite = (invite.cseq.number, 0)
        return ends

    def __getitem__(self, side: Side) -> End:
        return self._ends[side]

    # --- what passes

    def request(self, sender: Side, request: Request) -> int:
        """A request is about to be sent on: count it up. Returns by how much."""
        end = self._ends[OTHER[sender]]
        number, method = request.cseq.number, request.method
        offset = end.offset(method, number)
        end.dialog.local_number = max(end.dialog.local_number, number + offset)
        if method == b"INVITE":
            end.invite = (number, offset)
        if method in MOVING:
            self._moved(sender, request)
        if offset:
            request.set("cseq", b"CSeq: %d %b" % (number + offset, method))
            rack = _RACK.fullmatch(request.get("rack") or b"")
            if rack is not None:
                request.set("rack", b"RAck: %b%d%b" % (rack[1], int(rack[2]) + end.invite[1], rack[3]))
        return offset

    def response(self, sender: Side, response: Response, offset: int) -> None:
        """The answer to such a request came from ``sender``: count it down."""
        cseq = response.cseq
        if offset:
            response.set("cseq", b"CSeq: %d %b" % (cseq.number - offset, cseq.method))
        if 200 <= response.status < 300 and cseq.method in MOVING:
            self._moved(sender, response)

    def _moved(self, sender: Side, message: Message) -> None:
        """A side may be reached at another Contact from now on."""
        try:
            contact = contact_uri(message)
        except SipError:
            return  # it has none: the old one stays
        self._ends[sender].dialog.remote_target = contact
        self._ends[OTHER[sender]].contact = contact
