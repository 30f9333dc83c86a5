"""Calls that have come and gone leave no port, no rule and no memory behind; long ones cost few events."""

from __future__ import annotations

import gc

import pytest

import topologies
from engine.edge import Edge
from sim.build import parts
from sim.media import Heard
from sim.run import simulate, world_of
from sim.world import World
from tests.sim.media.conversations import call, deployment
from topologies.topology import Topology

BUSY = """\
edges:
  edge1:
    interfaces: {agents: {host: 127.0.0.1}, inside: {host: 127.0.0.2}}
    relay: builtin
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=500, model: {auth: false}}
clients:
  callers: {host: 127.0.2.1}
scenarios:
  many:
    duration_s: 20
    traffic:
      - {from: callers, to: 9196, rate_per_s: 20, arrivals: fixed, hold_s: {distribution: fixed, mean: 3}}
"""


def busy(topology: Topology) -> World:
    scenario = topology.scenario()
    return world_of(topology, parts(topology, scenario, duration_s=scenario.duration_s), scenario)


def objects_of(*modules: str) -> int:
    """How many objects of the media's own classes live."""
    gc.collect()
    return sum(str(type(each).__module__).startswith(modules) for each in gc.get_objects())


def test_hundreds_of_calls_leave_no_port_no_rule_and_no_memory_behind() -> None:
    world = busy(topologies.parse(BUSY.encode()))
    media = world.network.media
    assert media is not None
    world.run(0.001)
    before = objects_of("engine.media.call", "engine.media.stream", "engine.media.builtin", "sim.media")
    heard = 0

    def listen(record: object) -> None:
        nonlocal heard
        heard += isinstance(getattr(record, "note", None), Heard)

    world.trace.listen(None, listen)
    world.run(15.0)
    assert 200 < media.bound("edge1") < 400  # sixty calls with two pairs each
    assert media.rules("edge1") > 100
    world.run(80.0)
    assert heard > 700
    assert media.bound("edge1") == media.rules("edge1") == media.talking == 0
    edge = world.hosts["edge1"].machine
    assert isinstance(edge, Edge)
    assert edge.relayed_calls() == 0
    after = objects_of("engine.media.call", "engine.media.stream", "engine.media.builtin", "sim.media")
    assert after <= before


def test_an_edge_that_is_killed_takes_its_ports_with_it() -> None:
    topology = topologies.parse((BUSY + "    faults: [{at_s: 5, kind: kill, target: edge1}]\n").encode())
    world = busy(topology)
    media = world.network.media
    assert media is not None
    world.run(4.9)
    assert media.bound("edge1") > 0
    world.run(5.1)
    assert media.bound("edge1") == 0


def test_five_minutes_more_of_talk_cost_few_events() -> None:
    def events(hold_s: int) -> int:
        topology = deployment(call("softphones/1010", "1011", hold_s=hold_s))
        scenario = topology.scenario()
        world = world_of(topology, parts(topology, scenario, duration_s=60.0), scenario)
        count = 0
        step = world.env.step

        def counted() -> None:
            nonlocal count
            count += 1
            step()

        world.env.step = counted  # type: ignore[method-assign]
        world.run(340.0)
        return count

    minute, longer = events(20), events(320)
    packets = 2 * 300 * 50
    assert longer - minute < packets / 20


@pytest.mark.parametrize("seed", [1, 2])
def test_one_seed_brings_one_run_packet_by_packet(seed: int) -> None:
    topology = deployment(call("browsers/1000", "1010"), call("softphones/1011", "1001"))
    assert simulate(topology, seed=seed).trace_hash == simulate(topology, seed=seed).trace_hash


def test_calls_on_a_bad_network_leave_nothing_either() -> None:
    text = BUSY.replace("duration_s: 20", "duration_s: 5") + "    faults: [{at_s: 0.1, kind: loss, share: 0.4}]\n"
    world = busy(topologies.parse(text.encode()))
    media = world.network.media
    assert media is not None
    world.run(300.0)
    edge = world.hosts["edge1"].machine
    assert isinstance(edge, Edge)
    assert edge.open_dialogs() == edge.relayed_calls() == media.bound("edge1") == 0
