"""REGISTERs that are refused: limits, contradictions, absurdities. Nothing of them is kept."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from engine.config import LimitsConfig, RegistrarConfig
from engine.notes import RequestRefused
from tests.engine.registrar.registering import (
    INSTANCE,
    asked,
    asks,
    edge,
    grants,
    phone,
    registers,
    told,
)
from tests.engine.wire import param

# --- expiries


def test_too_short_an_expiry_is_answered_with_the_least() -> None:
    world = edge()
    register = asks(phone(world), expires=59)
    assert register.statuses == [423]
    assert register.final["min-expires"] == "60"
    assert asks(phone(world), "<sip:1000@192.168.1.20>;expires=1", cseq=2).statuses == [423]


@pytest.mark.parametrize("expires", [4_294_967_295, 10_000_000])
def test_an_absurd_expiry_is_cut(expires: int) -> None:
    world = edge()
    register = registers(phone(world), expires=expires, granted_s=2_000_000_000)
    assert param(told(register)[0], "expires") == "3600"


@pytest.mark.parametrize("expires", ["4294967296", "99999999999999999999999", "-1"])
def test_an_expiry_that_is_no_number_of_32_bits_is_refused(expires: str) -> None:
    world = edge()
    register = asks(phone(world), expires=None, lines=[f"Expires: {expires}"])
    assert register.statuses == [400]


@pytest.mark.parametrize("granted", ["abc", "99999999999999", "-5"])
def test_a_node_that_grants_nonsense_is_taken_to_grant_what_was_asked(granted: str) -> None:
    world = edge()
    register = asks(phone(world), expires=300)
    node = asked(world)
    value = node.got("REGISTER")[0]["contact"].partition(";expires")[0]
    node.answer(200, f"Contact: {value};expires={granted}", method="REGISTER", tag="x")
    assert param(told(register)[0], "expires") == "300"


# --- the star (RFC 3261 §10.3 step 6)


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(["*"], 60), (["*"], None), (["*", "<sip:1000@192.168.1.20>"], 0), (["*", "*"], 0)],
    ids=["with an expiry", "without Expires", "beside another", "twice"],
)
def test_a_star_that_means_nothing(contacts: list[str], expires: int | None) -> None:
    world = edge()
    registers(phone(world))
    assert asks(phone(world), *contacts, expires=expires, cseq=2).statuses == [400]
    assert world.edge.open_bindings() == 1


# --- too many


def test_a_thousand_contacts() -> None:
    world = edge()
    contacts = [f"<sip:1000@192.168.1.20:{port}>" for port in range(2000, 3000)]
    assert asks(phone(world), ",".join(contacts)).statuses == [403]
    assert world.sent[-1].flow.peer == ("203.0.113.9", 41_000)


def test_one_contact_more_than_a_user_may_have() -> None:
    world = edge(RegistrarConfig(contacts_per_aor=2))
    for port in (41_001, 41_002):
        registers(phone(world, port), f"<sip:1000@192.168.1.20:{port}>")
    assert asks(phone(world, 41_003), "<sip:1000@192.168.1.20:41003>").statuses == [403]
    registers(phone(world, 41_001), "<sip:1000@192.168.1.20:41001>", cseq=2)
    assert world.edge.open_bindings() == 2


def test_one_binding_more_than_the_edge_may_have() -> None:
    world = edge(limits=LimitsConfig(bindings=3))
    for number in range(3):
        registers(phone(world, 41_000 + number), user=f"100{number}")
    register = asks(phone(world, 41_009), user="1009")
    assert register.statuses == [503]
    assert register.final["retry-after"] == "5"
    assert registers(phone(world, 41_000), user="1000", cseq=2).final.status == 200


@pytest.mark.parametrize(
    ("contact", "status"),
    [
        ("<sip:1000@192.168.1.20>, <sip:1000@192.168.1.20>", 400),
        (f"<sip:a@192.168.1.20>;{INSTANCE}, <sip:b@192.168.1.20>;{INSTANCE}", 400),
        (f"<sip:{'x' * 1100}@192.168.1.20>", 400),
        ("<tel:+4930123456>", 400),
        ("<sip:1000@192.168.1.20:70000>", 400),
    ],
    ids=["twice", "one instance twice", "too long", "no SIP URI", "no port"],
)
def test_contacts_that_cannot_be_kept(contact: str, status: int) -> None:
    world = edge()
    assert asks(phone(world), contact).statuses == [status]
    assert world.edge.open_bindings() == 0
    assert world.told(RequestRefused)[0].status == status


# --- order (§10.3 step 7)


def test_a_register_that_is_older_than_the_last_is_refused() -> None:
    world = edge()
    registers(phone(world), cseq=5)
    assert asks(phone(world), cseq=4).statuses == [500]
    assert asks(phone(world), "*", expires=0, cseq=4).statuses[-1] == 500
    assert world.edge.open_bindings() == 1


def test_another_call_id_begins_anew() -> None:
    world = edge()
    registers(phone(world), cseq=5)
    assert registers(phone(world), cseq=1, call_id="restarted").final.status == 200


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    world = edge()
    agent = phone(world)
    asks(agent, cseq=1, expires=0)
    late = asked(world).got("REGISTER")[0]
    asks(agent, cseq=2)
    grants(world)
    asked(world).replies(late, 200, tag="late")
    assert world.edge.open_bindings() == 1


# --- strangers


def test_a_flood_of_registers_without_credentials_leaves_nothing_behind() -> None:
    world = edge(nodes=("FS1",))

    stranger = phone(world)

    def flood(count: int) -> None:
        for _ in range(count):
            asks(stranger, call_id=f"{'c' * 200}{world.number()}")
            asked(world).answer(401, method="REGISTER", tag="fs")
            for peer in (stranger, asked(world)):
                peer.inbox.clear()
            world.sent.clear()
            world.notes.clear()
        world.run_out()

    flood(200)
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    flood(2000)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert world.edge.open_bindings() == world.edge.open_transactions() == 0
    assert after - before < 2000 * 400  # the node that challenged, for the first ten thousand


def test_nodes_that_challenged_are_remembered_within_bounds() -> None:
    from engine.registrar.homes import Homes

    homes = Homes()
    for number in range(25_000):
        homes.remember(b"%08d" % number, "FS1")
    assert len(homes) == 10_000
    assert homes.of(b"%08d" % 24_999) == "FS1"
    assert homes.of(b"%08d" % 1) == ""
