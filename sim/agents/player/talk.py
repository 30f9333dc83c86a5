"""A call of a player once it stands: what it says by itself, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from engine.boundary import NEVER, Flow, Send
from engine.sip.errors import SipError
from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction, ServerTransaction
from engine.timers import Timed
from engine.ua.dialog import Dialog
from engine.ua.parts import Block, block, reply
from sim.agents.player.script import Said

if TYPE_CHECKING:
    from sim.agents.player.machine import Player

GRACE_S: Final = 1.0
"""Where the far end hung up then, it gets so long to do it again before the agent does."""

_OF_THE_DIALOG: Final = frozenset(
    ("via", "route", "record-route", "max-forwards", "from", "to", "call-id", "cseq", "content-length")
)
_DESCRIPTION: Final = block(b"Content-Type: application/sdp")


class Talk(Timed):
    """Its timer is the next of the agent's own requests, or the end."""

    __slots__ = ("_dialog", "_flow", "_hold_s", "_left", "_player", "body", "call_id", "stood_at")

    def __init__(self, player: Player, in_dialog: Sequence[Said], hold_s: float | None) -> None:
        super().__init__()
        self._player = player
        self._left = list(in_dialog)
        self._hold_s = hold_s
        self._dialog: Dialog | None = None
        self._flow: Flow = player.way
        self.call_id = b""
        self.stood_at = 0.0
        self.body = b""  # our session description, as last sent

    def stand(self, dialog: Dialog, flow: Flow, now: float) -> None:
        """The call is up: say what there is to say."""
        self._dialog, self._flow, self.stood_at = dialog, flow, now
        self._next(now)

    def go_on(self, now: float) -> None:
        """The timer came up: the next request, or the hang-up that was the far end's."""
        dialog = self._dialog
        if dialog is None:
            return
        if not self._left:
            self._bye(dialog, now)
            return
        said = self._left.pop(0)
        request = self._request(dialog, said.data)
        if request is not None:
            self._player.layer.send(request, self._flow, self, now)  # type: ignore[arg-type]  # its heirs are one
        if request is None or request.method != b"BYE":
            self._next(now)

    def _next(self, now: float) -> None:
        if self._left:
            due = self.stood_at + self._left[0].after_s
        elif self._hold_s is not None:
            due = self.stood_at + self._hold_s + GRACE_S
        else:
            due = self.stood_at + self._player.script.usual_hold_s
        self._player.timers.arm(self, max(due, now))

    def _request(self, dialog: Dialog, data: bytes) -> Request | None:
        """A recorded request of this dialog, with what the far side decides taken from this world."""
        try:
            recorded = parse_datagram(data)
        except SipError:
            return None
        if not isinstance(recorded, Request):
            return None
        kept = [
            (name, line)
            for name, line in zip(recorded.names, recorded.lines, strict=True)
            if name not in _OF_THE_DIALOG
        ]
        headers = Block([name for name, _ in kept], [line for _, line in kept])
        number = dialog.local_number = max(recorded.cseq.number, dialog.local_number + 1)
        via = b"Via: " + recorded.first("via")
        return dialog.request(recorded.method, via, number, headers, recorded.body)

    def _bye(self, dialog: Dialog, now: float) -> None:
        request = dialog.request(b"BYE", self._player.via_line(), dialog.next_number())
        self._player.timers.arm(self, NEVER)
        self._player.layer.send(request, self._flow, self, now)  # type: ignore[arg-type]  # its heirs are one

    def on_later_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """An answer to a request of the dialog."""
        method, status = transaction.key[1], response.status
        if method == b"BYE" and status >= 200:
            self.end("hung up" if status < 300 else str(status), now)
        elif method == b"INVITE" and 200 <= status < 300 and self._dialog is not None:
            ack = self._dialog.request(b"ACK", self._player.via_line(), response.cseq.number)
            self._player.out.append(Send(self._flow, bytes(ack)))

    def take(self, transaction: ServerTransaction, now: float) -> None:
        """A request of the far end in this dialog."""
        request = transaction.request
        if request.method == b"INVITE":  # the session goes on as it was
            headers = _DESCRIPTION if self.body else block()
            transaction.respond(reply(request, 200, headers=headers, body=self.body), now)
            return
        transaction.respond(reply(request, 200), now)
        if request.method == b"BYE":
            self.end("far end hung up", now)

    def on_ack(self, now: float) -> None:
        """The far end has our 2xx."""

    def end(self, why: str, now: float) -> None:
        """The call is over, once."""
        if self._dialog is not None:
            self._dialog = None
            self._player.timers.arm(self, NEVER)
            self.over(why, now)

    def over(self, why: str, now: float) -> None:
        """What an heir does at the end."""
        raise NotImplementedError
