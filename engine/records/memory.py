"""What an edge takes over of its own earlier life, and what it tells the next one of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.boundary import BindingRecord, DialogRecord, Effect, NodeRecord, Record, RescueRecord
from engine.dialogs import DialogTable
from engine.nodes import Node, Pool, state
from engine.notes import RecordsRestored
from engine.records.records import Records
from engine.registrar import Registrar

_KEPT_STATES = (state.DOWN, state.DRAINING, state.DISABLED)


class Memory:
    """Restores records into the rooms that they came from. What has happened in this life counts more."""

    __slots__ = ("_dialogs", "_out", "_pool", "_records", "_registrar", "_states", "restore_rescues")

    def __init__(
        self, records: Records, pool: Pool, dialogs: DialogTable, registrar: Registrar, out: list[Effect]
    ) -> None:
        self._records = records
        self._pool = pool
        self._dialogs = dialogs
        self._registrar = registrar
        self._out = out
        self.restore_rescues: Callable[[list[RescueRecord], float], None] | None = (
            None  # None: calls end with their node
        )
        self._states: dict[str, str] = {}  # of the nodes, as the store knows them

    def restore(self, records: Iterable[Record], now: float) -> None:
        """Take over what the store held."""
        bindings: list[BindingRecord] = []
        dialogs: list[DialogRecord] = []
        nodes: list[NodeRecord] = []
        rescues: list[RescueRecord] = []
        for record in records:
            if isinstance(record, BindingRecord):
                bindings.append(record)
            elif isinstance(record, DialogRecord):
                dialogs.append(record)
            elif isinstance(record, RescueRecord):
                rescues.append(record)
            else:
                nodes.append(record)
        self._out.append(
            RecordsRestored(
                sum(self._registrar.restore(each, now) for each in bindings),
                self._restore_dialogs(dialogs, now),
                sum(self._restore_node(each, now) for each in nodes),
            )
        )
        if self.restore_rescues is not None:
            self.restore_rescues(rescues, now)
        else:
            for each in rescues:
                self._records.drop("rescues", each.at.name)

    def _restore_dialogs(self, records: list[DialogRecord], now: float) -> int:
        count = 0
        for record in sorted(records, key=lambda record: record.began_at):
            node = self._pool.get(record.node)
            began_at = record.began_at - self._records.wall_offset_s
            if node is None or not self._dialogs.restore(record, node, began_at, now):
                self._records.drop("dialogs", record.at.name)
            else:
                count += 1
        self._dialogs.restored(now)
        return count

    def _restore_node(self, record: NodeRecord, now: float) -> bool:
        node = self._pool.get(record.node)
        self._states[record.node] = record.state
        if node is None or record.state not in _KEPT_STATES:
            return False
        return self._pool.restore(node, record.state, now)

    def node_changed(self, node: Node) -> None:
        """Keep a node's state where it means something to the next life: down, or taken out by order."""
        if not self._records.kept:
            return
        kept = node.state if node.state in _KEPT_STATES else state.ACTIVE
        if self._states.get(node.name, state.ACTIVE) != kept:
            self._states[node.name] = kept
            self._records.save(NodeRecord(self._records.edge, node.name, kept), "nodes")
