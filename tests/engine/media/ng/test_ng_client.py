"""Orders to rtpengines: each ends once, by its answer or for lack of one, whatever else comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.boundary import Close
from engine.media.ng.client import Silence
from engine.media.ng.settings import NgConfig
from engine.media.ng.wire import read_message, write_message
from engine.notes import RelayAnswersDropped
from tests.engine.media.ng.servers import ONE, PONG, TWO, Bench, control, result, silent

OVER_TCP = replace(ONE, transport="tcp")


def test_an_answer_ends_its_order_and_comes_once() -> None:
    bench = Bench()
    bench.order()
    (send,) = bench.sent()
    assert send.flow == control(ONE.address)
    bench.answer(send)
    bench.answer(send)
    assert [result(outcome) for outcome in bench.ended] == [b"pong"]
    assert len(bench.client) == 0
    bench.run(5.0)
    assert bench.sent() == []


def test_an_order_is_repeated_under_its_cookie_until_its_time_is_over() -> None:
    bench = Bench()
    bench.order()
    bench.run(0.99)
    sent = bench.sent()
    assert len(sent) == 4
    assert len({send.data for send in sent}) == 1
    assert bench.ended == []
    bench.run(1.0)
    assert silent(bench.ended[0]) == "no answer in time"
    bench.answer(sent[0])
    assert len(bench.ended) == 1


def test_cookies_differ_and_cannot_be_guessed() -> None:
    bench = Bench()
    for _ in range(100):
        bench.order()
    cookies = {read_message(send.data).cookie for send in bench.sent()}
    assert len(cookies) == 100
    assert all(len(cookie) == 32 for cookie in cookies)


def test_icmp_ends_what_waits_for_that_server_and_nothing_else() -> None:
    bench = Bench()
    bench.order(ONE)
    bench.order(TWO)
    bench.client.unreachable(control(ONE.address), "refused", 0.0)
    assert bench.ended == [Silence("refused", gone=True)]
    assert len(bench.client) == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no cookie"),
        (b"\xff" * 60, "no cookie"),
        (b"c d6:result4:pong", "cut off"),
        (b"c " + b"l" * 60_000, "nested too deeply"),
        (b"c i1e", "no dictionary"),
        (b"c d6:result4:ponge", "answer to no order, or to one that is over"),
        (b"c " + b"x" * 70_000, "longer than is taken"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_belongs_to_no_order_is_counted_and_told_once_a_second(data: bytes, why: str) -> None:
    bench = Bench()
    bench.order()
    for _ in range(50):
        bench.client.datagram(control(ONE.address), data, 0.0)
    assert bench.ended == []
    bench.run(1.0)
    assert RelayAnswersDropped("control", why, 50) in bench.notes()


def test_a_stranger_with_the_right_cookie_is_not_believed() -> None:
    bench = Bench()
    bench.order()
    (send,) = bench.sent()
    bench.answer(send, peer=("127.0.0.9", 2_223))
    bench.answer(send, peer=(ONE.host, 2_224))
    assert bench.ended == []
    bench.answer(send)
    assert len(bench.ended) == 1


def test_a_server_known_by_name_answers_from_whatever_address_that_has() -> None:
    bench = Bench()
    bench.order(replace(ONE, host="relay.example.org"))
    (send,) = bench.sent()
    bench.answer(send, peer=("192.0.2.1", 2_223))
    assert len(bench.ended) == 1


def test_orders_that_wait_are_bounded() -> None:
    bench = Bench(config=NgConfig(servers=(ONE,), pending=3))
    for _ in range(5):
        bench.order()
    assert [silent(outcome) for outcome in bench.ended] == ["too many orders wait"] * 2


def test_over_tcp_nothing_is_repeated_and_answers_come_in_pieces() -> None:
    bench = Bench()
    bench.order(OVER_TCP)
    bench.order(OVER_TCP)
    bench.run(0.9)
    sends = bench.sent()
    assert len(sends) == 2
    assert sends[0].flow.interface == "control-tcp"
    answers = b"".join(write_message(read_message(send.data).cookie, PONG) for send in sends)
    for octet in answers:
        bench.client.stream_data(control(ONE.address, 7), bytes((octet,)), 0.0)
    assert [result(outcome) for outcome in bench.ended] == [b"pong", b"pong"]


def test_a_connection_that_ends_or_makes_no_sense_ends_what_was_asked_over_it() -> None:
    for nonsense in (False, True):
        bench = Bench()
        bench.order(OVER_TCP)
        flow = control(ONE.address, 7)
        if nonsense:
            bench.client.stream_data(flow, b"HTTP/1.1 400 Bad Request\r\n", 0.0)
            assert Close(flow) in bench.out
        else:
            bench.client.stream_closed(flow, "reset", 0.0)
        assert silent(bench.ended[0]) == ("not understood" if nonsense else "reset")
