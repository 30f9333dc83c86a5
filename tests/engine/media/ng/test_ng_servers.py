"""Several rtpengines: who is chosen, who is believed to live, and what an operator orders."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from engine.media.ng.servers import REMOVED
from engine.media.ng.settings import NgConfig, NgServerConfig
from engine.nodes import state
from engine.notes import RelayStateChanged
from tests.engine.media.ng.servers import ONE, TWO, Bench, control


def taken(bench: Bench, calls: int) -> Counter[str]:
    """Whose the next calls are."""
    found: Counter[str] = Counter()
    for _ in range(calls):
        server = bench.servers.choose()
        assert server is not None
        server.calls += 1
        found[server.name] += 1
    return found


def started(*servers: NgServerConfig) -> Bench:
    bench = Bench(*servers)
    bench.servers.start(0.0)
    return bench


def test_calls_are_shared_by_weight() -> None:
    assert taken(Bench(ONE, replace(TWO, weight=3)), 400) == {"one": 100, "two": 300}
    assert taken(Bench(ONE, replace(TWO, weight=0)), 10) == {"one": 10}


def test_one_that_was_tried_is_passed_over() -> None:
    bench = Bench()
    server = bench.servers.choose({"one"})
    assert server is not None
    assert server.name == "two"
    assert bench.servers.choose({"one", "two"}) is None


def test_a_silent_server_is_down_after_two_pings_and_back_after_two() -> None:
    bench = started()
    bench.live(3.0)
    began = bench.now
    bench.live(began + 1.5, "two")
    assert bench.died == ["two"]
    assert taken(bench, 4) == {"one": 4}
    two = bench.servers.get("two")
    assert two is not None
    bench.live(began + 2.0, "two")
    assert two.state == state.DOWN
    bench.live(began + 3.5)
    assert two.state == state.ACTIVE
    changes = [(note.before, note.after) for note in bench.notes() if isinstance(note, RelayStateChanged)]
    assert changes == [
        (state.ACTIVE, state.SUSPECT),
        (state.SUSPECT, state.DOWN),
        (state.DOWN, state.RETURNING),
        (state.RETURNING, state.ACTIVE),
    ]


def test_icmp_is_believed_at_once() -> None:
    bench = started()
    bench.live(2.0)
    bench.run(bench.now + 0.5)
    bench.client.unreachable(control(TWO.address), "refused", bench.now)
    assert bench.died == ["two"]


def test_a_suspect_one_serves_where_no_other_can() -> None:
    bench = Bench(ONE)
    one = bench.servers.get("one")
    assert one is not None
    bench.servers.order(one, {"command": "offer"}, lambda *_: None, 0.0)
    bench.run(1.0)
    assert one.state == state.SUSPECT
    assert bench.servers.choose() is one


def test_an_order_without_answer_has_its_server_pinged_at_once() -> None:
    bench = Bench(config=NgConfig(servers=(ONE,), ping_interval_s=100.0))
    bench.servers.start(0.0)
    one = bench.servers.get("one")
    assert one is not None
    bench.servers.order(one, {"command": "offer"}, lambda *_: None, 0.0)
    bench.run(0.99)
    assert bench.sent("ping") == []
    bench.run(1.0)
    assert bench.sent("ping")


def test_a_server_that_drains_takes_nothing_new_and_is_watched_on() -> None:
    bench = started()
    assert bench.servers.instruct("two", "drain", 0.0)
    bench.live(3.0)
    assert taken(bench, 3) == {"one": 3}
    two = bench.servers.get("two")
    assert two is not None
    assert two.state == "draining"
    bench.live(6.0, "two")
    assert bench.died == ["two"]
    assert two.state == state.DOWN
    bench.live(9.0)
    assert two.state == "draining"
    assert bench.servers.instruct("two", "resume", bench.now)
    assert taken(bench, 4)["two"] > 0


def test_a_disabled_server_is_not_even_pinged() -> None:
    bench = started(ONE, replace(TWO, enabled=False))
    bench.run(2.0)
    assert {send.flow.peer[0] for send in bench.sent("ping")} == {ONE.host}
    assert bench.servers.instruct("two", "enable", bench.now)
    bench.run(4.0)
    assert TWO.host in {send.flow.peer[0] for send in bench.sent("ping")}


def test_an_order_to_a_server_that_is_not_there_is_nobodys() -> None:
    assert not Bench().servers.instruct("three", "drain", 0.0)


def test_a_server_that_has_moved_is_pinged_at_its_old_address_while_it_has_calls_there() -> None:
    bench = started()
    two = bench.servers.get("two")
    assert two is not None
    two.calls = 1
    moved = replace(TWO, host="127.0.0.9")
    bench.servers.replace(NgConfig(servers=(ONE, moved)), bench.now)

    def pinged(until_s: float) -> set[str]:
        bench.sent()
        bench.run(until_s)
        return {send.flow.peer[0] for send in bench.sent("ping")}

    assert pinged(3.0) == {ONE.host, TWO.host, moved.host}
    bench.servers.lost(two)
    pinged(5.0)  # one is under way
    assert pinged(10.0) == {ONE.host, moved.host}


@pytest.mark.parametrize("calls", [0, 5])
def test_new_settings_keep_what_stays_and_drain_what_goes(calls: int) -> None:
    bench = started()
    two = bench.servers.get("two")
    assert two is not None
    two.calls = calls
    three = NgServerConfig(name="three", host="127.0.0.3")
    bench.servers.replace(NgConfig(servers=(replace(ONE, weight=2), three)), 0.0)
    assert [snapshot.name for snapshot in bench.servers.snapshot()] == ["one", "three", *(["two"] * bool(calls))]
    assert set(taken(bench, 30)) == {"one", "three"}


def test_one_that_goes_is_seen_to_drain_and_is_gone_with_its_last_call() -> None:
    bench = started()
    two = bench.servers.get("two")
    assert two is not None
    two.calls = 2
    bench.servers.replace(NgConfig(servers=(ONE,)), 0.0)
    shown = {each.name: (each.state, each.calls) for each in bench.servers.snapshot()}
    assert shown == {"one": (state.ACTIVE, 0), "two": ("draining", 2)}
    assert not bench.servers.instruct("two", "resume", 0.0)  # it would take calls that the settings don't give it
    bench.servers.lost(two)
    assert len(bench.servers.snapshot()) == 2
    bench.servers.lost(two)
    assert [each.name for each in bench.servers.snapshot()] == ["one"]
    changes = [(note.before, note.after) for note in bench.notes() if isinstance(note, RelayStateChanged)]
    assert changes == [(state.ACTIVE, "draining"), ("draining", REMOVED)]
    bench.sent()
    bench.run(5.0)
    assert {send.flow.peer[0] for send in bench.sent("ping")} == {ONE.host}


def test_one_that_comes_back_into_the_settings_goes_on_with_its_calls() -> None:
    bench = started()
    two = bench.servers.get("two")
    assert two is not None
    two.calls = 1
    bench.servers.replace(NgConfig(servers=(ONE,)), 0.0)
    bench.servers.replace(NgConfig(servers=(ONE, replace(TWO, weight=3))), 1.0)
    assert bench.servers.get("two") is two
    assert [(each.name, each.state, each.calls) for each in bench.servers.snapshot()][1] == (
        "two",
        state.ACTIVE,
        1,
    )
    assert taken(bench, 30)["two"] > 15
