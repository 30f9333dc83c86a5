"""Destinations in the tables of an OpenSIPS, as they stand there. Columns that its version lacks have no say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from engine.live.errors import LiveError
from engine.live.store.database import AwayError, Database, reason

Source = Literal["dispatcher", "load_balancer"]
TABLES: tuple[Source, ...] = ("dispatcher", "load_balancer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One row. ``number`` is that of the set or group, ``place`` names the row for messages."""

    source: Source
    place: str
    number: int
    uri: str
    socket: str = ""
    state: int = 0  # dispatcher: 0 active, 1 inactive, 2 probing
    weight: str = "1"  # a number since 3.0, text before
    priority: int = 0
    resources: str = ""
    probe_mode: int | None = None  # 0 never, 1 only while disabled, 2 always
    description: str = ""


def read_destinations(database: Database) -> list[Destination]:
    """All rows of both tables, in the order of their ids.

    Raises
    ------
    LiveError
        The database cannot be read, or has neither table.
    """
    try:
        with database.engine.connect() as connection:
            known = set(inspect(connection).get_table_names())
            if known.isdisjoint(TABLES):
                raise LiveError(
                    f"{database.name} has neither a table dispatcher nor load_balancer - name OpenSIPS' own"
                )
            return [row for table in TABLES if table in known for row in _rows(connection, table)]
    except SQLAlchemyError as error:
        raise AwayError(f"{database.name}: {reason(error)}") from None


def _rows(connection: Connection, table: Source) -> list[Destination]:
    found = connection.execute(text(f"SELECT * FROM {table} ORDER BY id")).mappings()
    return [_destination(table, dict(row)) for row in found]


def _destination(table: Source, row: dict[str, Any]) -> Destination:
    of_dispatcher = table == "dispatcher"
    mode = row.get("probe_mode")
    return Destination(
        source=table,
        place=f"{table} id {row['id']}",
        number=int(row["setid" if of_dispatcher else "group_id"]),
        uri=_text(row["destination" if of_dispatcher else "dst_uri"]),
        socket=_text(row.get("socket")),
        state=int(row.get("state") or 0),
        weight=_text(row.get("weight")) or "1",
        priority=int(row.get("priority") or 0),
        resources=_text(row.get("resources")),
        probe_mode=None if mode is None else int(mode),
        description=_text(row.get("description")),
    )


def _text(value: object) -> str:
    """CHAR columns are padded with blanks in PostgreSQL."""
    return "" if value is None else str(value).strip()
