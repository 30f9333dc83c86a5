"""The leg to a called phone: FreeSWITCH as the caller, for a bridge or by ``originate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import NEVER, Send
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction
from engine.sip.transactions.transaction import cancel_of
from engine.ua.dialog import Dialog
from engine.ua.parts import EMPTY, Block
from sim.agents.freeswitch import causes
from sim.agents.freeswitch.causes import Cause, cause_of
from sim.agents.freeswitch.leg import OVER, SETTING_UP, UP, Leg
from sim.agents.freeswitch.wording import OFFER

if TYPE_CHECKING:
    from sim.agents.freeswitch.node import Node
    from sim.agents.freeswitch.outbound import Target

_CANCEL_WAIT_S = 32.0  # §9.1 of RFC 3261: 64*T1 after a CANCEL no final response is to be expected


class CalleeLeg(Leg):
    """One outbound call."""

    direction = "outbound"

    __slots__ = ("_acknowledgement", "_cancelling", "_invite", "_proceeding", "target")

    def __init__(self, node: Node, target: Target) -> None:
        super().__init__(node, node.places[target.flow.interface], node.call_id())
        self.target = target
        self._invite: ClientTransaction | None = None
        self._acknowledgement: Send | None = None
        self._proceeding = False
        self._cancelling: Cause | None = None  # why, where the CANCEL waits for a provisional response

    def begin(
        self,
        caller_id: bytes,
        party_line: bytes,
        max_forwards: int,
        offer: bytes,
        now: float,
        copied: Block = EMPTY,
    ) -> None:
        """Send the INVITE; ``caller_id`` is From without its tag, ``offer`` our session description.

        ``copied`` are headers of the other leg's INVITE.
        """
        node, target = self._node, self.target
        node.events.created(self, now)
        self._description = offer
        headers = self._place.own_contact + node.wording.events + OFFER
        names = ["via", *["route"] * len(target.routes), "max-forwards", "from", "to", "call-id", "cseq"]
        lines = [
            node.via_line(self._place),
            *(b"Route: " + route for route in target.routes),
            b"Max-Forwards: %d" % max_forwards,
            b"From: " + caller_id + b";tag=" + self.tag,
            b"To: <" + target.uri + b">",
            b"Call-ID: " + self.call_id,
            b"CSeq: %d INVITE" % node.next_number(),
            *headers.lines,
            *copied.lines,
            party_line,
            b"Content-Length: %d" % len(offer),
        ]
        names += [*headers.names, *copied.names, "remote-party-id", "content-length"]
        request = Request(b"INVITE", target.uri, names, lines, offer)
        node.timers.arm(self, now + node.config.bridge_timeout_s)
        self._invite = node.layer.send(request, target.flow, self, now)

    def fire(self, now: float) -> None:
        if self.state == OVER:
            if self._invite is not None:
                self._node.layer.forget_client(self._invite)
        else:
            self._give_up(causes.NO_ANSWER, now)

    def _give_up(self, cause: Cause, now: float) -> None:
        self.hang_up(cause, now)
        self._tell_failure(cause, now)

    def _abandon(self, cause: Cause, now: float) -> None:
        self._node.timers.arm(self, now + _CANCEL_WAIT_S)
        self._cancelling = cause
        if self._proceeding:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        cause, self._cancelling = self._cancelling, None
        if cause is not None and self._invite is not None and self._invite.request is not None:
            cancel = cancel_of(self._invite.request, b"Reason: " + cause.reason)
            self._node.layer.send(cancel, self.target.flow, self._node.indifferent, now)

    def _tell_failure(self, cause: Cause, now: float) -> None:
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.failed(cause, self.target.number, now)

    # --- ClientUser, for the INVITE

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        status = response.status
        if status < 200:
            self._proceeding = True
            if self._cancelling is not None:
                self._send_cancel(now)
            elif status > 100 and self.peer is not None:
                self.peer.progressed(now)
        elif status < 300:
            self._on_success(response, now)
        elif self.state == SETTING_UP:
            self._finish(cause_of(status), now)
            self._tell_failure(cause_of(status), now)
        else:
            self._node.timers.arm(self, NEVER)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        if self.state == SETTING_UP:
            self._finish(causes.TIMER_EXPIRED, now)
            self._tell_failure(causes.TIMER_EXPIRED, now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        if self.state == SETTING_UP:
            self._finish(causes.TEMPORARY_FAILURE, now)
            self._tell_failure(causes.TEMPORARY_FAILURE, now)

    def _on_success(self, response: Response, now: float) -> None:
        node = self._node
        if self._dialog is not None and response.to.tag == self._dialog.remote_tag:
            if self._acknowledgement is not None:
                node.out.append(self._acknowledgement)
            return
        try:
            dialog = Dialog.of_caller(response, self.target.flow)
            dialog.stays = self.target.natted
            flow = dialog.flow()
            number = response.cseq.number
            contact = self._place.own_contact
            acknowledgement = dialog.request(b"ACK", node.via_line(self._place), number, contact)
        except SipError:
            if self.state == SETTING_UP:
                self._finish(causes.TEMPORARY_FAILURE, now)
                self._tell_failure(causes.TEMPORARY_FAILURE, now)
            return
        send = Send(flow, bytes(acknowledgement))
        node.out.append(send)
        if self._dialog is not None or self.state != SETTING_UP:
            node.timers.arm(self, NEVER)
            self._send_bye(dialog, causes.NORMAL_CLEARING, EMPTY, now)  # another fork, or the CANCEL came late
            return
        self._dialog = dialog
        self._acknowledgement = send
        self.state = UP
        self.talk(response.body)
        node.timers.arm(self, NEVER)
        node.events.answered(self, now)
        if self.peer is not None:
            self.peer.answered(self.target.number, now)
