"""Which message belongs to which transaction (RFC 3261 §17.1.3, §17.2.3, §9.2)."""

from __future__ import annotations

import pytest

from engine.boundary import Flow
from tests.engine.sip.transactions.bench import Bench, read_request, request, response

BRANCHES = pytest.mark.parametrize(
    "branch", ["z9hG4bKabc", "abc", "z9hG4bK", ""], ids=["RFC 3261", "RFC 2543", "cookie alone", "none"]
)


@BRANCHES
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_repeated_request_meets_its_transaction(method: str, branch: str) -> None:
    bench = Bench()
    bench.receive(request(method, branch=branch))
    bench.receive(request(method, branch=branch))
    assert len(bench.requests) == 1


@BRANCHES
def test_the_ack_of_a_failure_meets_the_invite(branch: str) -> None:
    bench = Bench()
    bench.receive(request("INVITE", branch=branch))
    bench.answer(bench.requests[0], 486)
    bench.receive(request("ACK", branch=branch, to_tag="tag1"))
    assert bench.requests[0].state == "confirmed"
    assert bench.acks == []


@BRANCHES
def test_a_cancel_finds_its_invite(branch: str) -> None:
    bench = Bench()
    bench.receive(request("INVITE", branch=branch))
    assert bench.layer.invite_of(read_request(request("CANCEL", branch=branch))) is bench.requests[0]
    bench.receive(request("CANCEL", branch=branch))
    assert [each.request.method for each in bench.requests] == [b"INVITE", b"CANCEL"]  # a transaction of its own


@pytest.mark.parametrize(
    "other",
    [
        {"branch": "z9hG4bKother"},
        {"sent_by": "elsewhere.example.com"},
        {"sent_by": "client.example.com:5070"},
    ],
    ids=str,
)
def test_another_branch_or_sent_by_is_another_transaction(other: dict[str, str]) -> None:
    bench = Bench()
    bench.receive(request("INVITE"))
    bench.receive(request("INVITE", **other))  # type: ignore[arg-type]  # all of them are text
    assert len(bench.requests) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"cseq": 2},
        {"call_id": "two"},
        {"from_tag": "b"},
        {"uri": "sip:carol@example.com"},
        {"sent_by": "elsewhere.example.com"},
    ],
    ids=str,
)
def test_rfc_2543_tells_requests_apart_by_all_that_identifies_them(other: dict[str, str]) -> None:
    bench = Bench()
    bench.receive(request("INVITE", branch="1"))
    bench.receive(request("INVITE", branch="1", **other))  # type: ignore[arg-type]  # number or text
    assert len(bench.requests) == 2


def test_an_ack_without_its_invite_is_the_users() -> None:
    """The ACK of a 2xx has a branch of its own."""
    bench = Bench()
    bench.answer(bench.server("INVITE"), 200)
    bench.receive(request("ACK", branch="z9hG4bKown"))
    assert len(bench.acks) == 1


def test_the_ack_of_a_2xx_under_the_branch_of_its_invite_is_the_users_too() -> None:
    """So do clients of RFC 2543, and some of today."""
    bench = Bench()
    bench.answer(bench.server("INVITE"), 200)
    bench.receive(request("ACK"))
    assert len(bench.acks) == 1


def test_an_ack_that_comes_too_early_is_dropped() -> None:
    bench = Bench()
    transaction = bench.server("INVITE")
    bench.receive(request("ACK"))
    assert transaction.state == "proceeding"
    assert bench.acks == []


def test_a_response_is_matched_by_branch_and_method() -> None:
    bench = Bench()
    bench.client("INVITE")
    bench.receive(response(200, branch="z9hG4bKother"))
    bench.receive(response(200, cseq_method="CANCEL"))
    assert bench.answers == []
    assert bench.strays == [200, 200]
    bench.receive(response(200))
    assert bench.answers == [200]


def test_a_response_may_come_from_another_address() -> None:
    bench = Bench()
    bench.client("INVITE")
    bench.receive(response(200), Flow("udp", ("203.0.113.9", 1234)))
    assert bench.answers == [200]


def test_a_response_after_the_end_is_a_stray() -> None:
    bench = Bench()
    bench.client("OPTIONS")
    bench.advance(32)
    bench.receive(response(200, "OPTIONS"))
    assert bench.strays == [200]


def test_what_cannot_arrive_fails_those_who_wait_there_and_no_others() -> None:
    bench = Bench()
    bench.client("INVITE", branch="z9hG4bK1")
    bench.client("OPTIONS", branch="z9hG4bK2")
    bench.client("INVITE", Flow("udp", ("198.51.100.8", 5060)), branch="z9hG4bK3")
    bench.client("OPTIONS", branch="z9hG4bK4")
    bench.receive(response(200, "OPTIONS", branch="z9hG4bK4"))
    bench.layer.unreachable(Flow("udp", ("198.51.100.7", 5060)), "refused", bench.now)
    assert bench.failures == ["unreachable: refused"] * 2
    assert len(bench.layer) == 2


def test_the_ack_of_a_failure_is_built_from_the_invite_and_the_response() -> None:
    """§17.1.1.3: Request-URI, Call-ID, From, top Via and Route of the INVITE, To of the response."""
    bench = Bench()
    route = b"\r\nRoute: <sip:p.example.com;lr>\r\nFrom"
    invite = request("INVITE", branch="z9hG4bKx").replace(b"\r\nFrom", route)
    invite = invite.replace(b"\r\nFrom", b"\r\nVia: SIP/2.0/UDP second.example.com;branch=z9hG4bKy\r\nFrom", 1)
    bench.layer.send(read_request(invite), Flow("udp", ("198.51.100.7", 5060)), bench, 0.0)
    bench.receive(response(486, branch="z9hG4bKx"))
    ack = bench.sent[-1]
    assert ack.start == "ACK sip:bob@example.com SIP/2.0"
    assert ack.all("via") == ["SIP/2.0/UDP client.example.com;branch=z9hG4bKx"]
    assert ack["from"] == "<sip:alice@example.com>;tag=a"
    assert ack["to"] == "<sip:bob@example.com>;tag=t486"
    assert ack["call-id"] == "one"
    assert ack["cseq"] == "1 ACK"
    assert ack.all("route") == ["<sip:p.example.com;lr>"]
