"""The node's side of one dialog with an agent: what the edge must know to go on in the node's place."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeAlias

from engine.boundary import NEVER, Flow
from engine.early import Numbers
from engine.here import Here
from engine.media.offer_answer import Side
from engine.sip.errors import SipError
from engine.sip.message import Message, Request, Response
from engine.ua.dialog import Dialog
from engine.ua.parts import contact_uri

DialogKey: TypeAlias = tuple[bytes, bytes]
"""Call-ID and the callee's tag, as in ``engine.dialogs``."""

MARK_HEADER: Final = "x-siptwin-leg"
"""Bears the mark of a caller's INVITE. FreeSWITCH copies headers that begin with X- into the INVITE of the leg
that it bridges to (``sip_copy_custom_headers``), which so shows whose other half it is."""

# Session-Expires = delta-seconds *(SEMI se-params); se-params = refresher-param ... (RFC 4028 §4)
_SESSION_EXPIRES = re.compile(rb"([0-9]{1,9})[ \t]*(?:;.*?refresher[ \t]*=[ \t]*(uac|uas))?.*", re.IGNORECASE)


class SessionInterval(NamedTuple):
    """A session timer that was agreed (RFC 4028): the node refreshes, or the agent does."""

    interval_s: int
    by_node: bool
    agreed_at: float

    def known_at(self, now: float) -> SessionInterval:
        """As it is taken up again after a while in which it may have been refreshed: the agent has all its time,
        and we refresh at once if it is late."""
        since = max(self.agreed_at, now - self.interval_s / 2) if self.by_node else now
        return self._replace(agreed_at=since)

    @property
    def refresh_at(self) -> float:
        """When to refresh the session, if it is not for the agent to do (§10)."""
        return self.agreed_at + self.interval_s / 2 if self.by_node else NEVER

    @property
    def expires_at(self) -> float:
        """When to end the session, for nobody has refreshed it (§10)."""
        return self.agreed_at + self.interval_s - min(32.0, self.interval_s / 3)


class NodeSide:
    """``dialog`` is the node's half. ``agent_key`` names the agent's binding, where it has one, and ``agent_flow``
    where it was reached when the dialog began."""

    __slots__ = (
        "agent_flow",
        "agent_key",
        "asked",
        "began_at",
        "contact",
        "dialog",
        "faces_node",
        "interval",
        "key",
        "mark",
        "node",
        "node_calls",
        "transferred",
        "unacknowledged",
        "updates",
    )

    def __init__(
        self,
        key: DialogKey,
        node: str,
        mark: bytes,
        dialog: Dialog,
        contact: bytes,
        agent_key: bytes,
        agent_flow: Flow,
    ) -> None:
        self.key = key
        self.node = node
        self.mark = mark  # of the INVITE: given by us where the agent calls, copied by the node where it does
        self.dialog = dialog
        self.contact = contact  # of the node, as the agent knows it
        self.agent_key = agent_key
        self.agent_flow = agent_flow
        self.asked = b""  # the Request-URI of an agent's INVITE
        self.began_at = 0.0
        self.faces_node = False  # the edge is the caller itself, and the agent of this dialog a node
        self.interval: SessionInterval | None = None
        self.node_calls = False
        self.updates = False  # whether the agent allows UPDATE
        self.unacknowledged = 0  # CSeq of an INVITE of the node whose 2xx went by, and whose ACK did not
        self.transferred = False  # a REFER was accepted: who speaks with whom is not known any more

    @classmethod
    def of_callee(
        cls,
        here: Here,
        invite: Request,
        response: Response,
        numbers: Numbers,
        node: str,
        mark: bytes,
        agent_key: bytes,
        flow: Flow,
        now: float,
    ) -> NodeSide:
        """The agent called. ``invite`` as it came from it, ``response`` the node's 2xx.

        Raises
        ------
        SipError
            Where one has no Contact.
        """
        tag = response.to.tag
        dialog = Dialog.of_callee(invite, tag, flow, numbers.callee)
        dialog.remote_number = numbers.caller
        dialog.routes = here.beyond(dialog.routes)
        side = cls((invite.call_id, tag), node, mark, dialog, contact_uri(response), agent_key, flow)
        side.asked = invite.uri
        side._learn(invite, response, now)
        return side

    @classmethod
    def of_caller(
        cls,
        here: Here,
        invite: Request,
        response: Response,
        numbers: Numbers,
        node: str,
        mark: bytes,
        agent_key: bytes,
        flow: Flow,
        now: float,
    ) -> NodeSide:
        """The node called, and ``response`` is the agent's 2xx.

        Raises
        ------
        SipError
            Where one has no Contact.
        """
        dialog = Dialog.of_caller(response, flow)
        dialog.local_number, dialog.remote_number = numbers
        dialog.routes = here.beyond(dialog.routes, len(invite.values("record-route")))
        side = cls((invite.call_id, response.to.tag), node, mark, dialog, contact_uri(invite), agent_key, flow)
        side.node_calls = True
        side.unacknowledged = invite.cseq.number
        side._learn(response, response, now)
        return side

    def _learn(self, from_agent: Message, response: Response, now: float) -> None:
        self.began_at = now
        allowed = [method.strip().upper() for method in from_agent.values("allow")]
        self.updates = b"UPDATE" in allowed
        self.agree_interval(response, self.node_calls, now)

    def agree_interval(self, response: Response, node_asked: bool, now: float) -> None:
        """A 2xx to an INVITE or UPDATE says who refreshes the session, and how often."""
        value = response.get("session-expires")
        match = None if value is None else _SESSION_EXPIRES.fullmatch(value)
        if match is None or int(match[1]) < 1:
            self.interval = None
            return
        by_asker = (match[2] or b"uac").lower() == b"uac"
        self.interval = SessionInterval(int(match[1]), by_asker == node_asked, now)

    @property
    def terms(self) -> tuple[bytes, int, bool]:
        """Where the agent is reached in this dialog, and what was agreed of its session (0: nothing)."""
        interval = self.interval
        target = self.dialog.remote_target
        return (target, 0, False) if interval is None else (target, interval.interval_s, interval.by_node)

    @property
    def agent(self) -> Side:
        """Which side of the call the agent is."""
        return "callee" if self.node_calls else "caller"

    def is_of(self, one_tag: bytes, other_tag: bytes) -> bool:
        """Whether these are the tags of this dialog (§12: both make it), whoever sent the request."""
        return {one_tag, other_tag} == {self.dialog.local_tag, self.dialog.remote_tag}

    # --- while the node lives

    def from_node(self, request: Request) -> bool:
        """Whether the node sent this request of the dialog: its tag says so, for it may come from any port."""
        return request.from_.tag == self.dialog.local_tag

    def passes(self, request: Request) -> None:
        """A request of the dialog goes by: its number counts, and its Contact may be new (§12.2)."""
        number = request.cseq.number
        dialog = self.dialog
        if self.from_node(request):
            dialog.local_number = max(dialog.local_number, number)
            if request.method in (b"INVITE", b"UPDATE"):
                self._node_moved(request)
        else:
            dialog.remote_number = max(dialog.remote_number, number)
            if request.method in (b"INVITE", b"UPDATE"):
                dialog.refresh_target(request)

    def answered(self, request: Request, response: Response, now: float) -> None:
        """A 2xx to a request that ``passes`` has seen goes by."""
        by_node = not self.from_node(request)
        if request.method == b"REFER":
            self.transferred = True
        elif request.method in (b"INVITE", b"UPDATE"):
            if by_node:
                self._node_moved(response)
            else:
                self.dialog.refresh_target(response)
                if request.method == b"INVITE":
                    self.unacknowledged = request.cseq.number
            self.agree_interval(response, not by_node, now)

    def went_on(self, dialog: Dialog) -> None:
        """The edge has spoken to the agent in the node's name, as when its relay moved the call: the agent counts
        on from there, and may have told another Contact in its answer."""
        self.dialog.local_number = max(self.dialog.local_number, dialog.local_number)
        self.dialog.remote_target = dialog.remote_target

    def acknowledged(self, ack: Request) -> None:
        """An ACK goes by."""
        if self.from_node(ack) and ack.cseq.number == self.unacknowledged:
            self.unacknowledged = 0

    def _node_moved(self, message: Message) -> None:
        try:
            self.contact = contact_uri(message)
        except SipError:
            return  # it has none: the old one stays
