"""RFC 5626: flows of one instance, and what an agent is told of them."""

from __future__ import annotations

from engine.config import RegistrarConfig
from tests.engine.registrar.registering import (
    INSTANCE,
    asked,
    asks,
    browser,
    calls,
    edge,
    phone,
    registers,
    stored,
    told,
)

OUTBOUND = {"lines": ["Supported: path, outbound"]}


def contact(reg_id: int, host: str = "a.invalid") -> str:
    return f"<sip:x@{host};transport=ws>;{INSTANCE};reg-id={reg_id}"


def test_an_agent_learns_that_its_flow_is_kept() -> None:
    world = edge(RegistrarConfig(flow_timer_s=30))
    register = registers(browser(world), contact(1), **OUTBOUND)
    assert register.final["require"] == "outbound"
    assert register.final["flow-timer"] == "30"


def test_without_flow_timer_none_is_told() -> None:
    world = edge()
    register = registers(browser(world), contact(1), **OUTBOUND)
    assert "flow-timer" not in register.final


def test_each_reg_id_is_a_flow_of_its_own() -> None:
    world = edge()
    registers(browser(world, 1), contact(1), **OUTBOUND)
    first = stored(asked(world))
    register = registers(browser(world, 2), contact(2, "b.invalid"), call_id="second", **OUTBOUND)
    assert world.edge.open_bindings() == 2
    assert stored(asked(world)) != first
    assert len(told(register)) == 2


def test_a_flow_replaces_the_one_with_its_reg_id() -> None:
    world = edge()
    old, new = browser(world, 1), browser(world, 2)
    registers(old, contact(1), **OUTBOUND)
    token = stored(asked(world))
    registers(new, contact(1, "b.invalid"), call_id="second", **OUTBOUND)
    assert world.edge.open_bindings() == 1
    calls(asked(world), token)
    assert (len(old.got("INVITE")), len(new.got("INVITE"))) == (0, 1)


def test_a_flow_that_failed_is_said_so() -> None:
    world = edge()
    agent = browser(world)
    registers(agent, contact(1), **OUTBOUND)
    agent.leaves()
    assert calls(asked(world)).statuses == [430]


def test_behind_an_element_that_keeps_no_flows_outbound_cannot_be_had() -> None:
    world = edge()
    agent = phone(world)
    via = f"SIP/2.0/UDP {agent.host_port};branch=z9hG4bKp;rport\r\nVia: SIP/2.0/UDP 10.7.7.7;branch=z9hG4bKq"
    assert asks(agent, contact(1), via=via, **OUTBOUND).statuses == [439]
    assert asks(agent, contact(1), via=via.replace("bKp", "bKr"), cseq=2).statuses == []  # without the option


def test_behind_an_element_that_keeps_them_it_can() -> None:
    world = edge()
    agent = phone(world)
    via = f"SIP/2.0/UDP {agent.host_port};branch=z9hG4bKp;rport\r\nVia: SIP/2.0/UDP 10.7.7.7;branch=z9hG4bKq"
    lines = [*OUTBOUND["lines"], "Path: <sip:10.7.7.1;lr;ob>"]
    assert registers(agent, contact(1), via=via, lines=lines).final["require"] == "outbound"


def test_reg_id_goes_with_one_contact_alone() -> None:
    world = edge()
    both = f"{contact(1)}, <sip:y@a.invalid>"
    assert asks(browser(world), both, **OUTBOUND).statuses == [400]


def test_outbound_can_be_switched_off() -> None:
    world = edge(RegistrarConfig(outbound=False))
    assert "require" not in registers(browser(world), contact(1), **OUTBOUND).final
