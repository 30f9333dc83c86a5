"""A call that a user places, from its INVITE to its last BYE."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Final

from engine.boundary import NEVER, Send
from engine.sip import digest
from engine.sip.errors import SipError
from engine.sip.message import REASONS, Request, Response
from engine.sip.transactions import ClientTransaction, ClientUser, ServerTransaction
from engine.sip.transactions.transaction import cancel_of
from engine.timers import Timed
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.dialog import Dialog
from engine.ua.parts import reply
from sim.agents.notes import CallEnded, CallLost, CallPlaced, CallSetUp
from sim.agents.phones.audio import CallAudio
from sim.agents.phones.renegotiation import Renegotiation

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones
    from sim.agents.phones.user import User

CALLING: Final = "calling"
GIVING_UP: Final = "giving up"  # the caller's patience ended; the final response is awaited
UP: Final = "up"
HANGING_UP: Final = "hanging up"  # our BYE is under way
OVER: Final = "over"

_CHALLENGES_ANSWERED = 2  # a second one is answered too: a nonce of another node is stale
_CHALLENGED = {401: ("www-authenticate", b"Authorization"), 407: ("proxy-authenticate", b"Proxy-Authorization")}


class OutgoingCall(Timed):
    """One call. Its timer is the caller's patience first, then the time until the caller hangs up."""

    __slots__ = (
        "_acknowledgement",
        "_audio",
        "_challenged",
        "_dialog",
        "_first_at",
        "_first_status",
        "_hold_s",
        "_invite",
        "_number",
        "_phones",
        "_placed_at",
        "_proceeding",
        "_retransmissions",
        "_sent_at",
        "_tag",
        "_to",
        "_unconfirmed",
        "_user",
        "call_id",
        "state",
    )

    def __init__(self, phones: Phones, user: User, to: str, call_id: str, hold_s: float) -> None:
        super().__init__()
        self._phones = phones
        self._user = user
        self._to = to
        self._hold_s = hold_s
        self._tag = phones.token()
        self._number = 0
        self._placed_at = 0.0
        self._sent_at = NEVER  # of the INVITE that no response came to yet
        self._first_status = 0
        self._first_at = 0.0
        self._proceeding = False  # a provisional response to the last INVITE came
        self._retransmissions = 0
        self._challenged = 0
        self._invite: ClientTransaction | None = None
        self._dialog: Dialog | None = None
        self._acknowledgement: Send | None = None
        self._unconfirmed: UnconfirmedAnswer | None = None  # to a re-INVITE
        self._audio = CallAudio(phones, call_id, user.name)
        self.call_id = call_id
        self.state = CALLING

    # --- what the caller does

    def begin(self, patience_s: float, now: float) -> None:
        """Place the call; the caller waits for so long for an answer."""
        self._placed_at = now
        self._phones.out.append(CallPlaced(self.call_id, self._user.name, self._to))
        self._phones.timers.arm(self, now + patience_s)
        self._send_invite(b"", now)

    def hang_up(self, now: float) -> None:
        """End the call, answered or not; no matter if it is over already."""
        if self.state == CALLING:
            self._cancel(now)
        elif self.state == UP and self._dialog is not None:
            self.state = HANGING_UP
            self._phones.timers.arm(self, NEVER)
            self._send_bye(self._dialog, self, now)

    def hold(self, held: bool, now: float) -> None:
        """Put the far end on hold, or take it back."""
        if self.state == UP and self._dialog is not None:
            Renegotiation(self._phones, self._dialog, self._audio).begin(held, self._user.contact_line, now)

    def way_lost(self, reason: str, now: float) -> None:
        """The connection that the answer would come on is gone."""
        if self.state in (CALLING, GIVING_UP) and self._invite is not None:
            self._phones.layer.forget_client(self._invite)
            self._lose(503, reason, "unreachable", now)

    def abandon(self, why: str, now: float) -> None:
        """The caller's client is gone."""
        if self.state in (UP, HANGING_UP):
            self._end(why, "", now)
        else:
            self._lose(503, why, "unreachable", now)

    def fire(self, now: float) -> None:
        if self.state == GIVING_UP and self._invite is not None:
            # §9.1: 64*T1 after the CANCEL nothing more is to be expected
            self._phones.layer.forget_client(self._invite)
            self._lose(487, "no final response after CANCEL", "gave up", now)
        else:
            self.hang_up(now)

    def _send_invite(self, credentials: bytes, now: float) -> None:
        phones = self._phones
        self._number += 1
        self._sent_at = now
        self._proceeding = False
        offer = self._audio.offer()
        request = self._user.invite(phones, self._to, self.call_id, self._tag, self._number, credentials, offer)
        self._invite = phones.layer.send(request, phones.way, self, now)

    def _cancel(self, now: float) -> None:
        self.state = GIVING_UP
        timers = self._phones.timers
        if self._proceeding:  # §9.1: no CANCEL before a provisional response; timer B ends what stays without
            timers.arm(self, now + 64 * self._phones.config.timers.t1_s)
            self._send_cancel(now)
        else:
            timers.arm(self, NEVER)

    def _send_cancel(self, now: float) -> None:
        if self._invite is not None and self._invite.request is not None:
            phones = self._phones
            phones.layer.send(cancel_of(self._invite.request), phones.way, phones.indifferent, now)

    def _send_bye(self, dialog: Dialog, user: ClientUser, now: float) -> None:
        phones = self._phones
        request = dialog.request(b"BYE", phones.via_line(), dialog.next_number(), phones.user_agent)
        try:
            flow = phones.flow_of(dialog)
        except SipError as error:
            self._end("unreachable", error.why, now)
            return
        phones.layer.send(request, flow, user, now)

    # --- what the far end says (ClientUser)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        status = response.status
        if transaction.key[1] == b"BYE":
            if status >= 200:
                self._end("hung up" if status < 300 else str(status), "", now)
            return
        self._count_retransmissions(now)
        if status < 200:
            self._provisional(status, now)
            if response.body:
                self._audio.heard(response.body, now)  # early media
        elif status < 300:
            self._answered(transaction, response, now)
        elif transaction is self._invite:
            self._refused(response, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        if transaction.key[1] == b"BYE":
            self._end("no answer to BYE", "", now)
        else:
            self._count_retransmissions(now)
            self._lose(408, "no response", "gave up" if self.state == GIVING_UP else "timeout", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        if transaction.key[1] == b"BYE":
            self._end("unreachable", reason, now)
        else:
            self._count_retransmissions(now)
            self._lose(503, reason, "unreachable", now)

    def _provisional(self, status: int, now: float) -> None:
        if status in (180, 183) and not self._first_status:
            self._first_status = status
            self._first_at = now
        first = not self._proceeding
        self._proceeding = True
        if first and self.state == GIVING_UP:
            self._phones.timers.arm(self, now + 64 * self._phones.config.timers.t1_s)
            self._send_cancel(now)

    def _answered(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        phones = self._phones
        if self._dialog is not None and response.to.tag == self._dialog.remote_tag:
            if self._acknowledgement is not None:
                phones.out.append(self._acknowledgement)  # the 2xx came again: the ACK was lost
            return
        try:
            dialog = Dialog.of_caller(response, phones.way)
            flow = phones.flow_of(dialog)
        except SipError as error:
            self._lose(500, f"unusable 2xx: {error.why}", "refused", now)
            return
        acknowledgement = dialog.request(b"ACK", phones.via_line(), self._number)
        send = Send(flow, bytes(acknowledgement))
        phones.out.append(send)
        if self._dialog is not None or self.state not in (CALLING, GIVING_UP):
            self._send_bye(dialog, phones.indifferent, now)  # §13.2.2.4: another fork was answered too
            return
        self._dialog = dialog
        self._acknowledgement = send
        if self.state == GIVING_UP:
            self._note_lost(487, "answered while being cancelled", "gave up", now)
            self.state = OVER
            phones.timers.arm(self, NEVER)
            self._send_bye(dialog, self, now)
            return
        self.state = UP
        self._audio.heard(response.body, now)
        phones.timers.arm(self, now + self._hold_s)
        first_status = self._first_status or response.status
        first_at = self._first_at if self._first_status else now
        phones.out.append(
            CallSetUp(
                self.call_id,
                self._user.name,
                self._to,
                first_status,
                first_at - self._placed_at,
                now - self._placed_at,
                self._retransmissions,
            )
        )
        self._placed_at = now  # from here on the start of the conversation

    def _refused(self, response: Response, now: float) -> None:
        status = response.status
        if status in _CHALLENGED and self._challenged < _CHALLENGES_ANSWERED and self.state == CALLING:
            self._challenged += 1
            header, answer_header = _CHALLENGED[status]
            challenge = digest.choose(response.all(header))
            if challenge is not None:
                phones = self._phones
                credentials = digest.answer(
                    challenge,
                    username=self._user.name.encode(),
                    password=phones.password,
                    method=b"INVITE",
                    uri=phones.uri_of(self._to),
                    cnonce=phones.token(),
                )
                self._send_invite(answer_header + b": " + bytes(credentials), now)
                return
        why = "gave up" if self.state == GIVING_UP and status == 487 else "refused"
        self._lose(status, response.reason.decode("utf-8", "replace"), why, now)

    # --- requests of the far end in this dialog

    @property
    def tag(self) -> bytes:
        """The tag that the far end's requests bear in To."""
        return self._tag

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        dialog = self._dialog
        if dialog is None or not dialog.in_order(request):
            transaction.respond(reply(request, 500 if dialog else 481), now)
        elif request.method == b"BYE":
            transaction.respond(reply(request, 200, headers=self._phones.user_agent), now)
            why = "hung up" if self.state == HANGING_UP else "far end hung up"  # both may do so at once
            self._end(why, (request.get("reason") or b"").decode("utf-8", "replace"), now)
        elif request.method == b"INVITE":
            self._confirm()
            dialog.refresh_target(request)
            answer = self._user.session_reply(self._phones, request, 200, body=self._audio.answer(request.body))
            self._audio.heard(request.body, now)
            self._unconfirmed = UnconfirmedAnswer(transaction, answer, self._phones.timers, self.hang_up, now)
        else:
            self._phones.answer_in_dialog(transaction, dialog, now)

    def on_ack(self, request: Request, now: float) -> None:
        """The far end acknowledges our answer to its re-INVITE."""
        self._confirm()

    def _confirm(self) -> None:
        if self._unconfirmed is not None:
            self._unconfirmed.confirm()
            self._unconfirmed = None

    # --- bookkeeping

    def _count_retransmissions(self, now: float) -> None:
        """Timer A fires T1, 3*T1, 7*T1, ... after the request, until the first response (§17.1.1.2)."""
        if self._sent_at == NEVER:
            return
        timers = self._phones.config.timers
        waited = min(now - self._sent_at, timers.b_s or 64 * timers.t1_s)
        self._sent_at = NEVER
        if waited >= timers.t1_s and not self._phones.config.interface.reliable:
            self._retransmissions += int(log2(waited / timers.t1_s + 1))

    def _lose(self, status: int, reason: str, why: str, now: float) -> None:
        if self.state not in (CALLING, GIVING_UP):
            return
        self._note_lost(status, reason or REASONS.get(status, b"").decode(), why, now)
        self._forget()

    def _note_lost(self, status: int, reason: str, why: str, now: float) -> None:
        elapsed_s = now - self._placed_at
        self._phones.out.append(
            CallLost(
                self.call_id,
                self._user.name,
                self._to,
                status,
                reason,
                why,
                elapsed_s,
                self._retransmissions,
            )
        )

    def _end(self, why: str, reason: str, now: float) -> None:
        if self.state in (UP, HANGING_UP):
            self._phones.out.append(CallEnded(self.call_id, self._user.name, why, reason, now - self._placed_at))
        self._forget()

    def _forget(self) -> None:
        self.state = OVER
        self._audio.over()
        self._confirm()
        self._phones.timers.arm(self, NEVER)
        self._phones.forget(self.call_id)
