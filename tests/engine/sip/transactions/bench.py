"""The transaction layer alone, a user that only keeps what it is told, and a clock that stops at deadlines."""

from __future__ import annotations

from engine.boundary import Effect, Flow, Send
from engine.config import TimersConfig
from engine.sip.framing import parse_datagram
from engine.sip.message import Request, Response, respond
from engine.sip.transactions import ClientTransaction, ServerTransaction, TransactionLayer
from engine.timers import TimerQueue
from tests.engine.wire import Wire, message

UDP = Flow("udp", ("198.51.100.7", 5060))
TCP = Flow("tcp", ("198.51.100.7", 40_000), 1)


class Bench:
    """A transaction layer, and its user at the same time."""

    def __init__(self, config: TimersConfig | None = None) -> None:
        self.now = 0.0
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        self.layer = TransactionLayer(
            self, self.out, self.timers, config or TimersConfig(), lambda interface: interface == "tcp"
        )
        self.requests: list[ServerTransaction] = []
        self.acks: list[Request] = []
        self.strays: list[int] = []
        self.answers: list[int] = []  # statuses passed up to the user of a client transaction
        self.failures: list[str] = []  # "time-out" or "unreachable: ..."
        self.sent: list[Wire] = []

    # --- the user

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        self.requests.append(transaction)

    def on_ack(self, request: Request, flow: Flow, now: float) -> None:
        self.acks.append(request)

    def on_stray_response(self, response: Response, flow: Flow, now: float) -> None:
        self.strays.append(response.status)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.answers.append(response.status)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self.failures.append("time-out")

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self.failures.append(f"unreachable: {reason}")

    # --- what happens

    def collect(self) -> None:
        self.sent += [Wire(each.data, each.flow, self.now) for each in self.out if isinstance(each, Send)]
        self.out.clear()

    def client(self, method: str = "INVITE", flow: Flow = UDP, branch: str = "z9hG4bKc1") -> ClientTransaction:
        transaction = self.layer.send(read_request(request(method, branch=branch)), flow, self, self.now)
        self.collect()
        return transaction

    def server(self, method: str = "INVITE", flow: Flow = UDP) -> ServerTransaction:
        self.receive(request(method), flow)
        return self.requests[-1]

    def receive(self, data: bytes, flow: Flow = UDP) -> None:
        parsed = parse_datagram(data)
        assert parsed is not None
        self.layer.receive(parsed, flow, self.now)
        self.collect()

    def answer(self, transaction: ServerTransaction, status: int) -> None:
        transaction.respond(respond(transaction.request, status, b"", b"tag1"), self.now)
        self.collect()

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while (deadline := self.timers.deadline()) <= until:
            self.now = max(self.now, deadline)
            self.timers.fire_due(self.now)
            self.collect()
        self.now = until

    def times(self, start: str) -> list[float]:
        """When messages were sent whose first line begins so."""
        return [wire.at for wire in self.sent if wire.start.startswith(start)]


def request(method: str, *, branch: str = "z9hG4bKc1", cseq: int = 1, to_tag: str = "", **parts: str) -> bytes:
    uri = parts.get("uri", "sip:bob@example.com")
    to = "<sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else "")
    via = f"SIP/2.0/UDP {parts.get('sent_by', 'client.example.com')}" + (f";branch={branch}" if branch else "")
    return message(
        f"{method} {uri} SIP/2.0",
        f"Via: {via}",
        f"From: <sip:alice@example.com>;tag={parts.get('from_tag', 'a')}",
        f"To: {to}",
        f"Call-ID: {parts.get('call_id', 'one')}",
        f"CSeq: {cseq} {method}",
    )


def response(status: int, method: str = "INVITE", *, branch: str = "z9hG4bKc1", cseq_method: str = "") -> bytes:
    return message(
        f"SIP/2.0 {status} So",
        f"Via: SIP/2.0/UDP client.example.com;branch={branch}",
        "From: <sip:alice@example.com>;tag=a",
        f"To: <sip:bob@example.com>;tag=t{status}",
        "Call-ID: one",
        f"CSeq: 1 {cseq_method or method}",
    )


def read_request(data: bytes) -> Request:
    parsed = parse_datagram(data)
    assert isinstance(parsed, Request)
    return parsed


def read_response(data: bytes) -> Response:
    parsed = parse_datagram(data)
    assert isinstance(parsed, Response)
    return parsed
