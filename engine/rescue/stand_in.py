"""The edge in the place of a dead node, in one dialog with an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from engine.boundary import NEVER, Flow, Send
from engine.media.sdp.body import find_sdp
from engine.rescue.ground import Ground
from engine.rescue.node_side import NodeSide, SessionInterval
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, ClientUser, ServerTransaction
from engine.sip.transactions.transaction import UNATTENDED
from engine.timers import Timed
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.parts import EMPTY, Block, block, reply

_ALLOW: Final = block(b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, UPDATE", b"Supported: timer")
_SDP: Final = block(b"Content-Type: application/sdp")
_LEAST_INTERVAL_S: Final = 90  # RFC 4028 §5
_LINGERS_S: Final = 32.0  # 64*T1: an agent's BYE may cross ours
_AGAIN_S: Final = 3.0  # §14.1 of RFC 3261 after 491: 2.1 to 4 s


class Conversation(Protocol):
    """The two dialogs that are one conversation."""

    def answer(self, stand_in: StandIn, offer: bytes, now: float) -> bytes:
        """The answer to an agent's offer. Raises SipError where it is to be refused."""
        ...

    def described(self, stand_in: StandIn) -> bytes:
        """The description that an agent was given last."""
        ...

    def ended(self, stand_in: StandIn, reasons: tuple[bytes, ...], why: str, now: float) -> None:
        """This dialog is over, so the other one is to be ended, too. ``reasons`` are Reason lines (RFC 3326)."""
        ...

    def forget(self, stand_in: StandIn) -> None:
        """Nothing more is to be expected in this dialog."""
        ...


class StandIn(Timed):
    """Answers for the node, keeps its session timer, and can hang up. It stays a while after the end."""

    __slots__ = ("_answer", "_conversation", "_ends_at", "_ground", "_number", "_over", "side")

    def __init__(self, ground: Ground, side: NodeSide, conversation: Conversation, now: float) -> None:
        super().__init__()
        self._ground = ground
        self._conversation = conversation
        self.side = side
        self._over = False
        self._answer: UnconfirmedAnswer | None = None  # a 2xx to a re-INVITE, until its ACK
        self._number = 0  # CSeq of our own refresh
        self._ends_at = now + ground.lifetime_s
        self._keep_session(now)

    # --- what the agent asks

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """A request of the agent within the dialog."""
        request = transaction.request
        if self._over:
            status = 200 if request.method == b"BYE" else 481
            transaction.respond(reply(request, status), now)
        elif not self.side.dialog.in_order(request):
            transaction.respond(reply(request, 500), now)  # §12.2.2
        else:
            _ANSWERS.get(request.method, StandIn._refuse_method)(self, transaction, now)

    def acknowledged(self) -> None:
        """The ACK to a 2xx of ours came."""
        if self._answer is not None:
            self._answer.confirm()
            self._answer = None

    def from_node(self, transaction: ServerTransaction, now: float) -> None:
        """The node has come back and speaks of a dialog that is no longer its own."""
        transaction.respond(reply(transaction.request, 481), now)

    def _bye(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        transaction.respond(reply(request, 200), now)
        self._end(now)
        self._conversation.ended(self, tuple(b"Reason: " + value for value in request.all("reason")), "bye", now)

    def _agree(self, transaction: ServerTransaction, now: float) -> None:
        """Nothing to do but to say yes."""
        transaction.respond(reply(transaction.request, 200, headers=_ALLOW), now)

    def _renew(self, transaction: ServerTransaction, now: float) -> None:
        """A re-INVITE or UPDATE: other media, or a refresh of the session, or both."""
        request, side = transaction.request, self.side
        invites = request.method == b"INVITE"
        if invites and (self._answer is not None or self._number):
            transaction.respond(reply(request, 491), now)  # §14.2: one at a time
            return
        try:
            interval = self._asked_interval(request, now)
            found = find_sdp(request.get("content-type") or b"", request.body) if request.body else None
            body = b""
            if found is not None:
                body = self._conversation.answer(self, found.sdp, now)
            elif invites:
                body = self._conversation.described(self)
        except SipError as error:
            lines = block(b"Min-SE: %d" % _LEAST_INTERVAL_S) if error.status == 422 else EMPTY
            transaction.respond(reply(request, error.status, headers=lines), now)
            return
        side.dialog.refresh_target(request)
        side.interval = interval  # none asked for: none from now on (RFC 4028 §9)
        timer = EMPTY
        if interval is not None:
            who = b"uas" if interval.by_node else b"uac"
            expires = b"Session-Expires: %d;refresher=%b" % (interval.interval_s, who)
            timer = block(expires, b"Require: timer")
        headers = block(b"Contact: <" + side.contact + b">") + _ALLOW + timer + (_SDP if body else EMPTY)
        response = reply(request, 200, headers=headers, body=body)
        self._keep_session(now)
        if invites:
            self._answer = UnconfirmedAnswer(transaction, response, self._ground.timers, self._no_ack, now)
        else:
            transaction.respond(response, now)

    def _asked_interval(self, request: Request, now: float) -> SessionInterval | None:
        """The session interval that the agent asks for; the agent refreshes, unless it wants us to.

        Raises
        ------
        SipError
            422 where it is too short.
        """
        value = request.get("session-expires")
        if value is None:
            return None
        digits, _, params = value.partition(b";")
        digits = digits.strip()
        interval_s = int(digits) if digits.isdigit() and len(digits) < 10 else 0
        if interval_s < _LEAST_INTERVAL_S:
            raise SipError("session interval too small", 422)
        by_us = b"refresher=uas" in params.replace(b" ", b"").lower()
        return SessionInterval(interval_s, by_us, now)

    def _refuse_transfer(self, transaction: ServerTransaction, now: float) -> None:
        transaction.respond(reply(transaction.request, 603), now)  # there is no node to carry it out

    def _refuse_method(self, transaction: ServerTransaction, now: float) -> None:
        transaction.respond(reply(transaction.request, 405, headers=_ALLOW), now)

    def _no_ack(self, now: float) -> None:
        """§13.3.1.4: who sends no ACK is told BYE."""
        self._answer = None
        self._lost("no ACK", now)

    # --- what we ask

    def hang_up(self, reasons: tuple[bytes, ...], now: float) -> None:
        """Say BYE to the agent in the node's name."""
        if self._over:
            return
        self._end(now)
        self._send(b"BYE", block(*reasons), b"", UNATTENDED, now)

    def fire(self, now: float) -> None:
        if self._over:
            self._conversation.forget(self)
        elif now >= self._ends_at:
            self._lost("lifetime", now)
        elif self.side.interval is not None:
            if self.side.interval.by_node:
                self._refresh(now)
            else:
                self._lost("session expired", now)
        else:
            self._keep_session(now)

    def _refresh(self, now: float) -> None:
        """Refresh the session as the node would have, by UPDATE where the agent knows it (RFC 4028 §7.4)."""
        side, interval = self.side, self.side.interval
        if interval is None or self._number:
            return
        headers = block(
            b"Contact: <" + side.contact + b">",
            b"Session-Expires: %d;refresher=uac" % interval.interval_s,
            b"Supported: timer",
        )
        if side.updates:
            self._send(b"UPDATE", headers, b"", self, now)
        else:
            try:
                body = self._conversation.described(self)
            except SipError as error:
                self._lost(error.why, now)  # there is nothing to offer
                return
            self._send(b"INVITE", headers + _SDP, body, self, now)

    def _send(self, method: bytes, headers: Block, body: bytes, user: ClientUser, now: float) -> None:
        ground, dialog = self._ground, self.side.dialog
        try:
            flow = self._way()
        except SipError as error:
            if not self._over:
                self._lost(error.why, now)
            return  # an agent whose connection is gone hears of no end: its own session timer tells
        branch = ground.branch()
        number = dialog.next_number()
        via = ground.here.via(flow.interface, branch)
        request = dialog.request(method, via, number, headers, body)
        if method != b"BYE":
            self._number = number
        ground.layer.send(request, flow, user, now, branch)

    def _way(self) -> Flow:
        return self._ground.way(self.side.agent_key, self.side.agent_flow)

    # --- ClientUser, for a refresh

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        status, invites = response.status, response.cseq.method == b"INVITE"
        if status < 200:
            return
        number, self._number = self._number, 0
        if status < 300:
            if invites:
                self._acknowledge(response.cseq.number)
            if number and not self._over:
                self.side.dialog.refresh_target(response)
                self.side.agree_interval(response, True, now)
                self._keep_session(now)
        elif self._over or self.side.interval is None:
            return
        elif status in (408, 481):  # §12.2.1.2
            self._lost(f"answered {status}", now)
        elif status == 491:
            self._ground.timers.arm(self, now + _AGAIN_S)
        else:  # the agent is there, but the session runs out if it does not refresh it (RFC 4028 §10)
            self.side.interval = self.side.interval._replace(by_node=False)
            self._keep_session(now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._lost("no answer to a refresh", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._lost(reason, now)

    def _acknowledge(self, number: int) -> None:
        ground = self._ground
        try:
            flow = self._way()
        except SipError:
            return  # the agent repeats its 2xx, and ends the call if it stays away
        via = ground.here.via(flow.interface, ground.branch())
        ground.out.append(Send(flow, bytes(self.side.dialog.request(b"ACK", via, number))))

    # --- the end

    def _keep_session(self, now: float) -> None:
        interval = self.side.interval
        due = NEVER if interval is None else max(interval.due_at, now)
        self._ground.timers.arm(self, min(due, self._ends_at))

    def _lost(self, why: str, now: float) -> None:
        """The agent is gone; should it still be there, it hears of the end."""
        if not self._over:
            self.hang_up((b'Reason: SIP;cause=408;text="Request Timeout"',), now)
            self._conversation.ended(self, (), why, now)

    def _end(self, now: float) -> None:
        self._over = True
        self.acknowledged()
        self._ground.timers.arm(self, now + _LINGERS_S)


_ANSWERS: Final[Mapping[bytes, Callable[[StandIn, ServerTransaction, float], None]]] = {
    b"BYE": StandIn._bye,
    b"INVITE": StandIn._renew,
    b"UPDATE": StandIn._renew,
    b"OPTIONS": StandIn._agree,
    b"INFO": StandIn._agree,
    b"NOTIFY": StandIn._agree,
    b"REFER": StandIn._refuse_transfer,
}
