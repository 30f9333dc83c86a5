"""Every state and event of RFC 3261 figures 5 to 8, with the ACCEPTED states of RFC 6026.

The expectations below are typed from the figures, not from the engine's tables: for each state, what each event
leads to and what can be seen of it. An event that a state does not name must change nothing.
"""

from __future__ import annotations

import pytest

from engine.sip.transactions import ClientTransaction, ServerTransaction, tables
from tests.engine.sip.transactions.bench import Bench, read_response, request, response

# Events are those of the figures; "timer" is the one that repeats (A, E, G), "expiry" the one that ends.
CLIENT_EVENTS = ("1xx", "2xx", "300-699", "timer", "expiry", "transport error")
SERVER_EVENTS = ("1xx", "2xx", "300-699", "request", "ACK", "timer", "expiry", "transport error")

Expected = dict[str, dict[str, tuple[str, tuple[str, ...]]]]

# figure 5, RFC 6026 figure 2
INVITE_CLIENT: Expected = {
    "calling": {
        "1xx": ("proceeding", ("told 180",)),
        "2xx": ("accepted", ("told 200",)),
        "300-699": ("completed", ("ACK", "told 486")),
        "timer": ("calling", ("INVITE",)),
        "expiry": ("terminated", ("time-out",)),
        "transport error": ("terminated", ("unreachable",)),
    },
    "proceeding": {
        "1xx": ("proceeding", ("told 180",)),
        "2xx": ("accepted", ("told 200",)),
        "300-699": ("completed", ("ACK", "told 486")),
        # Beyond the figure: §9.1 ends an INVITE 64*T1 after its CANCEL, and a dead host may say so late.
        "expiry": ("terminated", ("time-out",)),
        "transport error": ("terminated", ("unreachable",)),
    },
    "accepted": {
        "2xx": ("accepted", ("told 200",)),
        "expiry": ("terminated", ()),
    },
    "completed": {
        "300-699": ("completed", ("ACK",)),
        "expiry": ("terminated", ()),
        "transport error": ("terminated", ()),
    },
}

# figure 6
NON_INVITE_CLIENT: Expected = {
    "trying": {
        "1xx": ("proceeding", ("told 180",)),
        "2xx": ("completed", ("told 200",)),
        "300-699": ("completed", ("told 486",)),
        "timer": ("trying", ("OPTIONS",)),
        "expiry": ("terminated", ("time-out",)),
        "transport error": ("terminated", ("unreachable",)),
    },
    "proceeding": {
        "1xx": ("proceeding", ("told 180",)),
        "2xx": ("completed", ("told 200",)),
        "300-699": ("completed", ("told 486",)),
        "timer": ("proceeding", ("OPTIONS",)),
        "expiry": ("terminated", ("time-out",)),
        "transport error": ("terminated", ("unreachable",)),
    },
    "completed": {
        "expiry": ("terminated", ()),
    },
}

# figure 7, RFC 6026 figure 1
INVITE_SERVER: Expected = {
    "proceeding": {
        "1xx": ("proceeding", ("180",)),
        "2xx": ("accepted", ("200",)),
        "300-699": ("completed", ("486",)),
        "request": ("proceeding", ("180",)),  # the last provisional response again
    },
    "accepted": {
        "2xx": ("accepted", ("200",)),
        "ACK": ("accepted", ("told ACK",)),
        "expiry": ("terminated", ()),
    },
    "completed": {
        "request": ("completed", ("486",)),
        "timer": ("completed", ("486",)),
        "ACK": ("confirmed", ()),
        "expiry": ("terminated", ()),
        "transport error": ("terminated", ()),
    },
    "confirmed": {
        "expiry": ("terminated", ()),
    },
}

# figure 8
NON_INVITE_SERVER: Expected = {
    "trying": {
        "1xx": ("proceeding", ("180",)),
        "2xx": ("completed", ("200",)),
        "300-699": ("completed", ("486",)),
    },
    "proceeding": {
        "1xx": ("proceeding", ("180",)),
        "2xx": ("completed", ("200",)),
        "300-699": ("completed", ("486",)),
        "request": ("proceeding", ("180",)),
        "transport error": ("terminated", ()),
    },
    "completed": {
        "request": ("completed", ("486",)),
        "expiry": ("terminated", ()),
        "transport error": ("terminated", ()),
    },
}

_STATUS = {"1xx": 180, "2xx": 200, "300-699": 486}
_CLIENT_WAY = {
    "calling": (),
    "trying": (),
    "proceeding": ("1xx",),
    "accepted": ("2xx",),
    "completed": ("300-699",),
}
_SERVER_WAY = {
    "trying": (),
    "proceeding": ("1xx",),
    "accepted": ("2xx",),
    "completed": ("300-699",),
    "confirmed": ("300-699", "ACK"),
}


def seen(bench: Bench) -> tuple[str, ...]:
    """What an event brought about, in short, and forgotten at once."""
    found = [wire.method if wire.is_request else str(wire.status) for wire in bench.sent]
    found += [f"told {status}" for status in bench.answers] + ["told ACK"] * len(bench.acks)
    found += [failure.split(":")[0] for failure in bench.failures]
    for kept in (bench.sent, bench.answers, bench.acks, bench.failures):
        kept.clear()
    return tuple(found)


def client_event(bench: Bench, transaction: ClientTransaction, method: str, event: str) -> None:
    if event in _STATUS:
        transaction.receive(read_response(response(_STATUS[event], method)), bench.now)
    elif event == "transport error":
        transaction.unreachable("no route", bench.now)
    else:
        transaction.step(tables.RESEND if event == "timer" else tables.EXPIRE, bench.now)
    bench.collect()


def server_event(bench: Bench, transaction: ServerTransaction, method: str, event: str) -> None:
    if event in _STATUS:
        bench.answer(transaction, _STATUS[event])
        return
    if event in ("request", "ACK"):
        bench.receive(request(method if event == "request" else "ACK"))
        return
    steps = {"timer": tables.RESEND, "expiry": tables.EXPIRE, "transport error": tables.UNREACHABLE}
    transaction.step(steps[event], bench.now)
    bench.collect()


@pytest.mark.parametrize("event", CLIENT_EVENTS)
@pytest.mark.parametrize(
    ("method", "expected", "state"),
    [("INVITE", INVITE_CLIENT, state) for state in INVITE_CLIENT]
    + [("OPTIONS", NON_INVITE_CLIENT, state) for state in NON_INVITE_CLIENT],
)
def test_a_client_transaction(method: str, expected: Expected, state: str, event: str) -> None:
    bench = Bench()
    transaction = bench.client(method)
    for step in _CLIENT_WAY[state]:
        client_event(bench, transaction, method, step)
    assert transaction.state == state
    seen(bench)
    client_event(bench, transaction, method, event)
    assert (transaction.state, seen(bench)) == expected[state].get(event, (state, ()))
    assert len(bench.layer) == (transaction.state != "terminated")


@pytest.mark.parametrize(
    ("method", "expected", "state", "event"),
    [("INVITE", INVITE_SERVER, state, event) for state in INVITE_SERVER for event in SERVER_EVENTS]
    + [
        ("OPTIONS", NON_INVITE_SERVER, state, event)
        for state in NON_INVITE_SERVER
        for event in SERVER_EVENTS
        if event != "ACK"  # which never meets a non-INVITE transaction
    ],
)
def test_a_server_transaction(method: str, expected: Expected, state: str, event: str) -> None:
    bench = Bench()
    transaction = bench.server(method)
    for step in _SERVER_WAY[state]:
        server_event(bench, transaction, method, step)
    assert transaction.state == state
    seen(bench)
    server_event(bench, transaction, method, event)
    assert (transaction.state, seen(bench)) == expected[state].get(event, (state, ()))
    assert len(bench.layer) == (transaction.state != "terminated")


@pytest.mark.parametrize(
    "table", [tables.INVITE_CLIENT, tables.NON_INVITE_CLIENT, tables.INVITE_SERVER, tables.NON_INVITE_SERVER]
)
def test_every_state_can_be_reached_and_left(table: tables.Table) -> None:
    targets = {step.state for state in table.values() for step in state.on.values()}
    assert targets - {tables.TERMINATED} <= table.keys()
    assert table.keys() - targets <= {tables.CALLING, tables.TRYING, tables.PROCEEDING}
    for state in table.values():
        assert any(step.state == tables.TERMINATED for step in state.on.values()) or not state.expire
