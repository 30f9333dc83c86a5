"""The NAT as a machine: RFC 4787's behaviours one by one."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from sim.nat import PRESETS, Dropped, Nat, NatSettings, Passed

A = ("10.0.0.1", 5060)
B = ("10.0.0.2", 5060)
OUTSIDE = "203.0.113.1"
EDGE = ("198.51.100.1", 5060)
EDGE_OTHER_PORT = ("198.51.100.1", 5070)
STRANGER = ("198.51.100.2", 5060)


def nat(*addresses: str, **settings: Any) -> Nat:
    return Nat(NatSettings(**settings), addresses or (OUTSIDE,), Random(1))


def out(machine: Nat, source: tuple[str, int], peer: tuple[str, int] = EDGE, now: float = 0.0) -> tuple[str, int]:
    """The outside endpoint that a packet gets."""
    verdict = machine.outbound("udp", source, peer, now)
    assert isinstance(verdict, Passed), verdict
    return verdict.source


def arrives(machine: Nat, peer: tuple[str, int], outside: tuple[str, int], now: float = 0.0) -> bool:
    return isinstance(machine.inbound("udp", peer, outside, now), Passed)


@pytest.mark.parametrize(
    ("mapping", "same_address", "other_address"),
    [
        ("endpoint_independent", True, True),
        ("address_dependent", True, False),
        ("address_and_port_dependent", False, False),
    ],
)
def test_mapping_depends_on_as_much_of_the_peer_as_it_says(
    mapping: str, same_address: bool, other_address: bool
) -> None:
    machine = nat(mapping=mapping)
    first = out(machine, A)
    assert (out(machine, A, EDGE_OTHER_PORT) == first) == same_address
    assert (out(machine, A, STRANGER) == first) == other_address
    assert out(machine, A) == first


@pytest.mark.parametrize(
    ("filtering", "other_port", "other_address"),
    [
        ("endpoint_independent", True, True),
        ("address_dependent", True, False),
        ("address_and_port_dependent", False, False),
    ],
)
def test_filtering_lets_in_those_that_it_says(filtering: str, other_port: bool, other_address: bool) -> None:
    machine = nat(filtering=filtering)
    outside = out(machine, A)
    assert arrives(machine, EDGE, outside)
    assert arrives(machine, EDGE_OTHER_PORT, outside) == other_port
    assert arrives(machine, STRANGER, outside) == other_address


def test_nobody_gets_in_where_there_is_no_mapping() -> None:
    assert nat().inbound("udp", EDGE, (OUTSIDE, 5060), 0.0) == Dropped("no mapping")
    assert nat(unsolicited="refuse").inbound("udp", EDGE, (OUTSIDE, 5060), 0.0) == Dropped("no mapping", True)


def test_a_port_is_preserved_for_the_first_that_has_it() -> None:
    machine = nat()
    assert out(machine, A) == (OUTSIDE, 5060)
    assert out(machine, B) != (OUTSIDE, 5060)
    assert out(machine, B) == out(machine, B, STRANGER)


def test_parity_is_kept_where_the_port_is_not() -> None:
    machine = nat(preserve_port=False, parity=True)
    assert [out(machine, ("10.0.0.1", port))[1] % 2 for port in range(5000, 5020)] == [0, 1] * 10


def test_rtp_and_rtcp_stay_neighbours() -> None:
    machine = nat(preserve_port=False, contiguity=True)
    for rtp in range(4000, 4040, 4):
        host, port = out(machine, ("10.0.0.1", rtp))
        assert out(machine, ("10.0.0.1", rtp + 1)) == (host, port + 1)
    host, port = out(machine, ("10.0.0.1", 5001))
    assert out(machine, ("10.0.0.1", 5000)) == (host, port - 1)


def test_sequential_assignment_takes_one_port_after_the_other() -> None:
    machine = nat(preserve_port=False, parity=False, assignment="sequential", first_port=2000, last_port=2002)
    assert [out(machine, ("10.0.0.1", port))[1] for port in (5, 6, 7)] == [2000, 2001, 2002]


def test_paired_pooling_gives_one_inside_address_one_outside_address() -> None:
    pool = [f"203.0.113.{number}" for number in range(1, 9)]
    paired = nat(*pool, preserve_port=False)
    assert len({out(paired, ("10.0.0.1", port))[0] for port in range(1, 50)}) == 1
    arbitrary = nat(*pool, preserve_port=False, pooling="arbitrary")
    assert len({out(arbitrary, ("10.0.0.1", port))[0] for port in range(1, 50)}) > 1


def test_a_hairpin_arrives_from_the_outside_address() -> None:
    machine = nat()
    outside = out(machine, B)
    assert machine.outbound("udp", A, outside, 0.0) == Passed(out(machine, A), B, inward=True)


def test_a_hairpin_passes_the_filter_like_anybody() -> None:
    machine = nat(filtering="address_and_port_dependent")
    of_b = out(machine, B)
    assert machine.outbound("udp", A, of_b, 0.0) == Dropped("filtered")
    machine.outbound("udp", B, out(machine, A), 0.0)  # it is filtered too, but lets A's packets in
    assert isinstance(machine.outbound("udp", A, of_b, 0.0), Passed)


def test_without_hairpinning_the_outside_address_leads_nowhere() -> None:
    machine = nat(hairpinning=False)
    outside = out(machine, B)
    assert machine.outbound("udp", A, outside, 0.0) == Dropped("no hairpinning")


# --- time ---------------------------------------------------------------------------------------------------


def test_a_mapping_runs_out() -> None:
    machine = nat(unreplied_s=30.0, replied_s=120.0)
    outside = out(machine, A)
    assert not arrives(machine, EDGE, outside, 30.0)


def test_a_reply_lengthens_it() -> None:
    machine = nat(unreplied_s=30.0, replied_s=120.0)
    outside = out(machine, A)
    assert arrives(machine, EDGE, outside, 29.0)
    assert arrives(machine, EDGE, outside, 148.0)
    assert not arrives(machine, EDGE, outside, 269.0)


@pytest.mark.parametrize("timer", ["mapping", "session"])
@pytest.mark.parametrize(("outbound", "inbound"), [(True, True), (True, False), (False, True), (False, False)])
def test_each_direction_refreshes_as_it_is_told_to(timer: str, outbound: bool, inbound: bool) -> None:
    def alive_at_50(direction: str) -> bool:
        machine = nat(
            unreplied_s=30.0, replied_s=30.0, timer=timer, refresh_outbound=outbound, refresh_inbound=inbound
        )
        outside = out(machine, A)
        if direction == "out":
            out(machine, A, now=25.0)
        else:
            arrives(machine, EDGE, outside, 25.0)
        return arrives(machine, EDGE, outside, 50.0)

    assert alive_at_50("out") == outbound
    assert alive_at_50("in") == inbound


def test_the_timer_of_a_mapping_is_refreshed_by_any_peer_and_that_of_a_session_by_its_own() -> None:
    def reachable(timer: str) -> bool:
        machine = nat(filtering="address_and_port_dependent", unreplied_s=30.0, timer=timer)
        outside = out(machine, A)
        out(machine, A, STRANGER, now=20.0)
        return arrives(machine, EDGE, outside, 40.0)

    assert reachable("mapping")
    assert not reachable("session")


def test_a_reboot_forgets_everything() -> None:
    machine = nat()
    outside = out(machine, A)
    machine.reboot()
    assert not arrives(machine, EDGE, outside)
    assert machine.mappings(0.0) == []


def test_an_icmp_error_finds_the_sender_and_refreshes_nothing() -> None:
    machine = nat(unreplied_s=30.0)
    outside = out(machine, A)
    assert machine.error_inbound("udp", outside, EDGE, 29.0) == A
    assert machine.error_inbound("udp", outside, STRANGER, 29.0) is None
    assert machine.error_inbound("udp", outside, EDGE, 31.0) is None


def test_an_exhausted_nat_serves_those_it_has_and_recovers() -> None:
    machine = nat(first_port=2000, last_port=2003, preserve_port=False, parity=False, unreplied_s=30.0)
    kept = [out(machine, ("10.0.0.1", port)) for port in range(4)]
    assert len(set(kept)) == 4
    assert machine.outbound("udp", A, EDGE, 1.0) == Dropped("ports exhausted")
    assert out(machine, ("10.0.0.1", 0), now=1.0) == kept[0]
    assert out(machine, A, now=32.0) in kept


def test_a_full_table_takes_no_more() -> None:
    machine = nat(max_sessions=1)
    out(machine, A)
    assert machine.outbound("udp", A, STRANGER, 0.0) == Dropped("table full")


# --- TCP ----------------------------------------------------------------------------------------------------


def connected(machine: Nat, now: float = 0.0) -> tuple[str, int]:
    opened = machine.outbound("tcp", A, EDGE, now, "syn")
    assert isinstance(opened, Passed)
    machine.inbound("tcp", EDGE, opened.source, now, "syn_ack")
    machine.outbound("tcp", A, EDGE, now)
    return opened.source


def test_a_connection_lasts_longer_once_it_stands() -> None:
    machine = nat(tcp_transitory_s=60.0, tcp_established_s=600.0)
    outside = connected(machine)
    assert machine.inbound("tcp", EDGE, outside, 599.0) == Passed(EDGE, A, inward=True)
    half_open = nat(tcp_transitory_s=60.0, tcp_established_s=600.0)
    half_open.outbound("tcp", A, EDGE, 0.0, "syn")
    assert half_open.sessions(61.0) == 0


@pytest.mark.parametrize(
    ("unknown", "verdict"),
    [
        ("drop", Dropped("unknown connection")),
        ("reset", Dropped("unknown connection", True)),
        ("adopt", Passed((OUTSIDE, 5060), EDGE, inward=False)),
    ],
)
def test_what_becomes_of_a_connection_that_was_forgotten(unknown: str, verdict: object) -> None:
    machine = nat(tcp_established_s=600.0, tcp_unknown=unknown)
    connected(machine)
    assert machine.outbound("tcp", A, EDGE, 700.0) == verdict


def test_a_closed_connection_is_soon_forgotten() -> None:
    machine = nat(tcp_transitory_s=60.0, tcp_established_s=600.0)
    connected(machine)
    machine.outbound("tcp", A, EDGE, 1.0, "fin")
    assert machine.sessions(62.0) == 0


def test_from_outside_only_a_syn_begins_a_connection() -> None:
    machine = nat()
    outside = connected(machine)
    assert machine.inbound("tcp", STRANGER, outside, 1.0) == Dropped("unknown connection")
    assert isinstance(machine.inbound("tcp", STRANGER, outside, 1.0, "syn"), Passed)
    assert isinstance(machine.inbound("tcp", STRANGER, outside, 1.1), Passed)


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"unreplied_s": -1.0}, "0 s or more"),
        ({"replied_s": float("nan")}, "0 s or more"),
        ({"first_port": 5, "last_port": 4}, "the lower first"),
        ({"max_sessions": 0}, "1 or more"),
        ({"overloading": True}, "make filtering address_and_port_dependent"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_a_remedy(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        NatSettings(**settings)


def test_home_gateways_differ_from_device_to_device_within_what_was_measured() -> None:
    preset = PRESETS["home_gateway"]
    drawn = [preset.devices(Random(seed))[0] for seed in range(500)]
    unreplied = sorted(settings.unreplied_s for settings in drawn)
    replied = sorted(settings.replied_s for settings in drawn)
    assert unreplied[0] == 30.0
    assert replied[0] >= 30.0
    assert unreplied[250] == pytest.approx(90.0, rel=0.15)
    assert replied[250] == pytest.approx(180.0, rel=0.15)
    assert sum(each <= 120.0 for each in unreplied) / len(drawn) == pytest.approx(0.9, abs=0.04)
    assert all(settings.unreplied_s <= settings.replied_s for settings in drawn)


def test_every_preset_says_where_it_comes_from_and_works() -> None:
    for name, preset in PRESETS.items():
        assert preset.source, name
        for settings in preset.devices(Random(0)):
            machine = Nat(settings, [OUTSIDE], Random(0))
            assert arrives(machine, EDGE, out(machine, A)), name


def test_presets_are_reached_from_strangers_as_their_names_say() -> None:
    def strangers(name: str) -> tuple[bool, bool]:
        machine = Nat(PRESETS[name].stages[0], [OUTSIDE], Random(0))
        outside = out(machine, A)
        return arrives(machine, EDGE_OTHER_PORT, outside), arrives(machine, STRANGER, outside)

    assert strangers("full_cone") == (True, True)
    assert strangers("restricted") == (True, False)
    for name in ("port_restricted", "symmetric", "linux_masquerade", "home_gateway"):
        assert strangers(name) == (False, False), name


def test_an_overloaded_port_tells_its_users_apart_by_their_peers() -> None:
    machine = Nat(replace(PRESETS["linux_masquerade"].stages[0]), [OUTSIDE], Random(0))
    assert out(machine, A) == out(machine, B, STRANGER) == (OUTSIDE, 5060)
    assert machine.inbound("udp", EDGE, (OUTSIDE, 5060), 1.0) == Passed(EDGE, A, inward=True)
    assert machine.inbound("udp", STRANGER, (OUTSIDE, 5060), 1.0) == Passed(STRANGER, B, inward=True)
