"""Records as rows, and back."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Table

from engine.boundary import BindingRecord, DialogRecord, NodeRecord, Record, RecordKey, RecordKind, RescueRecord
from engine.live.store.tables import BINDINGS, DIALOGS, NODES, RESCUES

TABLES: Final[dict[RecordKind, Table]] = {
    "bindings": BINDINGS,
    "dialogs": DIALOGS,
    "nodes": NODES,
    "rescues": RESCUES,
}

Row = tuple[Any, ...]
"""The values of one row, in the order of its table's columns."""

_MOST_URI = 255
_MOST_NAME = 64  # a policy may name a resource anything; one row too long would fail all that go with it


def id_of(key: RecordKey) -> str:
    """What a record is found by in its table. A binding has one row, whichever edge wrote it last."""
    if key.kind == "bindings":
        return key.name.hex()
    return blake2b(key.edge.encode() + b"\0" + key.name, digest_size=16).hexdigest()


def row_of(record: Record) -> Row:
    """The row of a record."""
    key = id_of(record.at)
    if isinstance(record, BindingRecord):
        return (
            key,
            record.edge,
            record.aor,
            record.value,
            record.interface,
            record.host[:_MOST_NAME],
            record.port,
            record.stream,
            record.call.hex(),
            record.cseq,
            record.expires_at,
            record.granted_until,
            record.node,
            record.signs,
            int(record.stale),
        )
    if isinstance(record, DialogRecord):
        resource = record.resource[:_MOST_NAME]
        parties = record.caller[:_MOST_URI], record.callee[:_MOST_URI]
        dialog = (record.call_id, record.callee_tag, record.node, resource, record.began_at)
        return key, record.edge, *dialog, *parties
    if isinstance(record, RescueRecord):
        dialog_of = (record.call_id, record.callee_tag, record.pair)
        return key, record.edge, *dialog_of, record.half, record.began_at
    return key, record.edge, record.node, record.state


def records_of(kind: RecordKind, rows: Iterable[Row]) -> list[Record]:
    """The records of a table's rows."""
    if kind == "bindings":
        return [_binding(*row) for row in rows]
    if kind == "dialogs":
        return [DialogRecord(row[1], bytes(row[2]), bytes(row[3]), *row[4:]) for row in rows]
    if kind == "rescues":
        return [_rescue(*row) for row in rows]
    return [NodeRecord(*row[1:]) for row in rows]


def _rescue(
    _key: str, edge: str, call_id: bytes, callee_tag: bytes, pair: bytes, half: bytes, began_at: float
) -> RescueRecord:
    return RescueRecord(edge, bytes(call_id), bytes(callee_tag), bytes(pair), bytes(half), began_at)


def _binding(key: str, edge: str, aor: bytes, value: bytes, *rest: Any) -> BindingRecord:
    interface, host, port, stream, call, cseq, expires_at, granted_until, node, signs, stale = rest
    return BindingRecord(
        bytes.fromhex(key),
        edge,
        bytes(aor),
        bytes(value),
        interface,
        host,
        port,
        stream,
        bytes.fromhex(call),
        cseq,
        expires_at,
        granted_until,
        node,
        signs,
        bool(stale),
    )
