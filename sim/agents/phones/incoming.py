"""A call that comes in to a user: it rings, is answered, and lasts until the caller hangs up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.boundary import NEVER
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, ServerTransaction
from engine.timers import Timed
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.dialog import Dialog
from engine.ua.parts import reply
from sim.agents.notes import CallEnded, CallMissed, CallTaken
from sim.agents.phones.audio import CallAudio
from sim.agents.phones.renegotiation import Renegotiation

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones
    from sim.agents.phones.user import User

ALERTING: Final = "alerting"  # the phone does not ring yet
RINGING: Final = "ringing"
UP: Final = "up"
HANGING_UP: Final = "hanging up"
OVER: Final = "over"


class IncomingCall(Timed):
    """One call. Its timer is the ring delay first, then the answer delay."""

    __slots__ = (
        "_answered_at",
        "_audio",
        "_dialog",
        "_phones",
        "_transaction",
        "_unconfirmed",
        "_user",
        "call_id",
        "state",
    )

    def __init__(self, phones: Phones, user: User, transaction: ServerTransaction, dialog: Dialog) -> None:
        super().__init__()
        self._phones = phones
        self._user = user
        self._transaction = transaction
        self._dialog = dialog
        self._unconfirmed: UnconfirmedAnswer | None = None
        self._answered_at = 0.0
        self.call_id = transaction.request.call_id.decode("latin-1")
        self._audio = CallAudio(phones, self.call_id, user.name)
        self.state = ALERTING
        transaction.user = self

    @property
    def tag(self) -> bytes:
        """The tag that the far end's requests bear in To."""
        return self._dialog.local_tag

    def begin(self, now: float) -> None:
        """The INVITE came."""
        self._phones.timers.arm(self, now + self._phones.config.ring_delay_s)

    def fire(self, now: float) -> None:
        phones = self._phones
        if self.state == ALERTING:
            self.state = RINGING
            self._respond(180, now)
            phones.timers.arm(self, now + phones.config.answer_delay_s)
        elif self.state == RINGING:
            self.state = UP
            self._answered_at = now
            phones.out.append(CallTaken(self.call_id, self._user.name, self._caller))
            request = self._transaction.request
            body = self._audio.answer(request.body)
            answer = self._user.session_reply(phones, request, 200, self.tag, body)
            self._audio.heard(request.body, now)
            self._unconfirmed = UnconfirmedAnswer(self._transaction, answer, phones.timers, self._no_ack, now)

    def cancel(self, now: float) -> None:
        """The caller gave up."""
        if self.state in (ALERTING, RINGING):
            self._respond(487, now)
            self._miss()

    def hang_up(self, now: float) -> None:
        """The user ends the call, or declines it while it rings."""
        if self.state in (ALERTING, RINGING):
            self._respond(603, now)
            self._miss()
        elif self.state == UP:
            self._send_bye(now)

    def hold(self, held: bool, now: float) -> None:
        """Put the caller on hold, or take it back."""
        if self.state == UP:
            Renegotiation(self._phones, self._dialog, self._audio).begin(held, self._user.contact_line, now)

    def way_lost(self, reason: str, now: float) -> None:
        """The connection that the INVITE came on is gone: a call that rings can't be answered any more."""
        if self.state in (ALERTING, RINGING):
            self._miss()

    def abandon(self, why: str, now: float) -> None:
        """The called client is gone."""
        if self.state in (UP, HANGING_UP):
            self._end(why, "", now)
        else:
            self._miss()

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A request of the caller in this dialog."""
        request = transaction.request
        if not self._dialog.in_order(request):
            transaction.respond(reply(request, 500), now)
        elif request.method == b"BYE":
            transaction.respond(reply(request, 200, headers=self._phones.user_agent), now)
            if self.state in (ALERTING, RINGING):  # §15.1.2: an early dialog may be ended by BYE too
                self.cancel(now)
            else:
                why = "hung up" if self.state == HANGING_UP else "far end hung up"
                self._end(why, (request.get("reason") or b"").decode("utf-8", "replace"), now)
        elif request.method == b"INVITE":
            self._confirm()
            self._dialog.refresh_target(request)
            answer = self._user.session_reply(self._phones, request, 200, body=self._audio.answer(request.body))
            self._audio.heard(request.body, now)
            self._unconfirmed = UnconfirmedAnswer(transaction, answer, self._phones.timers, self._no_ack, now)
        else:
            self._phones.answer_in_dialog(transaction, self._dialog, now)

    def on_ack(self, request: Request, now: float) -> None:
        """The caller has our 2xx."""
        self._confirm()
        if request.body:  # the answer to the offer that our 2xx made
            self._audio.heard(request.body, now)

    # --- ClientUser, for our BYE

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status >= 200:
            self._end("hung up" if response.status < 300 else str(response.status), "", now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._end("no answer to BYE", "", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._end("unreachable", reason, now)

    # --- inside

    @property
    def _caller(self) -> str:
        return self._transaction.request.from_.uri.decode("utf-8", "replace")

    def _respond(self, status: int, now: float) -> None:
        request = self._transaction.request
        if status < 200:
            response = self._user.session_reply(self._phones, request, status, self.tag)
        else:
            response = reply(request, status, self.tag, self._phones.user_agent)
        self._transaction.respond(response, now)

    def _no_ack(self, now: float) -> None:
        if self.state == UP:  # §13.3.1.4: the dialog stands, and is ended by BYE
            self._send_bye(now, "no ACK")

    def _send_bye(self, now: float, why: str = "") -> None:
        phones = self._phones
        self._confirm()
        dialog = self._dialog
        try:
            flow = phones.flow_of(dialog)
        except SipError as error:
            self._end("unreachable", error.why, now)
            return
        request = dialog.request(b"BYE", phones.via_line(), dialog.next_number(), phones.user_agent)
        if why:
            self._end(why, "", now)
            phones.layer.send(request, flow, phones.indifferent, now)
        else:
            self.state = HANGING_UP
            phones.layer.send(request, flow, self, now)

    def _confirm(self) -> None:
        if self._unconfirmed is not None:
            self._unconfirmed.confirm()
            self._unconfirmed = None

    def _miss(self) -> None:
        self._phones.out.append(CallMissed(self.call_id, self._user.name, self._caller))
        self._forget()

    def _end(self, why: str, reason: str, now: float) -> None:
        if self.state in (UP, HANGING_UP):
            duration_s = now - self._answered_at
            self._phones.out.append(CallEnded(self.call_id, self._user.name, why, reason, duration_s))
        self._forget()

    def _forget(self) -> None:
        self.state = OVER
        self._audio.over()
        self._confirm()
        self._phones.timers.arm(self, NEVER)
        self._phones.forget(self.call_id)
