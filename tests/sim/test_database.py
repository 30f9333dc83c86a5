"""Edges with a modelled database: killed edges that know their calls; databases that are away, slow or frozen."""

from __future__ import annotations

from typing import TypeVar

import pytest

from engine.boundary import Note
from engine.notes import ContactBound, DialogEnded, RecordsRestored, StoreBack, StoreLost
from sim.agents.notes import CallEnded, CallLost, CallPlaced, CallSetUp, Registered
from sim.run import Run, simulate
from topologies import parse

N = TypeVar("N", bound=Note)


def run(faults: str, *, duration_s: int = 100, store: str = "main", rate: int = 5, seed: int = 1) -> Run:
    """Calls of 20 s and five phones at one edge, and what goes wrong."""
    return simulate(
        parse(
            f"""
edges: {{edge1: {{interfaces: {{agents: {{host: 127.0.0.1}}}}, store: {store}}}}}
databases: {{main: {{model: {{latency_ms: 2}}}}}}
nodes: {{FS1: {{host: 127.0.1.1, resources: pstn=500}}, FS2: {{host: 127.0.1.2, resources: pstn=500}}}}
clients:
  callers: {{host: 127.0.2.1}}
  phones: {{kind: softphone, host: 127.0.2.2, users: 1000-1004}}
scenarios:
  default:
    duration_s: {duration_s}
    traffic: [{{from: callers, to: "9196", rate_per_s: {rate}, hold_s: 20}}]
    faults: [{faults}]
""".encode()
        ),
        seed=seed,
    )


def told(run: Run, kind: type[N]) -> list[tuple[float, N]]:
    return [(record.time_s, record.note) for record in run.notes if isinstance(record.note, kind)]


def lost(run: Run, *away_s: tuple[float, float]) -> list[CallLost]:
    """Calls that failed, but for those that met no edge at all: it was away then."""
    return [note for at, note in told(run, CallLost) if not any(down <= at < up for down, up in away_s)]


def standing(run: Run, time_s: float) -> int:
    """Calls that their callers believe to stand at an instant."""
    begun = sum(at < time_s for at, _ in told(run, CallSetUp))
    return begun - sum(at < time_s for at, _ in told(run, CallEnded))


KILLED = "{at_s: 60, kind: kill, target: edge1}, {at_s: 61, kind: start, target: edge1}"


def test_a_killed_edge_knows_its_calls_and_its_phones() -> None:
    found = run(KILLED)
    first, second = (note for _, note in told(found, RecordsRestored))
    assert (first.bindings, first.dialogs) == (0, 0)
    assert second.bindings == 5
    assert second.dialogs == pytest.approx(standing(found, 60), abs=3)  # what was written within delay_s
    assert found.violations == []
    assert not lost(found, (60, 61))
    # All channels came back, though another life took them; but for calls whose BYE met no edge.
    unheard = sum(note.why == "unreachable" for _, note in told(found, CallEnded))
    assert len(told(found, DialogEnded)) >= len(told(found, CallSetUp)) - unheard - 3


def test_without_a_store_the_same_edge_forgets() -> None:
    found = run(KILLED, store="{}")
    assert not told(found, RecordsRestored)
    again = [note.aor for at, note in told(found, ContactBound) if 61 <= at < 62]
    assert again == []


@pytest.mark.parametrize("kind", ["kill", "freeze"])
def test_a_database_that_is_away_for_a_minute_stops_no_call_and_gets_everything_afterwards(kind: str) -> None:
    """What was written after it is shown by the edge's next life."""
    back = {"kill": "start", "freeze": "thaw"}[kind]
    found = run(
        f"{{at_s: 20, kind: {kind}, target: main}}, {{at_s: 80, kind: {back}, target: main}}, "
        "{at_s: 95, kind: kill, target: edge1}, {at_s: 96, kind: start, target: edge1}"
    )
    placed = [note for at, note in told(found, CallPlaced) if at < 94]
    assert len(placed) > 400
    assert not lost(found, (95, 96))
    ((lost_s, away),) = told(found, StoreLost)
    assert 20 <= lost_s < 21
    ((back_s, back_again),) = told(found, StoreBack)
    assert 80 <= back_s < 91  # the longest pause between two tries, and a frozen answer
    assert back_again.away_s == pytest.approx(back_s - lost_s)
    assert away.database == "main"
    registered = sum(20 < at < 80 for at, _ in told(found, Registered))
    assert registered == 0  # nobody was logged out, so nobody had to come back
    restored = told(found, RecordsRestored)[-1][1]
    assert restored.bindings == 5
    assert restored.dialogs == pytest.approx(standing(found, 95), abs=3)
    assert found.violations == []


def test_an_edge_that_starts_without_its_database_serves_and_is_told_later() -> None:
    found = run(
        "{at_s: 40, kind: kill, target: main}, {at_s: 50, kind: kill, target: edge1}, "
        "{at_s: 51, kind: start, target: edge1}, {at_s: 60, kind: start, target: main}"
    )
    assert not lost(found, (50, 51))
    ((read_s, restored),) = told(found, RecordsRestored)[1:]
    assert 60 <= read_s < 66
    assert restored.dialogs > 0
    ended = [note for at, note in told(found, DialogEnded) if at > read_s and note.duration_s > 15]
    assert ended  # calls of the earlier life, with the time that they have really lasted


def test_answers_do_not_wait_for_a_slow_database() -> None:
    found = run(
        "{at_s: 10, kind: slow, target: main, delay_s: 2}", store="{database: main, write_through: [dialogs]}"
    )
    assert not lost(found)
    assert told(found, StoreLost)
    slow = [note.setup_s for at, note in told(found, CallSetUp) if at > 12]
    assert max(slow) < 1.0


def test_the_same_seed_gives_the_same_run() -> None:
    faults = "{at_s: 5, kind: flap, target: main, period_s: 4, times: 3}, {at_s: 11, kind: kill, target: edge1}"
    hashes = {run(faults, duration_s=20, rate=2).trace_hash for _ in range(2)}
    assert len(hashes) == 1
