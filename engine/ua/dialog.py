"""One side of a dialog (RFC 3261 §12): what its next request must bear, and where it goes."""

from __future__ import annotations

from engine.boundary import Flow
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Message, Request, Response
from engine.sip.uri import parse_uri
from engine.ua.parts import EMPTY, Block, address_of, contact_uri, line_of, untagged

_MAX_FORWARDS = b"Max-Forwards: 70"


class Dialog:
    """Made from the messages that set the dialog up; both raise SipError where these cannot be used."""

    __slots__ = (
        "_call_id_line",
        "_flow",
        "_from_line",
        "_to_line",
        "local_number",
        "local_tag",
        "remote_number",
        "remote_tag",
        "remote_target",
        "routes",
        "stays",
    )

    def __init__(
        self,
        own_line: bytes,
        peer_line: bytes,
        call_id_line: bytes,
        routes: list[bytes],
        remote_target: bytes,
        flow: Flow,
    ) -> None:
        self._from_line = own_line
        self._to_line = peer_line
        self._call_id_line = call_id_line
        self._flow = flow
        self.stays = False  # requests keep to the flow, for the remote target is behind a NAT
        self.routes = routes
        self.remote_target = remote_target
        self.local_tag = b""
        self.remote_tag = b""
        self.local_number = 0  # of the last request that was sent
        self.remote_number = 0  # of the last one that came

    @classmethod
    def of_caller(cls, response: Response, flow: Flow) -> Dialog:
        """The caller's side (§12.1.2), from the 2xx; ``flow`` is the one that the INVITE was sent on."""
        dialog = cls(
            line_of(response, "from"),
            line_of(response, "to"),
            line_of(response, "call-id"),
            response.values("record-route")[::-1],
            contact_uri(response),
            flow,
        )
        dialog.local_number = response.cseq.number
        dialog.local_tag = response.from_.tag
        dialog.remote_tag = response.to.tag
        return dialog

    @classmethod
    def of_callee(cls, invite: Request, tag: bytes, flow: Flow, local_number: int = 0) -> Dialog:
        """The callee's side (§12.1.1); ``flow`` is the one that the INVITE came on."""
        to_line = line_of(invite, "to")
        dialog = cls(
            b"From" + to_line[to_line.index(b":") :] + b";tag=" + tag,
            b"To" + (line := line_of(invite, "from"))[line.index(b":") :],
            line_of(invite, "call-id"),
            invite.values("record-route"),
            contact_uri(invite),
            flow,
        )
        dialog.local_number = local_number
        dialog.remote_number = invite.cseq.number
        dialog.local_tag = tag
        dialog.remote_tag = invite.from_.tag
        return dialog

    @property
    def lines(self) -> tuple[bytes, bytes, bytes]:
        """From, To and Call-ID of our requests, as the constructor takes them."""
        return self._from_line, self._to_line, self._call_id_line

    @property
    def local_party(self) -> bytes:
        """Who we are, as From and To have it, without the tag."""
        return untagged(self._from_line[self._from_line.index(b":") + 1 :])

    @property
    def remote_party(self) -> bytes:
        """Who the far end is, as ``local_party``."""
        return untagged(self._to_line[self._to_line.index(b":") + 1 :])

    def flow(self) -> Flow:
        """Where the next request goes: to the first route, else to the remote target (§12.2.1.1)."""
        flow = self._flow
        if flow.stream or self.stays:
            return flow
        uri = parse_name_addr(self.routes[0]).uri if self.routes else self.remote_target
        return Flow(flow.interface, address_of(uri))

    def request(
        self, method: bytes, via_line: bytes, number: int, headers: Block = EMPTY, body: bytes = b""
    ) -> Request:
        """A request of this dialog; ``number`` is its CSeq number, the INVITE's own for an ACK."""
        names = ["via"]
        lines = [via_line]
        uri = self.remote_target
        routes = self.routes
        if routes:
            first = parse_name_addr(routes[0])
            if b"lr" not in parse_uri(first.uri).params:  # a strict router (§12.2.1.1)
                routes = [*routes[1:], b"<" + uri + b">"]
                uri = first.uri
            names += ["route"] * len(routes)
            lines += [b"Route: " + route for route in routes]
        names += ("max-forwards", "from", "to", "call-id", "cseq")
        lines += (
            _MAX_FORWARDS,
            self._from_line,
            self._to_line,
            self._call_id_line,
            b"CSeq: %d %b" % (number, method),
        )
        names += headers.names
        lines += headers.lines
        names.append("content-length")
        lines.append(b"Content-Length: %d" % len(body))
        return Request(method, uri, names, lines, body)

    def next_number(self) -> int:
        """The CSeq number of the next request."""
        self.local_number += 1
        return self.local_number

    def in_order(self, request: Request) -> bool:
        """Whether a request of the far end is newer than all before it; others are refused with 500 (§12.2.2)."""
        number = request.cseq.number
        if number < self.remote_number:
            return False
        self.remote_number = number
        return True

    def refresh_target(self, message: Message) -> None:
        """Take the Contact of a re-INVITE or UPDATE, or of its 2xx, for the new remote target (§12.2)."""
        try:
            self.remote_target = contact_uri(message)
        except SipError:
            return  # it has none: the old one stays
