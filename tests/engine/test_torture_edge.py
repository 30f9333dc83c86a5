"""Every torture message of RFC 4475 and RFC 5118 meets a permitted end at an edge, which lives on."""

from __future__ import annotations

import pytest

from tests.engine.harness import World
from tests.engine.torture import FOLDER, MISSING, Torture, messages

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=MISSING)


def outcomes(world: World, message: Torture) -> set[str]:
    """What became of the message: final statuses back to the sender, F where it was forwarded, else D."""
    sender = world.peer("198.51.100.66")
    sender.sends(message.data)
    answers = [wire for wire in world.sent if not wire.is_request and wire.status >= 200]
    found = {str(wire.status) for wire in answers}
    if any(wire.is_request for wire in world.sent):
        found.add("F")
    return found or {"D"}


@pytest.mark.parametrize("message", messages(), ids=str)
def test_the_outcome_is_permitted(message: Torture) -> None:
    world = World(nodes=["FS1"], domains=("example.com",))
    found = outcomes(world, message)
    permitted = {each.rstrip("!") for each in message.permitted}
    assert found <= permitted, f"{message.name}: {sorted(found)}, permitted {sorted(permitted)}"
    assert world.caller.request("OPTIONS").statuses == [200]
    world.run_out()
    assert world.edge.open_transactions() == 0


def test_all_at_one_edge_one_after_the_other() -> None:
    world = World(nodes=["FS1"])
    for message in messages():
        world.peer("198.51.100.66").sends(message.data)
    assert world.caller.request("OPTIONS").statuses == [200]
    world.run_out()
    assert world.edge.open_transactions() == 0
    assert world.edge.idle


def test_all_are_there() -> None:
    assert len(messages()) == 49 + 12
