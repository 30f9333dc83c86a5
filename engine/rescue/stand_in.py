"""The edge in the place of a dead node, in one dialog with an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from engine.boundary import NEVER, Send
from engine.media.relay import Answered
from engine.media.sdp.body import find_sdp
from engine.notes import MediaRefused
from engine.rescue.errand import NOBODY, Errand
from engine.rescue.ground import Ground
from engine.rescue.node_side import NodeSide, SessionInterval
from engine.rescue.passing import PASSED, PassedOn, carried, told_of
from engine.sip.errors import SipError
from engine.sip.message import Message, Request, Response
from engine.sip.transactions import ServerTransaction
from engine.timers import Timed
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.parts import EMPTY, Block, block, reply

_ALLOW: Final = block(b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, UPDATE", b"Supported: timer")
_ALLOW_PASSED: Final = block(
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, UPDATE, REFER, MESSAGE", b"Supported: timer"
)
_SDP: Final = block(b"Content-Type: application/sdp")
_BY_ORDER: Final = (b'Reason: Q.850;cause=16;text="NORMAL_CLEARING"',)
_LEAST_INTERVAL_S: Final = 90  # RFC 4028 §5
_LINGERS_S: Final = 32.0  # 64*T1: an agent's BYE may cross ours
_AGAIN_S: Final = 3.0  # §14.1 of RFC 3261 after 491: 2.1 to 4 s


class Standing(NamedTuple):
    """What became of a call whose node is gone: rescued, moved, moving, or left with nobody. ``partner`` is the
    Call-ID of the other dialog."""

    rescue: str
    node: str
    partner: bytes = b""


class Conversation(Protocol):
    """The two dialogs that are one conversation."""

    def answer(self, stand_in: StandIn, offer: bytes, then: Answered, now: float) -> None:
        """The answer to an agent's offer, or why it is to be refused."""
        ...

    def offer(self, stand_in: StandIn, now: float) -> bytes:
        """An offer to an agent. Raises SipError where there is nothing to offer."""
        ...

    def answered(self, stand_in: StandIn, answer: bytes, now: float) -> None:
        """The agent's answer to it. Raises SipError where it can't be used."""
        ...

    def passes_on(self, stand_in: StandIn) -> StandIn | None:
        """Who takes what an agent asks and is not ours to answer; None where nobody does."""
        ...

    def changed(self, stand_in: StandIn, now: float) -> None:
        """The agent is reached elsewhere in this dialog, or other terms of its session were agreed."""
        ...

    def standing(self, stand_in: StandIn) -> Standing:
        """What an operator sees of it."""
        ...

    def ended(self, stand_in: StandIn, reasons: tuple[bytes, ...], why: str, now: float) -> None:
        """This dialog is over, so the other one is to be ended, too. ``reasons`` are Reason lines (RFC 3326)."""
        ...

    def forget(self, stand_in: StandIn) -> None:
        """Nothing more is to be expected in this dialog."""
        ...


class StandIn(Timed):
    """Answers for the node, keeps its session timer, and can hang up. It stays a while after the end."""

    __slots__ = (
        "_again_at",
        "_answer",
        "_answered",
        "_answering",
        "_ends_at",
        "_errand",
        "_ground",
        "_offers",
        "_over",
        "_refreshes",
        "_stale",
        "conversation",
        "referred",
        "side",
    )

    def __init__(self, ground: Ground, side: NodeSide, conversation: Conversation, now: float) -> None:
        super().__init__()
        self._ground = ground
        self.conversation = conversation
        self.side = side
        self._over = False
        self._answering = False  # an offer of the agent's is before the relay
        self._answer: UnconfirmedAnswer | None = None  # a 2xx to a re-INVITE, until its ACK
        self._answered = 0  # CSeq of that
        self._offers = False  # which bears our offer, so that the ACK is to bear the agent's answer
        # CSeq numbers of REFERs that were passed on to our agent, and as they came
        self.referred: dict[int, int] = {}
        self._errand: Errand | None = None  # our own re-INVITE or UPDATE
        self._refreshes = False  # it bears Session-Expires
        self._stale = False  # the agent is to be offered what has changed on our side
        self._again_at = NEVER  # when to ask again what was answered by 491
        self._ends_at = now + ground.lifetime_s
        if side.unacknowledged:  # the node died over the agent's 2xx
            self.acknowledge(side.unacknowledged)
        self._arm(now)

    # --- what the agent asks

    def receive(self, transaction: ServerTransaction, now: float, late: bool = False) -> None:
        """A request of the agent within the dialog; a ``late`` one was judged by its number when it came."""
        request = transaction.request
        if self._over:
            status = 200 if request.method == b"BYE" else 481
            transaction.respond(reply(request, status), now)
        elif not (late or self.side.dialog.in_order(request)):
            transaction.respond(reply(request, 500), now)  # §12.2.2
        elif request.method in PASSED and (other := self.conversation.passes_on(self)) is not None:
            other.pass_on(transaction, self.referred, now)
        else:
            _ANSWERS.get(request.method, StandIn._refuse_method)(self, transaction, now)

    def acknowledged(self, ack: Request, now: float) -> None:
        """The ACK to a 2xx of ours came, perhaps with the answer to its offer (RFC 3261 §13.2.2.4)."""
        if self._answer is None or ack.cseq.number != self._answered:
            return
        self._confirmed()
        if self._offers:
            self._take_answer(ack, now)
        self._catch_up(now)

    def _confirmed(self) -> None:
        """Repeat our 2xx no more."""
        if self._answer is not None:
            self._answer.confirm()
            self._answer = None

    def _take_answer(self, message: Message, now: float) -> None:
        """What the agent answers to our offer; where it can't be used, media stay as they were."""
        try:
            found = find_sdp(message.get("content-type") or b"", message.body) if message.body else None
            if found is not None:
                self.conversation.answered(self, found.sdp, now)
        except SipError as error:
            call_id = self.side.key[0].decode("utf-8", "replace")
            self._ground.out.append(MediaRefused(call_id, "answer", self.side.agent, error.status, error.why))

    def from_node(self, transaction: ServerTransaction, now: float) -> None:
        """The node has come back and speaks of a dialog that is no longer its own."""
        transaction.respond(reply(transaction.request, 481), now)

    def _bye(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        transaction.respond(reply(request, 200), now)
        self._end(now)
        self.conversation.ended(self, tuple(b"Reason: " + value for value in request.all("reason")), "bye", now)

    def _agree(self, transaction: ServerTransaction, now: float) -> None:
        """Nothing to do but to say yes."""
        transaction.respond(reply(transaction.request, 200, headers=self._allow), now)

    def _renew(self, transaction: ServerTransaction, now: float) -> None:
        """A re-INVITE or UPDATE: other media, or a refresh of the session, or both."""
        request = transaction.request
        invites = request.method == b"INVITE"
        offers = invites or bool(request.body)
        crosses = self._invites or (self._answer is not None and (invites or self._offers))
        if self._answering or (offers and crosses):
            transaction.respond(reply(request, 491), now)  # §14.2, RFC 3311 §5.2: one at a time
            return
        try:
            interval = self._asked_interval(request, now)
            found = find_sdp(request.get("content-type") or b"", request.body) if request.body else None
            body = self.conversation.offer(self, now) if found is None and invites else b""
        except SipError as error:
            lines = block(b"Min-SE: %d" % _LEAST_INTERVAL_S) if error.status == 422 else EMPTY
            transaction.respond(reply(request, error.status, headers=lines), now)
            return
        if found is None:
            self._agree_to(transaction, interval, body, body != b"", now)
            return

        def answered(answer: bytes | SipError, now: float) -> None:
            self._answering = False
            if self._over or isinstance(answer, SipError):
                status = 481 if self._over or not isinstance(answer, SipError) else answer.status
                transaction.respond(reply(request, status), now)
                self._catch_up(now)
            else:
                self._agree_to(transaction, interval, answer, False, now)

        self._answering = True
        self.conversation.answer(self, found.sdp, answered, now)

    def _agree_to(
        self,
        transaction: ServerTransaction,
        interval: SessionInterval | None,
        body: bytes,
        offers: bool,
        now: float,
    ) -> None:
        """Say yes to a re-INVITE or UPDATE; ``offers``: the body is an offer of ours."""
        request, side = transaction.request, self.side
        before = side.terms
        side.dialog.refresh_target(request)
        side.interval = interval  # none asked for: none from now on (RFC 4028 §9)
        if side.terms != before:
            self.conversation.changed(self, now)
        timer = EMPTY
        if interval is not None:
            who = b"uas" if interval.by_node else b"uac"
            expires = b"Session-Expires: %d;refresher=%b" % (interval.interval_s, who)
            timer = block(expires, b"Require: timer")
        headers = self._contact + self._allow + timer + (_SDP if body else EMPTY)
        response = reply(request, 200, headers=headers, body=body)
        if request.method == b"INVITE":
            self._answered, self._offers = request.cseq.number, offers
            self._answer = UnconfirmedAnswer(transaction, response, self._ground.timers, self._no_ack, now)
        else:
            transaction.respond(response, now)
        self._catch_up(now)

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
        transaction.respond(reply(transaction.request, 405, headers=self._allow), now)

    def pass_on(self, transaction: ServerTransaction, referred: Mapping[int, int], now: float) -> None:
        """Ask our agent what the other one asks; ``referred`` are the numbers of what that one was asked."""
        request = transaction.request
        headers = self._contact + carried(request)
        if request.method == b"NOTIFY" and referred:
            headers = told_of(headers, referred)
        user = PassedOn(transaction, self.referred)
        errand = Errand(self._ground, self.side, request.method, headers, request.body, user)
        errand.begin(now)
        if errand.sent:
            user.went(errand)

    @property
    def _allow(self) -> Block:
        return _ALLOW if self.conversation.passes_on(self) is None else _ALLOW_PASSED

    @property
    def over(self) -> bool:
        """Whether the dialog has ended, so that only what is late is still answered."""
        return self._over

    @property
    def _contact(self) -> Block:
        return block(b"Contact: <" + self.side.contact + b">")

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
        Errand(self._ground, self.side, b"BYE", block(*reasons), b"", NOBODY).begin(now)

    def dismiss(self, now: float) -> None:
        """An operator ends the conversation, on both sides."""
        if not self._over:
            self.hang_up(_BY_ORDER, now)
            self.conversation.ended(self, _BY_ORDER, "by order", now)

    def fire(self, now: float) -> None:
        interval = self.side.interval
        if self._over:
            self.conversation.forget(self)
        elif now >= self._ends_at:
            self._lost("lifetime", now)
        elif interval is not None and now >= interval.expires_at:
            self._lost("session expired", now)
        elif self._errand is not None or now < self._asks_at:
            self._arm(now)
        else:
            self._again_at = NEVER
            if interval is not None and now >= interval.refresh_at:
                self._refresh(interval, now)
            else:
                self._catch_up(now)

    @property
    def _asks_at(self) -> float:
        """When there is something to ask, if nothing is being asked."""
        if self._again_at < NEVER or self.side.interval is None:
            return self._again_at
        return self.side.interval.refresh_at

    @property
    def _invites(self) -> bool:
        """Whether a re-INVITE of ours waits for its answer."""
        return self._errand is not None and self._errand.sent and self._errand.method == b"INVITE"

    def _refresh(self, interval: SessionInterval, now: float) -> None:
        """Refresh the session as the node would have, by UPDATE where the agent knows it (RFC 4028 §7.4)."""
        timer = block(
            b"Session-Expires: %d;refresher=uac" % interval.interval_s,
            b"Supported: timer",
        )
        if self.side.updates:
            self._ask(b"UPDATE", timer, b"", True, now)
        else:
            self._offer(timer, True, now)

    def renegotiate(self, now: float) -> None:
        """Bring the agent's media into line with what is said of them here."""
        if not self._over:
            self._stale = True
            self._catch_up(now)

    def _catch_up(self, now: float) -> None:
        """Offer the agent what it does not know yet, unless something stands in the way, whose end leads here."""
        free = self._errand is None and self._answer is None and not self._answering
        if self._stale and free and self._again_at == NEVER and not self._over:
            self._offer(EMPTY, False, now)
        else:
            self._arm(now)

    def _offer(self, headers: Block, refreshes: bool, now: float) -> None:
        try:
            if self._answer is not None or self._answering:  # RFC 3261 §14.1: one INVITE at a time
                raise SipError("an offer of the agent's is under way", 491)
            body = self.conversation.offer(self, now)
        except SipError as error:
            if error.status == 491:
                self._ask_again(now)
            else:
                self._lost(error.why, now)  # there is nothing to offer
            return
        self._stale = False
        self._ask(b"INVITE", headers + self._allow + _SDP, body, refreshes, now)

    def _ask(self, method: bytes, headers: Block, body: bytes, refreshes: bool, now: float) -> None:
        self._refreshes = refreshes
        self._errand = Errand(self._ground, self.side, method, self._contact + headers, body, self)
        self._arm(now)
        self._errand.begin(now)

    def _ask_again(self, now: float) -> None:
        self._again_at = now + _AGAIN_S
        self._arm(now)

    # --- ErrandUser

    def on_answer(self, errand: Errand, response: Response, now: float) -> None:
        """A final response to a refresh, or to an offer."""
        status, invites = response.status, errand.method == b"INVITE"
        pending = errand is self._errand
        if pending:
            self._errand = None
        if status < 300:
            if invites:
                self.acknowledge(response.cseq.number)
            if pending and not self._over:
                before = self.side.terms
                self.side.dialog.refresh_target(response)
                if invites:
                    self._take_answer(response, now)
                self.side.agree_interval(response, True, now)
                if self.side.terms != before:
                    self.conversation.changed(self, now)
                self._catch_up(now)
        elif self._over:
            return
        elif status in (408, 481):  # §12.2.1.2
            self._lost(f"answered {status}", now)
        elif status == 491:
            self._stale |= invites
            self._ask_again(now)
        else:
            interval = self.side.interval
            if self._refreshes and interval is not None:
                # The agent is there, but the session runs out if it does not refresh it (RFC 4028 §10).
                self.side.interval = interval._replace(by_node=False)
            self._catch_up(now)

    def on_failure(self, errand: Errand, why: str, now: float) -> None:
        self._errand = None
        self._lost(why, now)

    def acknowledge(self, number: int) -> None:
        """Send the ACK to a 2xx of the agent."""
        ground, side = self._ground, self.side
        side.unacknowledged = 0
        try:
            way = ground.ways.to(side.agent_key, side.agent_flow, side.key[0])
        except SipError:
            return  # the agent repeats its 2xx, and ends the call if it stays away
        ack = side.dialog.request(b"ACK", ground.here.via(way.flow.interface, ground.branch()), number)
        if way.route:
            ack.add_first("route", way.route)
        ground.out.append(Send(way.flow, bytes(ack)))

    # --- the end

    def retire(self, now: float) -> None:
        """Whom this speaks with is gone without a word."""
        self._end(now)
        self._ground.timers.arm(self, NEVER)

    def _arm(self, now: float) -> None:
        """Wake up for what comes first: the end of the session or of us, or something to ask."""
        if self._over:
            return  # it is to be forgotten
        interval = self.side.interval
        due = self._ends_at if interval is None else min(self._ends_at, interval.expires_at)
        if self._errand is None:
            due = min(due, self._asks_at)
        self._ground.timers.arm(self, max(due, now))

    def _lost(self, why: str, now: float) -> None:
        """The agent is gone; should it still be there, it hears of the end."""
        if not self._over:
            self.hang_up((b'Reason: SIP;cause=408;text="Request Timeout"',), now)
            self.conversation.ended(self, (), why, now)

    def _end(self, now: float) -> None:
        self._over = True
        self._confirmed()
        if self._errand is not None:
            self._errand.give_up(now)
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
