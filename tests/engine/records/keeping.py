"""A store that a test has in its hands: what it was ordered, and edges that begin with what it holds."""

from __future__ import annotations

from typing import Any

from engine.boundary import Commit, Committed, Drop, Loaded, Record, RecordKey, Save
from engine.config import RegistrarConfig, StoreConfig
from tests.engine.harness import World
from tests.engine.registrar.registering import edge

KEPT = StoreConfig(database="main")
SECRET = "known to each life of the edge"


def kept(registrar: RegistrarConfig | None = None, *, store: StoreConfig = KEPT, **settings: Any) -> World:
    """An edge that has a store."""
    return edge(registrar, store=store, **settings)


def held(world: World) -> dict[RecordKey, Record]:
    """What a store would hold that has carried out all orders so far."""
    found: dict[RecordKey, Record] = {}
    for order in world.orders:
        if isinstance(order, Save):
            found[order.record.at] = order.record
        elif isinstance(order, Drop):
            found.pop(order.key, None)
    return found


def commits(world: World) -> None:
    """The store has all that was ordered."""
    for order in [order for order in world.orders if isinstance(order, Commit)]:
        world.happen(Committed(order.ticket))


def next_life(before: World, registrar: RegistrarConfig | None = None, **settings: Any) -> World:
    """The edge killed and started anew at once: it gets what the store holds, and a clock with another zero."""
    after = kept(registrar, wall_offset_s=before.now, **settings)
    after.happen(Loaded(list(held(before).values())))
    return after
