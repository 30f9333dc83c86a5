"""Which node is chosen: the algorithms of OpenSIPS' dispatcher and load balancer, priorities, room, health."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from engine.boundary import Flow
from engine.config import NodeConfig, PassiveConfig, ProbeConfig
from engine.nodes import Choice, Node, Pool
from engine.nodes.selection import ALGORITHMS
from tests.engine.harness import node


def pool(*nodes: NodeConfig) -> Pool:
    flows = [(config, Flow("inside", (config.host, config.port))) for config in nodes]
    return Pool(flows, PassiveConfig(), ProbeConfig(), [], random.Random(5), lambda node, now: None)


def member(pool: Pool, name: str) -> Node:
    found = pool.get(name)
    assert found is not None
    return found


def choose(pool: Pool, by: str = "most_free", **wish: Any) -> Choice:
    given: dict[str, Any] = {"group": "fs", "resource": "pstn", "key": b"k", "tried": (), "now": 0.0, **wish}
    return pool.choose(given.pop("group"), given.pop("resource"), by, **given)


def chosen(pool: Pool, times: int, by: str, *, take: bool = False, keys: Iterable[bytes] = ()) -> list[str]:
    """Names of the nodes chosen one after the other; with ``take`` each choice takes a channel."""
    names = []
    for key in list(keys) or [b"k"] * times:
        choice = choose(pool, by, key=key)
        assert choice.node is not None
        if take:
            choice.node.take("pstn")
        names.append(choice.node.name)
    return names


KEYS = [b"user%d" % number for number in range(300)]


def test_first_takes_the_order_of_the_configuration() -> None:
    assert chosen(pool(node("FS2"), node("FS1")), 3, "first") == ["FS2"] * 3


def test_rotation_takes_the_one_not_chosen_for_longest() -> None:
    names = chosen(pool(node("FS1"), node("FS2"), node("FS3", weight=9)), 6, "rotation")
    assert names == ["FS1", "FS2", "FS3"] * 2


def test_round_robin_goes_by_weight_and_spreads() -> None:
    names = chosen(pool(node("FS1", weight=3), node("FS2", weight=1)), 8, "round_robin")
    assert Counter(names) == {"FS1": 6, "FS2": 2}
    assert "FS1 FS1 FS1 FS1" not in " ".join(names)


def test_random_goes_by_weight() -> None:
    names = chosen(pool(node("FS1", weight=3), node("FS2", weight=1), node("FS3", weight=0)), 2000, "random")
    counts = Counter(names)
    assert counts["FS1"] / counts["FS2"] == pytest.approx(3, rel=0.2)
    assert counts["FS3"] == 0


def test_most_free_counts_channels() -> None:
    nodes = pool(node("FS1", resources={"pstn": 10}), node("FS2", resources={"pstn": 12}))
    assert chosen(nodes, 4, "most_free", take=True) == ["FS2", "FS2", "FS1", "FS2"]


def test_most_free_gives_ties_to_the_one_not_chosen_for_longest() -> None:
    nodes = pool(*[node(name, resources={"pstn": 9}) for name in ("FS1", "FS2", "FS3")])
    assert chosen(nodes, 6, "most_free") == ["FS1", "FS2", "FS3"] * 2


def test_opensips_gives_ties_to_the_first() -> None:
    nodes = pool(*[node(name, resources={"pstn": 9}) for name in ("FS1", "FS2")])
    assert chosen(nodes, 3, "most_free_first_wins") == ["FS1"] * 3


def test_most_free_share_is_relative() -> None:
    nodes = pool(node("FS1", resources={"pstn": 100}), node("FS2", resources={"pstn": 10}))
    member(nodes, "FS1").in_use["pstn"] = 20
    assert chosen(nodes, 1, "most_free") == ["FS1"]
    assert chosen(nodes, 1, "most_free_share") == ["FS2"]


def test_latency_takes_the_quickest_and_measures_the_unknown() -> None:
    nodes = pool(node("FS1"), node("FS2"))
    member(nodes, "FS1").measured(0.010)
    assert chosen(nodes, 1, "latency") == ["FS2"]
    member(nodes, "FS2").measured(0.030)
    assert chosen(nodes, 2, "latency") == ["FS1", "FS1"]


@pytest.mark.parametrize("by", ["hash", "rendezvous"])
def test_a_hash_gives_one_key_one_node_and_spreads_the_keys(by: str) -> None:
    nodes = pool(node("FS1"), node("FS2"), node("FS3"))
    first, second = chosen(nodes, 0, by, keys=KEYS), chosen(nodes, 0, by, keys=KEYS)
    assert first == second
    assert min(Counter(first).values()) > 60


@pytest.mark.parametrize(("by", "stays"), [("rendezvous", True), ("hash", False)])
def test_when_a_node_leaves_rendezvous_moves_its_own_keys_only(by: str, stays: bool) -> None:
    nodes = pool(node("FS1"), node("FS2"), node("FS3"))
    before = chosen(nodes, 0, by, keys=KEYS)
    member(nodes, "FS2").state = "down"
    after = chosen(nodes, 0, by, keys=KEYS)
    unmoved = [old == new for old, new in zip(before, after, strict=True) if old != "FS2"]
    assert all(unmoved) is stays


@pytest.mark.parametrize("by", sorted(ALGORITHMS))
def test_each_algorithm_says_why_and_names_the_others(by: str) -> None:
    choice = choose(pool(node("FS1"), node("FS2")), by)
    assert choice.node is not None
    assert choice.why
    assert {name for name, _ in choice.passed_over} | {choice.node.name} == {"FS1", "FS2"}


# --- who may be chosen at all


def passed_over(choice: Choice) -> dict[str, str]:
    return dict(choice.passed_over)


def test_higher_priority_first() -> None:
    nodes = pool(node("FS1"), node("FS2", priority=5))
    choice = choose(nodes, "first")
    assert choice.node is member(nodes, "FS2")
    assert passed_over(choice) == {"FS1": "priority 0"}
    assert choose(nodes, "first", tried={"FS2"}).node is member(nodes, "FS1")


def test_a_healthy_node_of_lower_priority_before_a_suspect_one_of_higher() -> None:
    nodes = pool(node("FS1"), node("FS2", priority=5))
    member(nodes, "FS2").state = "suspect"
    choice = choose(nodes)
    assert choice.node is member(nodes, "FS1")
    assert passed_over(choice) == {"FS2": "suspect"}


def test_a_suspect_node_where_there_is_no_other() -> None:
    nodes = pool(node("FS1"), node("FS2"))
    member(nodes, "FS1").state = "suspect"
    member(nodes, "FS2").state = "down"
    assert choose(nodes).node is member(nodes, "FS1")


@pytest.mark.parametrize("state", ["down", "returning", "draining", "disabled"])
def test_no_call_for_a_node_in_this_state(state: str) -> None:
    nodes = pool(node("FS1"))
    member(nodes, "FS1").state = state
    choice = choose(nodes)
    assert choice.node is None
    assert passed_over(choice) == {"FS1": state}
    ignoring = choose(nodes, ignore_health=True).node
    assert (ignoring is None) == (state in ("draining", "disabled"))


def test_a_full_node_is_passed_over() -> None:
    nodes = pool(node("FS1", resources={"pstn": 1}))
    assert chosen(nodes, 1, "most_free", take=True) == ["FS1"]
    assert passed_over(choose(nodes)) == {"FS1": "no free channel of pstn"}


def test_a_node_without_the_resource_is_passed_over_and_one_without_bounds_is_not() -> None:
    nodes = pool(node("FS1", resources={"conf": 5}), node("FS2"))
    choice = choose(nodes)
    assert choice.node is member(nodes, "FS2")
    assert passed_over(choice) == {"FS1": "no free channel of pstn"}


def test_groups_are_apart() -> None:
    nodes = pool(node("FS1", groups=("a",)), node("FS2", groups=("a", "b")))
    assert choose(nodes, "first", group="b").node is member(nodes, "FS2")
    assert choose(nodes, group="none").node is None


def test_a_node_that_said_503_is_passed_over_until_its_time_is_up() -> None:
    nodes = pool(node("FS1"))
    nodes.closed(member(nodes, "FS1"), 0.0, 3.0)
    assert passed_over(choose(nodes, now=1.0)) == {"FS1": "said 503, closed for 2.0 s"}
    assert choose(nodes, now=3.0).node is not None


def test_channels_never_go_below_zero() -> None:
    one = member(pool(node("FS1", resources={"pstn": 2})), "FS1")
    one.give("pstn")
    one.give("conf")
    assert one.free("pstn") == 2
    one.take("pstn")
    one.give("pstn")
    one.give("pstn")
    assert one.free("pstn") == 2
