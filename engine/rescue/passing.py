"""Requests that go from one dialog of a conversation into the other: what DTMF, transfers and messages are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engine.rescue.errand import Errand
from engine.sip.message import Message, Response
from engine.sip.transactions import ServerTransaction
from engine.ua.parts import Block, reply

# Event = event-type *(SEMI event-param); event-param = ... / "id" EQUAL token (RFC 6665 §8.4)
_REFER = re.compile(rb"([^:]*:[ \t]*refer[ \t]*;(?:.*;)?[ \t]*id[ \t]*=[ \t]*)([0-9]{1,10})(.*)", re.IGNORECASE)
PASSED: Final = frozenset((b"INFO", b"MESSAGE", b"NOTIFY", b"REFER"))
_MOST_REFERRED: Final = 16  # transfers of one call that are reported on

# What belongs to the dialog, or to the hop. A node's challenge is for the agent behind us, and so are credentials.
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
        "server",
        "user-agent",
    )
)


def carried(message: Message) -> Block:
    """The header lines that go over into the other dialog."""
    pairs = [pair for pair in zip(message.names, message.lines, strict=True) if pair[0] not in _LEFT]
    return Block([name for name, _ in pairs], [line for _, line in pairs])


def told_of(notify: Block, referred: Mapping[int, int]) -> Block:
    """A NOTIFY of a transfer names the REFER by its CSeq number (RFC 3515 §2.4.6), which is another one here."""
    lines = list(notify.lines)
    for index, name in enumerate(notify.names):
        match = _REFER.fullmatch(lines[index]) if name == "event" else None
        if match is not None and int(match[2]) in referred:
            lines[index] = b"%b%d%b" % (match[1], referred[int(match[2])], match[3])
    return Block(notify.names, lines)


class PassedOn:
    """The user of a request that was passed on: its answer goes back.

    ``referred`` learns the number of a REFER in the dialog that it came from, by the one it was passed on with.
    """

    __slots__ = ("_referred", "_transaction")

    def __init__(self, transaction: ServerTransaction, referred: dict[int, int]) -> None:
        self._transaction = transaction
        self._referred = referred

    def went(self, errand: Errand) -> None:
        """It was sent: a NOTIFY may come before the answer (RFC 3515 §2.4.4)."""
        request = self._transaction.request
        if request.method == b"REFER" and errand.number not in self._referred:
            if len(self._referred) >= _MOST_REFERRED:
                del self._referred[next(iter(self._referred))]
            self._referred[errand.number] = request.cseq.number

    def on_answer(self, errand: Errand, response: Response, now: float) -> None:
        request = self._transaction.request
        answer = reply(request, response.status, b"", carried(response), response.body, response.reason)
        self._transaction.respond(answer, now)
        if request.method == b"REFER" and response.status < 300:
            errand.side.transferred = True
            self.went(errand)  # perhaps again, with another number
        else:
            self._referred.pop(errand.number, None)

    def on_failure(self, errand: Errand, why: str, now: float) -> None:
        self._referred.pop(errand.number, None)
        self._transaction.respond(reply(self._transaction.request, 504), now)  # RFC 4320 §4.2: never 408
