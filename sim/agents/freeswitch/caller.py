"""The leg of a caller: from its INVITE through the dialplan to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.sip.transactions import ServerTransaction
from engine.sip.uri import parse_uri
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.dialog import Dialog
from engine.ua.parts import Block, block, reply
from sim.agents.freeswitch import causes
from sim.agents.freeswitch.authenticator import parts_of, user_of
from sim.agents.freeswitch.causes import Cause
from sim.agents.freeswitch.config import Outcome
from sim.agents.freeswitch.leg import SETTING_UP, UP, Leg
from sim.agents.freeswitch.wording import SESSION, party
from sim.agents.media import Content

if TYPE_CHECKING:
    from sim.agents.freeswitch.node import Node

_MAX_FORWARDS = block(b"Max-Forwards: 70")  # it does stand in its failure responses
_UNSCREENED = b"privacy=off;screen=no"

# What the leg's timer means while it is set up
_ALERT: Final = "alert"
_ANSWER: Final = "answer"


class CallerLeg(Leg):
    """``user`` is who the caller proved to be, empty where it was not asked.

    Raises
    ------
    SipError
        Where the INVITE can't make a dialog.
    """

    __slots__ = (
        "_answer_delay_s",
        "_display",
        "_hangs_up_after_s",
        "_negotiated",
        "_next",
        "_refusal",
        "_shown_uri",
        "number",
        "transaction",
        "user",
    )

    direction = "inbound"

    def __init__(self, node: Node, transaction: ServerTransaction, user: str) -> None:
        request = transaction.request
        place = node.places[transaction.flow.interface]
        number = parse_uri(request.uri).user or b""
        tag = node.tag()
        dialog = Dialog.of_callee(request, tag, transaction.flow, node.next_number())
        super().__init__(node, place, request.call_id)
        self.tag = tag
        self.transaction = transaction
        self.user = user
        self.number = user_of(request.uri)
        self._dialog = dialog
        self._contact = block(place.contact(number))
        self._display = number
        self._shown_uri = b"sip:%b@%b" % (number, parts_of(request.to.uri)[1] or place.host)
        self._negotiated = False  # once our description went out
        self._next = ""
        self._answer_delay_s = node.config.answer_delay_s
        self._refusal: Cause | None = None  # how it ends instead of an answer
        self._hangs_up_after_s = 0.0
        transaction.user = self

    # --- what the dialplan does with it

    def play(self, content: Content, *, early_media_s: float, hangs_up_after_s: float, now: float) -> None:
        """An application of this node answers; 0 means no early media, and no hang-up by itself."""
        config = self._node.config
        if not self._negotiate():
            self.hang_up(causes.INCOMPATIBLE, now)
            return
        self._hangs_up_after_s = hangs_up_after_s
        self.content = content
        if early_media_s:
            self._respond_session(183, now)
            self._wait(_ANSWER, early_media_s, now)
        elif config.ring_delay_s or config.answer_delay_s:
            self._wait(_ALERT, config.ring_delay_s, now)
        else:
            self._answer(now)

    def repeat(self, outcome: Outcome, now: float) -> None:
        """The far end does what it did when this call was recorded."""
        if not self._negotiate():
            self.hang_up(causes.INCOMPATIBLE, now)
            return
        if outcome.status >= 300:
            self._refusal = Cause(causes.cause_of(outcome.status).reason, outcome.status)
        passed_s = self._node.config.reply_delay_s  # since the INVITE came
        final_s = max(outcome.final_s - passed_s, 0.0)
        if outcome.alert_s is None:
            self._wait(_ANSWER, final_s, now)
        else:
            alert_s = max(outcome.alert_s - passed_s, 0.0)
            self._answer_delay_s = final_s - alert_s
            self._wait(_ALERT, alert_s, now)

    def may_bridge(self, now: float) -> bool:
        """Whether there is media to bridge; a call without is refused here."""
        if not self._negotiate():
            self.hang_up(causes.INCOMPATIBLE, now)
            return False
        return True

    @property
    def offer(self) -> bytes:
        """The caller's session description."""
        return self.transaction.request.body

    # --- what the other leg does to it

    def progressed(self, now: float) -> None:
        """The called phone rings: ring-back is played as early media."""
        if self.state == SETTING_UP and not self._negotiated:
            self._respond_session(183, now)

    def answered(self, number: bytes, now: float) -> None:
        if self.state == SETTING_UP:
            self._name_far_end(number)
            self._answer(now)
            if self.peer is not None:
                self._node.events.bridged(self, self.peer, now)

    def failed(self, cause: Cause, number: bytes, now: float) -> None:
        self.peer = None
        self._name_far_end(number)
        self.hang_up(cause, now)

    def _name_far_end(self, number: bytes) -> None:
        """Remote-Party-ID names the outbound call once it has an outcome."""
        host = self._shown_uri.rpartition(b"@")[2]
        self._display = b"Outbound Call"
        self._shown_uri = b"sip:%b@%b" % (number, host)

    # --- what the caller does

    def cancel(self, now: float) -> None:
        """The caller gave up."""
        if self.state != SETTING_UP:
            return
        self._finish(causes.ORIGINATOR_CANCEL, now)
        wording = self._node.wording
        headers = wording.events if self._negotiated else wording.rich
        self.transaction.respond(reply(self.transaction.request, 487, self.tag, headers), now)
        self._hang_up_peer(causes.ORIGINATOR_CANCEL, now)

    def fire(self, now: float) -> None:
        if self.state == UP:
            self.hang_up(causes.NORMAL_CLEARING, now)
        elif self._next == _ALERT:
            headers = self._contact + self._node.wording.rich + self._party()
            self.transaction.respond(reply(self.transaction.request, 180, self.tag, headers), now)
            self._wait(_ANSWER, self._answer_delay_s, now)
        elif self._next == _ANSWER and self._refusal is not None:
            self.hang_up(self._refusal, now)
        elif self._next == _ANSWER:
            self._answer(now)

    # --- inside

    def _negotiate(self) -> bool:
        node, place = self._node, self._place
        self._description = node.media.answer(self.offer, place.media_host, node.media.next_port())
        return bool(self._description)

    def _answer(self, now: float) -> None:
        self.state = UP
        self.talk(self.offer)
        self._node.events.answered(self, now)
        answer = reply(self.transaction.request, 200, self.tag, self._session_headers(), self._description)
        timers = self._node.timers
        self._unconfirmed = UnconfirmedAnswer(self.transaction, answer, timers, self._no_ack, now)
        if self._hangs_up_after_s:
            timers.arm(self, now + self._hangs_up_after_s)

    def _respond_session(self, status: int, now: float) -> None:
        request, headers = self.transaction.request, self._session_headers()
        self.talk(self.offer)
        self.transaction.respond(reply(request, status, self.tag, headers, self._description), now)
        self._negotiated = True

    def _session_headers(self) -> Block:
        wording = self._node.wording
        headers = wording.events if self._negotiated else wording.rich
        return self._contact + headers + SESSION + self._party()

    def _party(self) -> Block:
        return Block(["remote-party-id"], [party(self._display, self._shown_uri, _UNSCREENED)])

    def _abandon(self, cause: Cause, now: float) -> None:
        wording = self._node.wording
        headers = wording.events if self._negotiated else wording.rich
        headers = _MAX_FORWARDS + headers + block(b"Reason: " + cause.reason) + self._party()
        self.transaction.respond(reply(self.transaction.request, cause.status, self.tag, headers), now)
        self._node.sessions.linger(self.call_id, now)

    def _wait(self, what: str, delay_s: float, now: float) -> None:
        self._next = what
        self._node.timers.arm(self, now + delay_s)


def caller_name(leg: CallerLeg, domain: bytes, host: bytes) -> tuple[bytes, bytes]:
    """How the called side sees the caller, as (display name, URI).

    One that proved to be a user is shown with the name and domain of its account, any other as it came.
    """
    if leg.user:
        user = leg.user.encode()
        return b"Extension " + user, b"sip:%b@%b" % (user, domain)
    user = parts_of(leg.transaction.request.from_.uri)[0] or b"anonymous"
    return user, b"sip:%b@%b" % (user, host)
