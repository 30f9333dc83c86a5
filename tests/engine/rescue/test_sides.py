"""Which two dialogs are one conversation: only what is proven counts."""

from __future__ import annotations

import pytest

from engine.boundary import Flow
from engine.rescue.bridges import Bridge
from engine.rescue.node_side import NodeSide
from engine.rescue.sides import Alone, Sides
from engine.timers import TimerQueue
from engine.ua.dialog import Dialog

FLOW = Flow("outside", ("198.51.100.7", 5060))


def side(
    call_id: str, *, mark: str = "m", node: str = "FS1", calls: bool = False, moved: bool = False
) -> NodeSide:
    dialog = Dialog(b"From: <sip:n@h>;tag=n", b"To: <sip:a@h>;tag=a", b"Call-ID: x", [], b"sip:a@h", FLOW)
    made = NodeSide((call_id.encode(), b"t"), node, mark.encode(), dialog, b"sip:n@h", b"", FLOW)
    made.node_calls = calls
    made.transferred = moved
    return made


def sides(*all_of_them: NodeSide, bridged: dict[str, str] | None = None) -> Sides:
    """``bridged``: what the nodes' events say of calls, "" for one that is connected to nobody."""

    def said(_node: str, call_id: bytes, _now: float) -> Bridge | None:
        found = None if bridged is None else bridged.get(call_id.decode())
        return None if found is None else Bridge(bool(found), found.encode())

    table = Sides(TimerQueue(), 3600.0, said)
    for each in all_of_them:
        table.add(each, 0.0)
    return table


A, B = "a", "b"


def test_a_mark_that_the_node_copied_pairs_a_caller_with_a_callee() -> None:
    one, other = side(A), side(B, calls=True)
    table = sides(one, other, side("c", mark="another"))
    assert table.partner(one, 0.0) is other
    assert table.partner(other, 0.0) is one


@pytest.mark.parametrize(
    ("one", "others", "why"),
    [
        (side(A), [], "no other call bears its mark"),
        (side(A, mark=""), [side(B, mark="", calls=True)], "no other call bears its mark"),
        (side(A), [side(B, calls=True, node="FS2")], "no other call bears its mark"),
        (side(A), [side(B, calls=True), side("c", calls=True)], "several calls could be its other half"),
        (side(A), [side(B)], "what bears its mark is not its other half"),
        (side(A), [side(B, calls=True, moved=True)], "what bears its mark is not its other half"),
        (side(A, moved=True), [side(B, calls=True)], "it was transferred, and the node's events are not at hand"),
    ],
)
def test_what_is_not_proven_is_no_pair(one: NodeSide, others: list[NodeSide], why: str) -> None:
    assert sides(one, *others).partner(one, 0.0) == Alone(why)


def test_what_the_node_says_counts_more_than_marks() -> None:
    one, marked, joined = side(A), side(B, calls=True), side("c", mark="x", calls=True, moved=True)
    table = sides(one, marked, joined, bridged={A: "c", "c": A})
    assert table.partner(one, 0.0) is joined
    alone = sides(one, marked, bridged={A: ""})
    assert alone.partner(one, 0.0) == Alone("the node's events say that it is connected to nobody here", True)


def test_a_dialog_is_forgotten_when_it_ends_and_at_its_lifetime_at_the_latest() -> None:
    one, other = side(A), side(B, calls=True)
    table = sides(one, other)
    table.remove(other)
    assert table.partner(one, 0.0) == Alone("no other call bears its mark")
    table.fire(3600.0)
    assert len(table) == 0
