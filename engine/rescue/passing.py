"""Requests that go from one dialog of a conversation into the other: what DTMF, transfers and messages are."""

from __future__ import annotations

from typing import Final

from engine.rescue.errand import Errand
from engine.sip.message import Message, Response
from engine.sip.transactions import ServerTransaction
from engine.ua.parts import Block, reply

PASSED: Final = frozenset((b"INFO", b"MESSAGE", b"NOTIFY", b"REFER"))

# What belongs to the dialog, to the hop, or to whom the message was for.
_LEFT: Final = frozenset(
    (
        "via",
        "route",
        "record-route",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "content-length",
        "authorization",
        "proxy-authorization",
        "www-authenticate",
        "proxy-authenticate",
        "server",
        "user-agent",
    )
)


def carried(message: Message) -> Block:
    """The header lines that go over into the other dialog."""
    pairs = [pair for pair in zip(message.names, message.lines, strict=True) if pair[0] not in _LEFT]
    return Block([name for name, _ in pairs], [line for _, line in pairs])


class PassedOn:
    """The user of a request that was passed on: its answer goes back."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: ServerTransaction) -> None:
        self._transaction = transaction

    def on_answer(self, errand: Errand, response: Response, now: float) -> None:
        request = self._transaction.request
        answer = reply(request, response.status, b"", carried(response), response.body, response.reason)
        self._transaction.respond(answer, now)
        if request.method == b"REFER" and response.status < 300:
            errand.side.transferred = True

    def on_failure(self, errand: Errand, why: str, now: float) -> None:
        self._transaction.respond(reply(self._transaction.request, 504), now)  # RFC 4320 §4.2: never 408
