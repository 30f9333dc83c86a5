"""Which NATs let media through to each other without a relay."""

from __future__ import annotations

from lab.hole_punching import SIMPLE_NATS, hole_punching


def test_a_relay_is_needed_where_a_symmetric_nat_meets_one_that_asks_for_the_port() -> None:
    table = hole_punching().set_index(["one", "other"])["direct"]
    assert len(table) == len(SIMPLE_NATS) ** 2
    relayed = {pair for pair, share in table.items() if share == 0.0}
    strict = "symmetric", "port_restricted"
    assert relayed == {(strict[0], strict[0]), strict, strict[::-1]}
    assert set(table) == {0.0, 1.0}


def test_agents_behind_one_linux_do_not_hear_each_other_for_it_does_not_hairpin() -> None:
    behind_one = hole_punching(["full_cone", "linux_masquerade"], behind_one=True)
    assert behind_one["direct"].tolist() == [1.0, 0.0]


def test_devices_that_differ_are_tried_as_pairs() -> None:
    table = hole_punching(["home_gateway"], pairs=5)
    assert table["pairs"].tolist() == [5]
    assert table["direct"].tolist() == [1.0]
