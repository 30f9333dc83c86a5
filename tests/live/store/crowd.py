"""Phones, callers and one node as plain sockets: what a restart of the edge looks like from outside.

They do as RFC 3261 says of lost messages (timers A, E), and nothing else: each asks the edge, and counts.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.boundary import Flow
from tests.engine.wire import Wire, message, reply, uri_of

T1_S, T2_S = 0.5, 4.0
_NOWHERE = Flow("", ("", 0))


class Party(asyncio.DatagramProtocol):
    """One socket that asks and answers."""

    def __init__(self, edge: tuple[str, int]) -> None:
        self.edge = edge
        self.here = ""
        self.heard: list[Wire] = []
        self._transport: asyncio.DatagramTransport
        self._waiting: dict[str, asyncio.Future[Wire]] = {}
        self._numbers = itertools.count(1)

    async def open(self, host: str, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        name = self._transport.get_extra_info("sockname")
        self.here = f"{name[0]}:{name[1]}"

    def close(self) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        wire = Wire(data, _NOWHERE, 0.0)
        if not data.strip():
            return
        if wire.is_request:
            answer = self.answer(wire)
            if answer:
                self._transport.sendto(answer, address)
        elif wire.status >= 200:
            waiting = self._waiting.get(wire.branch)
            if waiting is not None and not waiting.done():
                waiting.set_result(wire)

    def error_received(self, _error: Exception) -> None:
        """The edge is away: what was sent is repeated."""

    def answer(self, request: Wire) -> bytes:
        if request.method == "ACK":
            return b""
        self.heard.append(request)
        return reply(request, 200, f"Contact: <sip:{self.here}>", tag="t")

    def send(self, method: str, uri: str, *lines: str) -> str:
        """Send a request once; the result is its branch."""
        branch = f"z9hG4bK{next(self._numbers)}.{self.here}"
        self._send(branch, method, uri, lines)
        return branch

    def _send(self, branch: str, method: str, uri: str, lines: tuple[str, ...]) -> None:
        via = f"Via: SIP/2.0/UDP {self.here};branch={branch};rport"
        self._transport.sendto(message(f"{method} {uri} SIP/2.0", via, "Max-Forwards: 70", *lines), self.edge)

    async def ask(self, method: str, uri: str, *lines: str, patience_s: float = 32.0) -> Wire | None:
        """Send a request until its final response comes; None where none does."""
        branch = self.send(method, uri, *lines)
        waiting = self._waiting[branch] = asyncio.get_running_loop().create_future()
        interval_s = T1_S
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    try:
                        return await asyncio.wait_for(asyncio.shield(waiting), interval_s)
                    except TimeoutError:
                        if waiting.done():
                            return waiting.result()
                        self._send(branch, method, uri, lines)
                        interval_s = min(2 * interval_s, T2_S)
        except TimeoutError:
            return None
        finally:
            del self._waiting[branch]


class Node(Party):
    """Stores what registers, and answers every call."""

    def __init__(self, edge: tuple[str, int]) -> None:
        super().__init__(edge)
        self.contacts: dict[str, str] = {}  # by Call-ID of the REGISTER

    def answer(self, request: Wire) -> bytes:
        if request.method != "REGISTER":
            return super().answer(request)
        self.contacts[request["call-id"]] = stored = uri_of(request["contact"])
        return reply(request, 200, f"Contact: <{stored}>;expires=600", tag="n")


@dataclass
class Call:
    """One call as its caller sees it."""

    call_id: str
    routes: list[str] = field(default_factory=list)
    to: str = ""
    target: str = ""
    cseq: int = 1

    @property
    def up(self) -> bool:
        return bool(self.target)


class Callers(Party):
    """Users who call a number at the edge."""

    def __init__(self, edge: tuple[str, int]) -> None:
        super().__init__(edge)
        self._calls = itertools.count(1)

    async def call(self) -> Call:
        """INVITE, 200, ACK; a call that failed is not up."""
        call = Call(f"call{next(self._calls)}.{self.here}")
        uri = f"sip:9196@{self.edge[0]}"
        to = f"<{uri}>"
        answer = await self.ask("INVITE", uri, *self._head(call, "INVITE", to))
        if answer is not None and answer.status == 200:
            call.to = answer["to"]
            call.target = uri_of(answer["contact"])
            call.routes = [f"Route: {route}" for route in reversed(answer.all("record-route"))]
            self.send("ACK", call.target, *call.routes, *self._head(call, "ACK", call.to))
        return call

    async def within(self, call: Call, method: str) -> bool:
        """BYE or re-INVITE; whether it was answered 200."""
        call.cseq += 1
        answer = await self.ask(method, call.target, *call.routes, *self._head(call, method, call.to))
        if method == "INVITE" and answer is not None and answer.status == 200:
            self.send("ACK", call.target, *call.routes, *self._head(call, "ACK", call.to))
        return answer is not None and answer.status == 200

    def _head(self, call: Call, method: str, to: str) -> list[str]:
        return [
            f"From: <sip:1000@{self.here}>;tag=f",
            f"To: {to}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {call.cseq} {method}",
            f"Contact: <sip:1000@{self.here}>",
        ]


class Phones(Party):
    """Many registered users on one socket."""

    async def register(self, user: str, cseq: int = 1) -> bool:
        """Whether the registration was acknowledged."""
        aor = f"sip:{user}@lab.test"
        answer = await self.ask(
            "REGISTER",
            "sip:lab.test",
            f"From: <{aor}>;tag=r",
            f"To: <{aor}>",
            f"Call-ID: {user}",
            f"CSeq: {cseq} REGISTER",
            f"Contact: <{self.contact(user)}>",
            "Expires: 600",
        )
        return answer is not None and answer.status == 200

    def contact(self, user: str) -> str:
        """Too long for a token, so that nobody but the store can know it after a restart."""
        return f"sip:{user}@{self.here};note={'n' * 220}"

    def reached(self, user: str) -> bool:
        """Whether a request came for this user."""
        return any(request.uri == self.contact(user) for request in self.heard)


async def at_rate(per_s: float, seconds: float, action: Callable[[], object]) -> None:
    """Do something so often for so long; a late loop catches up."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(round(per_s * seconds)):
        await asyncio.sleep(max(began + number / per_s - loop.time(), 0.0))
        action()
