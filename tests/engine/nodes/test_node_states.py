"""The state table of a node, whole; orders of operators; new settings at run time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from engine.boundary import Reconfigure, TlsFiles
from engine.changes import needs_restart
from engine.config import NodeConfig, ProbeConfig
from engine.edge import EdgeSettings
from engine.nodes.state import NODE_STATES
from engine.notes import NodeStateChanged, Reconfigured
from tests.engine.harness import World, node

# state: event -> next; what is not listed changes nothing
EXPECTED = {
    "active": {"silent": "suspect", "gone": "down", "drain": "draining", "disable": "disabled"},
    "suspect": {
        "answered": "active",
        "probe answered": "active",
        "recovered": "active",
        "gone": "down",
        "drain": "draining",
        "disable": "disabled",
    },
    "down": {"probe answered": "returning", "recovered": "active", "drain": "draining", "disable": "disabled"},
    "returning": {
        "recovered": "active",
        "silent": "down",
        "gone": "down",
        "drain": "draining",
        "disable": "disabled",
    },
    "draining": {"resume": "returning", "disable": "disabled"},
    "disabled": {"enable": "returning", "resume": "returning", "drain": "draining"},
}
EVENTS = [
    "answered", "silent", "gone", "probe answered", "recovered", "drain", "resume", "disable", "enable",
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", EXPECTED)
def test_the_table(state: str, event: str) -> None:
    assert NODE_STATES[state].get(event) == EXPECTED[state].get(event)


def test_the_table_holds_nothing_else() -> None:
    assert set(NODE_STATES) == set(EXPECTED)
    assert {event for row in NODE_STATES.values() for event in row} <= set(EVENTS)


# --- orders


def test_drain_takes_no_new_calls_and_lets_the_old_ones_go_on() -> None:
    world = World(nodes=["FS1", node("FS2", priority=-1)])
    call = world.caller.invite()
    first = call.establish()
    world.order("FS1", "drain")
    world.caller.invite()
    assert world.called().name == "FS2"
    call.bye()
    assert len(first.got("BYE")) == 1
    first.answer(200, method="BYE")
    assert world.in_use("FS1") == 0


def test_resume_waits_for_an_answered_probe() -> None:
    world = World(nodes=["FS1"])
    world.order("FS1", "drain")
    world.node("FS1").alive = False
    world.order("FS1", "resume")
    assert world.state("FS1") == "returning"
    world.node("FS1").alive = True
    world.advance(10)
    assert world.state("FS1") == "active"


def test_resume_probes_at_once() -> None:
    world = World(nodes=["FS1"])
    world.order("FS1", "drain")
    world.order("FS1", "resume")
    world.advance(0)
    assert world.state("FS1") == "active"


def test_a_disabled_node_is_not_even_probed() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(mode="always"))
    world.order("FS1", "disable")
    probes = len(world.node("FS1").probes)
    world.advance(60)
    assert len(world.node("FS1").probes) == probes
    assert world.caller.invite().final.status == 503
    world.order("FS1", "enable")
    world.advance(0)
    assert world.state("FS1") == "active"


def test_a_node_may_begin_disabled() -> None:
    world = World(nodes=[node("FS1", enabled=False)])
    assert world.state("FS1") == "disabled"


def test_with_probes_off_an_order_brings_a_node_back_at_once() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(mode="never"))
    world.order("FS1", "drain")
    world.order("FS1", "resume")
    assert world.state("FS1") == "active"


def test_with_probes_off_no_node_is_lost_for_good() -> None:
    """Nothing would bring it back, so it is suspect at worst: taken where no other can."""
    world = World(nodes=["FS1"], probe=ProbeConfig(mode="never"))
    world.node("FS1").unreachable()
    assert world.state("FS1") == "suspect"
    world.caller.invite()
    world.node("FS1").answer(200)
    assert world.state("FS1") == "active"


def test_an_order_to_nobody_is_harmless() -> None:
    world = World()
    world.order("FS9", "drain")
    assert world.notes == []


def test_each_change_is_told_with_its_reason() -> None:
    world = World(nodes=["FS1"])
    world.order("FS1", "drain")
    world.order("FS1", "drain")
    assert world.told(NodeStateChanged) == [NodeStateChanged("FS1", "active", "draining", "by order")]


# --- new settings


def reconfigure(world: World, nodes: Sequence[NodeConfig], **changes: object) -> None:
    config = dataclasses.replace(world.config, nodes=tuple(nodes), **changes)  # type: ignore[arg-type]  # any field
    world.happen(Reconfigure(EdgeSettings(config, world.policy)))
    world.config = config


def test_a_node_that_is_added_takes_calls() -> None:
    world = World(nodes=["FS1"])
    reconfigure(world, [node("FS1"), node("FS2", priority=1)])
    world.caller.invite()
    assert world.sent[-1].flow.peer == ("10.0.0.12", 5060)
    assert world.told(Reconfigured)[0].changes == ("node FS2 added",)


def test_a_node_that_is_removed_keeps_its_calls() -> None:
    world = World(nodes=["FS1", node("FS2", priority=-1)])
    call = world.caller.invite()
    first = call.establish()
    reconfigure(world, [node("FS2")])
    assert world.caller.invite().statuses == [100]
    assert world.called().name == "FS2"
    call.bye()
    first.answer(200, method="BYE")
    assert world.edge.open_dialogs() == 0


def test_a_node_that_stays_keeps_its_state_and_its_channels() -> None:
    world = World(nodes=["FS1"])
    world.caller.invite().establish()
    world.order("FS1", "drain")
    reconfigure(world, [node("FS1", weight=7)])
    assert world.state("FS1") == "draining"
    assert world.in_use("FS1") == 1


def test_settings_can_disable_and_enable_and_that_is_told() -> None:
    world = World(nodes=["FS1"])
    reconfigure(world, [node("FS1", enabled=False)])
    assert world.state("FS1") == "disabled"
    reconfigure(world, [node("FS1")])
    world.advance(0)
    assert world.state("FS1") == "active"
    assert [note.after for note in world.told(NodeStateChanged)] == ["disabled", "returning", "active"]


def test_probes_can_be_turned_on() -> None:
    world = World(nodes=["FS1"], probe=ProbeConfig(mode="never"))
    reconfigure(world, world.config.nodes, probe=ProbeConfig(mode="always"))
    world.advance(12)
    assert len(world.node("FS1").probes) >= 2


def test_what_needs_a_restart_is_said() -> None:
    config = World().config
    assert needs_restart(config, config) == ""
    assert "interfaces" in needs_restart(config, dataclasses.replace(config, interfaces=()))


def test_certificates_and_origins_need_no_restart() -> None:
    config = World().config
    files = TlsFiles(certificate="new.pem", private_key="new.key")
    changed = tuple(
        dataclasses.replace(each, tls=files, origins=("https://a.example",)) for each in config.interfaces
    )
    assert needs_restart(config, dataclasses.replace(config, interfaces=changed)) == ""
