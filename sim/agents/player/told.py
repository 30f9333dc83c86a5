"""A story that the agent began: it asks, gives up, or is answered, and says the rest when its turn comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import NEVER, Send
from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, ServerTransaction
from engine.sip.transactions.transaction import cancel_of
from engine.ua.dialog import Dialog
from sim.agents.notes import (
    CallEnded,
    CallLost,
    CallPlaced,
    CallSetUp,
    Registered,
    RegistrationFailed,
    Unregistered,
)
from sim.agents.player.script import Outgoing
from sim.agents.player.talk import Talk

if TYPE_CHECKING:
    from sim.agents.player.machine import Player


class Told(Talk):
    """One story. Its timer is the next thing that the agent does by itself."""

    __slots__ = ("_acknowledgement", "_began_at", "_cancelled", "_first", "_invite", "_state", "_story", "_try")

    def __init__(self, player: Player, story: Outgoing) -> None:
        super().__init__(player, story.in_dialog, story.hold_s)
        self._story = story
        self._try = 0
        self._state = "to come"
        self._began_at = 0.0
        self._first: tuple[int, float] | None = None  # status and moment of the first 180 or 183
        self._invite: ClientTransaction | None = None
        self._acknowledgement: Send | None = None
        self._cancelled = False

    # --- what the agent does ----------------------------------------------------------------------------------

    def fire(self, now: float) -> None:
        if self._state == "to come":
            if self._player.plays:
                self._begin(now)
        elif self._state == "asking":
            self._cancel(now)
        elif self._state == "up":
            self.go_on(now)

    def _begin(self, now: float) -> None:
        request = _read(self._story.tries[0])
        if request is None:
            return
        self._state, self._began_at = "asking", now
        self.call_id = request.call_id
        self._player.told[request.call_id] = self
        if request.method == b"INVITE":
            text = request.call_id.decode("latin-1")
            self._player.out.append(CallPlaced(text, self._story.user, self._story.to))
        self._send(request, now)

    def _send(self, request: Request, now: float) -> None:
        self._player.wallet.sign(request, self._story.user)
        transaction = self._player.layer.send(request, self._player.way, self, now)
        if request.method == b"INVITE":
            self._invite = transaction
            last = self._try == len(self._story.tries) - 1
            if last and self._story.cancel_s is not None:
                self._player.timers.arm(self, now + self._story.cancel_s)

    def _cancel(self, now: float) -> None:
        invite = self._invite
        if invite is not None and invite.request is not None and not self._cancelled:
            self._cancelled = True
            if self._first is not None or invite.state == "proceeding":
                self._player.layer.send(cancel_of(invite.request), self._player.way, _Indifferent(), now)
                invite.cancelled(now)
            else:  # §9.1: not before a provisional response; the next look is soon
                self._cancelled = False
                self._player.timers.arm(self, now + 0.1)

    # --- what it hears ----------------------------------------------------------------------------------------

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        method, status = transaction.key[1], response.status
        if self._state == "up":
            self.on_later_response(transaction, response, now)
        elif status < 200:
            if status in (180, 183) and self._first is None:
                self._first = (status, now)
        elif status >= 300 and self._tries_again(response, now):
            return
        elif method == b"INVITE" and status < 300:
            self._answered(response, now)
        elif method == b"INVITE":
            gave_up = self._cancelled and status == 487
            self._lose(
                status, response.reason.decode("utf-8", "replace"), "gave up" if gave_up else "refused", now
            )
        else:
            self._done(method, response, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._failed(transaction, 408, "no response", "timeout", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._failed(transaction, 503, reason, "unreachable", now)

    def _failed(self, transaction: ClientTransaction, status: int, reason: str, why: str, now: float) -> None:
        if self._state == "up":
            if transaction.key[1] == b"BYE":
                self.end("no answer to BYE" if status == 408 else why, now)
        elif transaction.key[1] == b"INVITE":
            self._lose(status, reason, "gave up" if self._cancelled else why, now)
        else:
            if transaction.key[1] == b"REGISTER":
                self._player.out.append(RegistrationFailed(self._story.user, status, reason))
            self._forget()

    def _tries_again(self, response: Response, now: float) -> bool:
        """Whether the agent had another request ready for this refusal."""
        if self._try + 1 >= len(self._story.tries) or self._cancelled:
            return False
        request = _read(self._story.tries[self._try + 1])
        if request is None:
            return False
        if not self._player.wallet.take(response, self._story.user):
            return False
        self._try += 1
        self._send(request, now)
        return True

    def _answered(self, response: Response, now: float) -> None:
        player, story = self._player, self._story
        try:
            dialog = Dialog.of_caller(response, player.way)
            flow = player.way if player.script.interface.reliable else dialog.flow()
        except SipError as error:
            self._lose(500, f"unusable 2xx: {error.why}", "refused", now)
            return
        ack = dialog.request(b"ACK", player.via_line(), response.cseq.number)
        self._acknowledgement = Send(flow, bytes(ack))
        player.out.append(self._acknowledgement)
        self._state = "up"
        status, at = self._first or (response.status, now)
        text = self.call_id.decode("latin-1")
        player.out.append(
            CallSetUp(text, story.user, story.to, status, at - self._began_at, now - self._began_at, 0)
        )
        self.stand(dialog, flow, now)

    def _done(self, method: bytes, response: Response, now: float) -> None:
        user, status = self._story.user, response.status
        if method == b"REGISTER" and status < 300:
            granted_s = _granted_s(response)
            note = Registered(user, granted_s, now - self._began_at) if granted_s else Unregistered(user)
            self._player.out.append(note)
        elif method == b"REGISTER":
            reason = response.reason.decode("utf-8", "replace")
            self._player.out.append(RegistrationFailed(user, status, reason))
        self._forget()

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        self.take(transaction, now)

    def on_stray(self, response: Response) -> None:
        """The 2xx came again, so its ACK was lost."""
        if self._acknowledgement is not None and response.cseq.method == b"INVITE" and response.status < 300:
            self._player.out.append(self._acknowledgement)

    # --- the end ----------------------------------------------------------------------------------------------

    def _lose(self, status: int, reason: str, why: str, now: float) -> None:
        text, story = self.call_id.decode("latin-1"), self._story
        elapsed_s = now - self._began_at
        self._player.out.append(CallLost(text, story.user, story.to, status, reason, why, elapsed_s, 0))
        self._forget()

    def over(self, why: str, now: float) -> None:
        text = self.call_id.decode("latin-1")
        self._player.out.append(CallEnded(text, self._story.user, why, "", now - self.stood_at))
        self._forget()

    def _forget(self) -> None:
        self._state = "over"
        self._player.timers.arm(self, NEVER)
        if self._player.told.get(self.call_id) is self:
            del self._player.told[self.call_id]


class _Indifferent:
    """Who sent a CANCEL does not care for its answer."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None: ...

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None: ...

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None: ...


def _read(data: bytes) -> Request | None:
    try:
        message = parse_datagram(data)
    except SipError:
        return None
    return message if isinstance(message, Request) else None


def _granted_s(response: Response) -> float:
    """The longest expiry among the contacts of a 2xx to REGISTER; 0 where none is left."""
    found = [0.0]
    for value in response.values("contact"):
        _, _, text = value.lower().partition(b"expires=")
        digits = text.partition(b";")[0].strip()
        found.append(float(digits) if digits.isdigit() else float(response.get("expires") or 0))
    return max(found)
