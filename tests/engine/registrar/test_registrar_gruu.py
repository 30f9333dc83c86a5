"""RFC 5627: one instance of a user, by name."""

from __future__ import annotations

from typing import Any

from engine.config import RegistrarConfig
from tests.engine.harness import World
from tests.engine.registrar.registering import (
    INSTANCE,
    asked,
    browser,
    edge,
    last_invite,
    phone,
    registers,
    shown,
    told,
)

GRUU = "sip:1000@192.0.2.1;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
WANTED: dict[str, Any] = {"lines": ["Supported: gruu, path"]}
CONTACT = f"<sip:x@a.invalid;transport=ws>;{INSTANCE}"


def world_of(**settings: Any) -> World:
    return edge(RegistrarConfig(gruu=True, **settings))


def test_an_agent_that_wants_one_gets_it() -> None:
    world = world_of()
    assert told(registers(browser(world), CONTACT, **WANTED)) == [f'{CONTACT};pub-gruu="{GRUU}";expires=180']
    assert "gruu" not in shown(asked(world))[0]


def test_who_does_not_ask_or_has_no_instance_gets_none() -> None:
    world = world_of()
    assert "gruu" not in told(registers(browser(world), CONTACT))[0]
    assert "gruu" not in told(registers(phone(world), user="1001", **WANTED))[0]
    assert "gruu" not in told(registers(browser(edge()), CONTACT, **WANTED))[0]


def test_one_that_an_agent_repeats_is_not_kept_twice() -> None:
    world = world_of()
    register = registers(browser(world), f'{CONTACT};pub-gruu="{GRUU}"', **WANTED)
    assert told(register)[0].count("pub-gruu") == 1


def test_an_instance_with_odd_characters_is_escaped() -> None:
    world = world_of()
    odd = '<sip:x@a.invalid>;+sip.instance="<urn:x:a;b,c>"'
    agent = browser(world)
    register = registers(agent, odd, **WANTED)
    assert "gr=urn:x:a%3Bb%2Cc" in register.final["contact"]
    asked(world).invite("sip:1000@192.0.2.1;gr=urn:x:a%3Bb%2Cc")
    assert last_invite(agent).uri == "sip:x@a.invalid"


def test_a_node_reaches_that_instance_and_no_other() -> None:
    world = world_of()
    agent, other = browser(world), phone(world)
    registers(agent, CONTACT, **WANTED)
    registers(other, "<sip:1000@192.168.1.20>")
    asked(world).invite(GRUU)
    assert last_invite(agent).uri == "sip:x@a.invalid;transport=ws"
    assert other.got("INVITE") == []


def test_an_instance_that_is_not_registered() -> None:
    world = world_of()
    assert world.node("FS1").invite(GRUU).statuses == [480]


def test_in_a_call_it_may_stand_for_the_contact() -> None:
    """JsSIP and linphone put theirs into each Contact; ACK and BYE then bear it."""
    world = world_of()
    agent = browser(world)
    registers(agent, CONTACT, **WANTED)
    agent.invite("sip:9196@192.0.2.1", f"Contact: <{GRUU}>").establish().hangs_up()
    assert agent.got("BYE")[0].uri == "sip:x@a.invalid;transport=ws"


def test_strangers_cannot_use_it_to_pass_by_the_nodes() -> None:
    world = world_of()
    agent = browser(world)
    registers(agent, CONTACT, **WANTED)
    world.caller.invite(GRUU)
    assert agent.got("INVITE") == []
    assert len(world.called().got("INVITE")) == 1
