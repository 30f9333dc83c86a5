"""A real node is killed by a command of its operator's, and only by one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

import topologies
from lab.errors import InputError
from lab.outcome import Outcome
from lab.rehearsal import rehearse_topology
from lab.rehearsal.commands import run_command
from sim.faults import FaultApplied
from tests.live.relay.relay_desk import loopback_host


def test_a_command_is_for_a_real_node() -> None:
    with pytest.raises(InputError, match="give --real FS1 as well"):
        rehearse_topology(topologies.load("single"), kill_with={"FS1": "true"})


def test_a_command_says_what_to_do() -> None:
    with pytest.raises(InputError, match="write --kill-with FS1=COMMAND"):
        rehearse_topology(topologies.load("single"), real=("FS1",), kill_with={"FS1": ""})


REAL = """
edges: {edge1: {interfaces: {agents: {host: EDGE}}}}
nodes: {FS1: {host: NODE}}
clients: {phones: {host: PHONES, users: 1000-1001}}
scenarios: {death: {duration_s: 0.3, faults: [{at_s: 0.1, kind: kill, target: FS1}]}}
"""


def killed(command: str) -> Outcome:
    """The real node is nobody, whom nobody misses."""
    text = REAL
    for word in ("EDGE", "NODE", "PHONES"):
        text = text.replace(word, loopback_host())
    return rehearse_topology(topologies.parse(text.encode()), real=("FS1",), kill_with={"FS1": command})


def test_it_is_run_when_the_fault_is_due(tmp_path: Path) -> None:
    outcome = killed(f"touch {tmp_path}/done")
    assert (tmp_path / "done").exists()
    assert [record.note.target for record in outcome.notes if isinstance(record.note, FaultApplied)] == ["FS1"]


@pytest.mark.parametrize(
    ("command", "says"),
    [("exit 3", "--kill-with FS1=exit 3: ended with status 3"), ("kill -9 $$", "was ended by signal 9")],
)
def test_one_that_fails_ends_the_rehearsal(command: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        killed(command)


def test_one_that_waits_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"FS1=.*: not through after 0\.5 s"):
        asyncio.run(run_command("FS1", f"sleep 60 & echo $! > {tmp_path}/pid; wait", within_s=0.5))
    pid = int((tmp_path / "pid").read_text())
    ends = time.monotonic() + 10.0
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < ends
        time.sleep(0.01)
