"""A call that came to the agent: it answers as it did then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import NEVER
from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction, ServerTransaction
from engine.ua.answer import UnconfirmedAnswer
from engine.ua.dialog import Dialog
from engine.ua.parts import Block, reply
from sim.agents.notes import CallEnded, CallMissed, CallTaken
from sim.agents.player.script import Incoming
from sim.agents.player.talk import Talk

if TYPE_CHECKING:
    from sim.agents.player.machine import Player

_COPIED = frozenset(("via", "record-route", "from", "to", "call-id", "cseq", "content-length"))


class Taken(Talk):
    """One call. Until it stands, its timer is the next answer."""

    __slots__ = ("_answers", "_caller", "_came_at", "_story", "_tag", "_transaction", "_unconfirmed", "_up")

    def __init__(self, player: Player, story: Incoming, transaction: ServerTransaction, now: float) -> None:
        super().__init__(player, story.in_dialog, story.hold_s)
        request = transaction.request
        self._story = story
        self._transaction = transaction
        self._answers = list(story.answers)
        self._came_at = now
        self._tag = player.token()
        self._caller = request.from_.uri.decode("utf-8", "replace")
        self._unconfirmed: UnconfirmedAnswer | None = None
        self._up = False
        self.call_id = request.call_id
        player.taken[self.call_id] = self
        self._wait(now)

    def fire(self, now: float) -> None:
        if self._up:
            self.go_on(now)
            return
        said = self._answers.pop(0)
        response = self._response(said.data)
        if response is None:
            self._wait(now)
        elif response.status < 200:
            self._transaction.respond(response, now)
            self._wait(now)
        elif response.status < 300:
            self._take_call(response, now)
        else:
            self._transaction.respond(response, now)
            self._miss()

    def _wait(self, now: float) -> None:
        if self._answers:
            self._player.timers.arm(self, max(self._came_at + self._answers[0].after_s, now))

    def _response(self, data: bytes) -> Response | None:
        """A recorded answer, to this INVITE."""
        try:
            recorded = parse_datagram(data)
        except SipError:
            return None
        if not isinstance(recorded, Response):
            return None
        kept = [
            (name, line) for name, line in zip(recorded.names, recorded.lines, strict=True) if name not in _COPIED
        ]
        headers = Block([name for name, _ in kept], [line for _, line in kept])
        self.body = recorded.body or self.body
        tag = b"" if recorded.status == 100 else self._tag
        return reply(self._transaction.request, recorded.status, tag, headers, recorded.body, recorded.reason)

    def _take_call(self, response: Response, now: float) -> None:
        player = self._player
        try:
            dialog = Dialog.of_callee(self._transaction.request, self._tag, self._transaction.flow)
            flow = dialog.flow()
        except SipError:
            self._miss()
            return
        self._up = True
        player.out.append(CallTaken(self.call_id.decode("latin-1"), self._story.user, self._caller))
        self._unconfirmed = UnconfirmedAnswer(self._transaction, response, player.timers, self._no_ack, now)
        self.stand(dialog, flow, now)

    def _no_ack(self, now: float) -> None:
        self.end("no ACK", now)

    def cancelled(self, now: float) -> None:
        """The caller gave up."""
        if not self._up:
            self._transaction.respond(reply(self._transaction.request, 487, self._tag), now)
            self._miss()

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A request of the caller in this dialog."""
        self.take(transaction, now)

    def on_ack(self, now: float) -> None:
        self._confirm()

    # --- ClientUser, for requests of our own

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.on_later_response(transaction, response, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        if transaction.key[1] == b"BYE":
            self.end("no answer to BYE", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        if transaction.key[1] == b"BYE":
            self.end("unreachable", now)

    # --- the end

    def over(self, why: str, now: float) -> None:
        text = self.call_id.decode("latin-1")
        self._player.out.append(CallEnded(text, self._story.user, why, "", now - self.stood_at))
        self._forget()

    def _miss(self) -> None:
        text = self.call_id.decode("latin-1")
        self._player.out.append(CallMissed(text, self._story.user, self._caller))
        self._forget()

    def _confirm(self) -> None:
        if self._unconfirmed is not None:
            self._unconfirmed.confirm()
            self._unconfirmed = None

    def _forget(self) -> None:
        self._confirm()
        self._player.timers.arm(self, NEVER)
        if self._player.taken.get(self.call_id) is self:
            del self._player.taken[self.call_id]
