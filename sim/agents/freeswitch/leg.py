"""One call leg: what the caller's and the called side have in common once they are up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from engine.boundary import NEVER
from engine.sip.errors import SipError
from engine.sip.transactions import ServerTransaction
from engine.timers import Timed
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.parts import Block, block, reply
from sim.agents.freeswitch import causes
from sim.agents.freeswitch.causes import Cause
from sim.agents.freeswitch.events import uuid_of
from sim.agents.freeswitch.media import silenced
from sim.agents.freeswitch.wording import NO_DIALOG_REASON, SESSION
from sim.agents.media import Content, TalkOver, talking
from sim.agents.messages import trying

if TYPE_CHECKING:
    from engine.ua.dialog import Dialog
    from sim.agents.freeswitch.node import Node
    from sim.agents.freeswitch.wording import Place

SETTING_UP: Final = "setting up"
UP: Final = "up"
OVER: Final = "over"

_DESCRIPTION = block(b"Content-Type: application/sdp")
_SIPFRAG = b"Content-Type: message/sipfrag;version=2.0"


class Leg(Timed):
    """A session of this node. ``peer`` is the leg that it is bridged to."""

    direction: ClassVar[str]

    __slots__ = (
        "_contact",
        "_description",
        "_dialog",
        "_node",
        "_place",
        "_talks",
        "_unconfirmed",
        "call_id",
        "content",
        "peer",
        "state",
        "tag",
    )

    def __init__(self, node: Node, place: Place, call_id: bytes) -> None:
        super().__init__()
        self._node = node
        self._place = place
        self._dialog: Dialog | None = None
        self._unconfirmed: UnconfirmedAnswer | None = None
        self._description = b""  # ours, as last sent
        self._talks = False
        self._contact = place.own_contact
        self.content: Content = "bridge"  # what it sends
        self.call_id = call_id
        self.tag = node.tag()
        self.peer: Leg | None = None
        self.state = SETTING_UP
        node.sessions.legs[call_id] = self

    # --- what the other leg, or an operator, does to this one

    def hang_up(self, cause: Cause, now: float, headers: Block | None = None) -> None:
        """End this leg, answered or not; the other leg is the caller's business."""
        if self.state == OVER:
            return
        answered = self.state == UP
        self._finish(cause, now)
        if answered and self._dialog is not None:
            self._send_bye(self._dialog, cause, headers, now)
        elif not answered:
            self._abandon(cause, now)

    def end_call(self, cause: Cause, now: float) -> None:
        """End this leg and the one that it is bridged to."""
        self.hang_up(cause, now)
        self._hang_up_peer(cause, now)

    def progressed(self, now: float) -> None:
        """The other leg rings."""

    def answered(self, number: bytes, now: float) -> None:
        """The other leg, to this number, is up."""

    def failed(self, cause: Cause, number: bytes, now: float) -> None:
        """The other leg, to this number, could not be set up."""

    def talk(self, remote: bytes) -> None:
        """An exchange of descriptions is complete: ours, and the far end's."""
        node = self._node
        if not node.config.talks or not remote:
            return
        call_id = self.call_id.decode("latin-1")
        bridged_to = self.peer.call_id.decode("latin-1") if self.peer is not None else ""
        content = self.content if self.peer is None else "bridge"
        told = talking(
            call_id,
            node.config.name,
            self._description,
            remote,
            content=content,
            symmetric=True,
            bridged_to=bridged_to,
        )
        if told is not None:
            self._talks = True
            node.out.append(told)

    def _abandon(self, cause: Cause, now: float) -> None:
        """End a leg that is not up."""
        raise NotImplementedError

    def _hang_up_peer(self, cause: Cause, now: float) -> None:
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None
            peer.hang_up(cause, now)

    def _finish(self, cause: Cause, now: float) -> None:
        """Out of the table: from now on its requests get 481."""
        self._node.events.hung_up(self, cause, now)
        self.state = OVER
        if self._talks:
            self._talks = False
            self._node.out.append(TalkOver(self.call_id.decode("latin-1"), self._node.config.name))
        self.confirm()
        self._node.timers.arm(self, NEVER)
        self._node.sessions.legs.pop(self.call_id, None)

    # --- what its events say of it

    def event_fields(self, *, named: bool) -> dict[str, str]:
        """Its header fields in an event, as far as they are modelled.

        The Call-ID of a call that the node makes is told from its answer on; To's tag of one that it takes only
        when it is ``named``: from the bridge on, and at the end.
        """
        inbound = self.direction == "inbound"
        answered = self.state == UP
        remote_tag = self._dialog.remote_tag.decode() if self._dialog is not None else ""
        own_tag = self.tag.decode()
        fields = {
            "Unique-ID": uuid_of(self),
            "Call-Direction": self.direction,
            "Answer-State": "answered" if answered else "ringing",
        }
        if inbound or remote_tag:
            fields["variable_sip_call_id"] = self.call_id.decode()
            fields["variable_sip_from_tag"] = remote_tag if inbound else own_tag
        if answered and (named or not inbound):
            fields["variable_sip_to_tag"] = own_tag if inbound else remote_tag
        return fields

    # --- in-dialog requests

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A request of the far end; its order is looked at in the stack, at once."""
        if self._dialog is None or not self._dialog.in_order(transaction.request):
            transaction.respond(reply(transaction.request, 500, reason=b"Internal Server Error"), now)
        else:
            self._node.after(self._node.config.reply_delay_s, self._handle, transaction, now)

    def confirm(self) -> None:
        """The ACK to our last 2xx came, or is waited for no more."""
        if self._unconfirmed is not None:
            self._unconfirmed.confirm()
            self._unconfirmed = None

    def _handle(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        wording = self._node.wording
        method = request.method
        dialog = self._dialog
        if self.state == OVER or dialog is None:
            transaction.respond(reply(request, 481, b"", wording.base, reason=NO_DIALOG_REASON), now)
        elif method == b"BYE":
            transaction.respond(reply(request, 200, b"", wording.base), now)
            if self.state == SETTING_UP:
                self.hang_up(causes.ORIGINATOR_CANCEL, now)
            else:
                self._finish(causes.NORMAL_CLEARING, now)
            self._hang_up_peer(causes.NORMAL_CLEARING, now)
        elif method == b"INVITE":
            self._answer_again(transaction, dialog, now)
        elif method == b"OPTIONS":
            headers = self._contact + wording.rich + _DESCRIPTION
            transaction.respond(reply(request, 200, b"", headers, silenced(self._description)), now)
        elif method == b"UPDATE":
            dialog.refresh_target(request)
            transaction.respond(reply(request, 200, b"", self._contact + wording.accepting), now)
        elif method == b"REFER":
            self._refer(transaction, dialog, now)
        elif method in (b"INFO", b"MESSAGE", b"NOTIFY"):
            transaction.respond(reply(request, 200, b"", wording.base), now)
        else:
            transaction.respond(reply(request, 405, b"", wording.base), now)

    def _answer_again(self, transaction: ServerTransaction, dialog: Dialog, now: float) -> None:
        """A re-INVITE is absorbed: the other leg never hears of it."""
        node, request = self._node, transaction.request
        if self.state != UP:
            transaction.respond(reply(request, 491, b"", node.wording.base), now)  # §14.2 of RFC 3261
            return
        self.confirm()
        dialog.refresh_target(request)
        transaction.respond(trying(request, node.wording.agent), now)
        headers = self._contact + node.wording.accepting + SESSION
        if request.body:
            self._description = node.media.answer_again(self._description, request.body, self._place.media_host)
            self.talk(request.body)
        answer = reply(request, 200, b"", headers, self._description)
        self._unconfirmed = UnconfirmedAnswer(transaction, answer, node.timers, self._no_ack, now)

    def _refer(self, transaction: ServerTransaction, dialog: Dialog, now: float) -> None:
        """A blind transfer is accepted and reported; the transfer itself is not modelled.

        A leg alone can't be transferred, which the NOTIFY says.
        """
        node, request = self._node, transaction.request
        headers = self._contact + block(b"Expires: 60") + node.wording.events
        transaction.respond(reply(request, 202, b"", headers), now)
        outcome = b"SIP/2.0 200 OK" if self.peer is not None else b"SIP/2.0 403 Forbidden\r\n"
        event = block(
            b"Event: refer;id=%d" % request.cseq.number,
            b"Subscription-State: terminated;reason=noresource",
            _SIPFRAG,
        )
        self._send(dialog, b"NOTIFY", self._contact + node.wording.events + event, outcome, now)

    # --- our requests

    def _no_ack(self, now: float) -> None:
        self.hang_up(causes.ACK_TIMEOUT, now, self._contact)
        self._hang_up_peer(causes.TIMER_EXPIRED, now)

    def _send_bye(self, dialog: Dialog, cause: Cause, headers: Block | None, now: float) -> None:
        lines = self._node.wording.base + block(b"Reason: " + cause.reason)
        self._send(dialog, b"BYE", lines if headers is None else headers + lines, b"", now)

    def _send(self, dialog: Dialog, method: bytes, headers: Block, body: bytes, now: float) -> None:
        node = self._node
        try:
            request = dialog.request(method, node.via_line(self._place), dialog.next_number(), headers, body)
            flow = dialog.flow()
        except SipError:
            return  # its Contact or route can't be used: the far end has to find out by itself
        node.layer.send(request, flow, node.indifferent, now)
