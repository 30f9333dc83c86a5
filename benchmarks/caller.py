"""A caller with an exact clock, for questions about delay: SIPp's ticks in 4 ms and sends in bursts.

A user agent client of RFC 3261 that places calls at even intervals on one socket: INVITE (repeated by timer A
until something comes back, given up by timer B), ACK, a short hold, BYE (timers E and F).
"""

from __future__ import annotations

import heapq
import itertools
import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.ground import CALLER, PROXY
from benchmarks.sipp import SOCKET_BUFFER_BYTES

T1_S, T2_S = 0.5, 4.0
GIVE_UP_S = 64 * T1_S  # timers B and F

_HEADER = re.compile(rb"^([^\s:]+)\s*:\s*(.*?)\s*$", re.MULTILINE)
_URI = re.compile(rb"<([^>]*)>")


@dataclass(slots=True)
class Call:
    """What one call saw; times are of ``time.monotonic``, None where it never came to that."""

    number: int
    placed_s: float
    first_answer_s: float | None = None  # the first 180 or 2xx
    status: int = 0  # of the final answer to INVITE; 408 where none came, 0 while none has
    bye_answered: bool | None = None
    target: str = ""  # remote target and route set, once there is a dialog
    routes: str = ""
    to: str = ""
    acked: bool = False

    @property
    def delay_s(self) -> float | None:
        return None if self.first_answer_s is None else self.first_answer_s - self.placed_s

    @property
    def over(self) -> bool:
        return bool(self.status >= 300 or self.bye_answered is not None)


@dataclass
class Caller:
    """Places calls at ``rate_per_s``; orders given by ``at`` are carried out between them."""

    rate_per_s: float
    hold_s: float = 0.3
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._began_s = time.monotonic()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        self._socket.bind(CALLER)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def at(self, moment_s: float, action: Callable[[], None]) -> None:
        """Carry this out ``moment_s`` seconds after the first call."""
        self._plan(moment_s - (time.monotonic() - self._began_s), action)

    def run(self, duration_s: float) -> None:
        """Place calls for so long, then wait until each is over, or given up."""
        self._began_s = time.monotonic()
        end_s = self._began_s + duration_s
        self._next_call(self._began_s, end_s)
        last_s = end_s + GIVE_UP_S + self.hold_s + GIVE_UP_S
        while (now := time.monotonic()) < last_s:
            while self._agenda and self._agenda[0][0] <= now:
                heapq.heappop(self._agenda)[2]()
            if now > end_s and all(call.over for call in self.calls):
                return
            wait_s = max(0.0, self._agenda[0][0] - time.monotonic()) if self._agenda else 0.1
            if select.select([self._socket], [], [], min(wait_s, 0.1))[0]:
                self._receive_all()

    def _plan(self, in_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + in_s, next(self._order), action))

    def _next_call(self, due_s: float, end_s: float) -> None:
        call = Call(number=len(self.calls), placed_s=time.monotonic())
        self.calls.append(call)
        self._send_invite(call, T1_S)
        following_s = due_s + 1 / self.rate_per_s
        if following_s < end_s:
            self._plan(following_s - time.monotonic(), lambda: self._next_call(following_s, end_s))

    def _send_invite(self, call: Call, interval_s: float) -> None:
        if call.status:  # 100 too: it stops timer A
            return
        if time.monotonic() - call.placed_s >= GIVE_UP_S:
            call.status = 408
            return
        self._send(call, "INVITE", f"sip:9196@{PROXY}", f"<sip:9196@{PROXY}>")
        self._plan(interval_s, lambda: self._send_invite(call, 2 * interval_s))

    def _send_bye(self, call: Call, interval_s: float, give_up_at_s: float) -> None:
        if call.bye_answered is not None:
            return
        if time.monotonic() >= give_up_at_s:
            call.bye_answered = False
            return
        self._send(call, "BYE", call.target, call.to, call.routes)
        self._plan(interval_s, lambda: self._send_bye(call, min(2 * interval_s, T2_S), give_up_at_s))

    def _send(self, call: Call, method: str, uri: str, to: str, routes: str = "") -> None:
        here = str(CALLER)
        # The ACK of a failure belongs to the INVITE's transaction (RFC 3261 §17.1.1.3), that of a 2xx does not.
        own = method == "BYE" or (method == "ACK" and call.acked)
        text = (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{call.number}{method if own else ''};rport\r\n"
            f"{routes}From: <sip:1000@{here}>;tag=c{call.number}\r\nTo: {to}\r\n"
            f"Call-ID: {call.number}@{CALLER.host}\r\nCSeq: {2 if method == 'BYE' else 1} {method}\r\n"
            f"Contact: <sip:1000@{here}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        self._socket.sendto(text.encode(), PROXY)

    def _receive_all(self) -> None:
        while True:
            try:
                data = self._socket.recv(65_535)
            except OSError:  # nothing more, or an ICMP error of something sent before
                return
            if data.startswith(b"SIP/2.0 "):
                self._receive(data, time.monotonic())

    def _receive(self, data: bytes, now: float) -> None:
        status = int(data[8:11])
        headers: dict[bytes, list[bytes]] = {}
        for name, value in _HEADER.findall(data.partition(b"\r\n\r\n")[0].partition(b"\r\n")[2]):
            headers.setdefault(name.lower(), []).append(value)
        call = self.calls[int(headers[b"call-id"][0].partition(b"@")[0])]
        if headers[b"cseq"][0].endswith(b"BYE"):
            if status >= 200:
                call.bye_answered = status < 300
            return
        if (status == 180 or 200 <= status < 300) and call.first_answer_s is None:
            call.first_answer_s = now
        if status < 200:
            call.status = call.status or 100
            return
        self._final(call, status, headers)

    def _final(self, call: Call, status: int, headers: dict[bytes, list[bytes]]) -> None:
        first, call.status = call.status < 200, status
        call.to = headers[b"to"][0].decode()
        if status >= 300:
            self._send(call, "ACK", f"sip:9196@{PROXY}", call.to)
            return
        call.acked = True
        target = _URI.search(headers[b"contact"][0])
        call.target = target[1].decode() if target else ""
        recorded = reversed(headers.get(b"record-route", []))
        call.routes = "".join(f"Route: {route.decode()}\r\n" for route in recorded)
        self._send(call, "ACK", call.target, call.to, call.routes)
        if first:
            self._plan(self.hold_s, lambda: self._send_bye(call, T1_S, time.monotonic() + GIVE_UP_S))
