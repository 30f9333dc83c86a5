"""Whole topologies in virtual time, with the real engine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.notes import AttemptStarted, CallAdmitted
from engine.policy import Call, Policy
from sim.agents.notes import CallLost, CallPlaced, CallSetUp
from sim.build import parts
from sim.faults import FaultApplied
from sim.run import Run, simulate
from topologies import TopologyError, load, parse

NAMED = b"""
edges:
  edge1:
    interfaces: {agents: {host: 127.0.0.1, port: 5060}}
    nodes: [fs]
nodes:
  FS1: {host: fs1.example, groups: [fs], resources: pstn=500}
  FS2: {host: 127.0.1.2, groups: [fs], resources: pstn=500}
clients:
  callers: {host: 127.0.2.1}
  phones: {kind: softphone, host: 127.0.2.2, users: 1000-1002}
scenarios:
  trouble:
    duration_s: 30
    traffic: [{from: callers, to: "9196", rate_per_s: 5, hold_s: 3}]
    faults:
      - {at_s: 2, kind: slow, target: FS1, delay_s: 0.05}
      - {at_s: 4, kind: normal, target: FS1}
      - {at_s: 5, kind: full, target: FS1}
      - {at_s: 8, kind: not_full, target: FS1}
      - {at_s: 9, kind: flap, target: FS2, period_s: 2, times: 2}
      - {at_s: 14, kind: partition, between: [callers, edge1]}
      - {at_s: 15, kind: loss, between: [edges, nodes], share: 0.1}
      - {at_s: 16, kind: heal}
      - {at_s: 17, kind: drain, target: FS1}
      - {at_s: 20, kind: resume, target: FS1}
      - {at_s: 21, kind: freeze, target: edge1}
      - {at_s: 22, kind: thaw, target: edge1}
      - {at_s: 23, kind: kill, target: FS2}
      - {at_s: 24, kind: start, target: FS2, keep_registrations: true}
"""


def count(run: Run, kind: type) -> int:
    return sum(isinstance(record.note, kind) for record in run.notes)


def test_the_seed_topology_survives_the_death_of_a_node() -> None:
    run = simulate(load("seed"), scenario="failover", duration_s=70)
    assert run.violations == []
    assert run.drained
    assert count(run, CallSetUp) == count(run, CallPlaced) > 600
    dead = [record.note.kind for record in run.notes if isinstance(record.note, FaultApplied)]
    assert dead == ["kill", "start"]


@pytest.mark.parametrize("policy", ["least_loaded", "seed"])
def test_every_kind_of_fault_is_survived(policy: str) -> None:
    run = simulate(parse(NAMED), policy=policy)
    assert run.violations == []
    kinds = {record.note.kind for record in run.notes if isinstance(record.note, FaultApplied)}
    assert kinds == {
        *("slow", "normal", "full", "not_full", "kill", "start", "partition", "loss", "heal", "drain", "resume"),
        *("freeze", "thaw"),
    }


def test_callers_are_the_same_whatever_the_policy() -> None:
    """Common random numbers: the same calls come at the same instants."""

    def placed(policy: str) -> list[tuple[float, str]]:
        run = simulate(load("seed"), policy=policy, duration_s=10)
        return [(each.time_s, each.note.call_id) for each in run.notes if isinstance(each.note, CallPlaced)]

    assert placed("least_loaded") == placed("round_robin")


def test_a_node_that_is_full_is_passed_over() -> None:
    run = simulate(parse(NAMED), duration_s=8)
    tried = [
        each.note.node for each in run.notes if isinstance(each.note, AttemptStarted) and 5.5 < each.time_s < 8
    ]
    assert set(tried) == {"FS2"}


def test_one_seed_has_one_hash_whatever_the_hash_seed() -> None:
    code = (
        "from sim.run import simulate; from topologies import load;"
        "print(simulate(load('seed'), duration_s=5, seed=3).trace_hash)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert printed == {simulate(load("seed"), duration_s=5, seed=3).trace_hash}


def test_a_policy_object_routes_as_it_is() -> None:
    class Busy(Policy):
        async def invite(self, call: Call) -> None:
            call.reject(486)

    run = simulate(load("single"), policy=Busy(), duration_s=5)
    assert run.policy == "Busy"
    assert run.violations == []
    lost = [each.note for each in run.notes if isinstance(each.note, CallLost)]
    assert len(lost) == count(run, CallPlaced) == count(run, CallAdmitted) > 0
    assert {note.status for note in lost} == {486}


def test_a_policy_that_forgets_its_channels_would_be_seen() -> None:
    """The checkers look at the edge itself: a channel taken and never given back is told."""

    class Greedy(Policy):
        async def invite(self, call: Call) -> None:
            for node in call.nodes("fs", resource="pstn"):
                node.take("pstn")
                await call.try_(node)
                return

    run = simulate(load("seed"), scenario="quiet", policy=Greedy(), duration_s=2)
    assert {violation.checker for violation in run.violations} == {"slot balance"}


def test_an_edge_that_stays_frozen_is_not_blamed() -> None:
    text = NAMED.replace(b"at_s: 22, kind: thaw", b"at_s: 22, kind: freeze")
    assert simulate(parse(text)).violations == []


def test_long_runs_keep_nothing_that_was_not_asked_for() -> None:
    told: list[float] = []
    run = simulate(load("single"), record="none", duration_s=5, on_note=lambda each: told.append(each.time_s))
    assert run.notes == []
    assert run.messages == []
    assert told


def test_progress_is_told_each_virtual_second() -> None:
    seconds: list[float] = []
    run = simulate(load("single"), duration_s=3, progress=seconds.append)
    assert seconds[:3] == [1.0, 2.0, 3.0]
    assert seconds[-1] == run.ended_s


def test_an_unknown_scenario_is_told() -> None:
    with pytest.raises(TopologyError, match="quite"):
        simulate(load("seed"), scenario="quite")


def test_each_softphone_is_a_part_of_its_own() -> None:
    found = parts(parse(NAMED), None)
    assert [part.place for part in found] == [
        *("FS1", "FS2", "edge1", "callers"),
        *("phones/1000", "phones/1001", "phones/1002"),
    ]
