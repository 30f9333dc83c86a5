"""``siptwin db``: make the tables that edges keep their records in, and bring them up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from lab.cli.options import TopologyName

if TYPE_CHECKING:
    from engine.live.store import Database

db = typer.Typer(
    no_args_is_help=True,
    help="Create the database that keeps registrations and calls over restarts, or upgrade its tables.",
)

Name: TypeAlias = Annotated[
    str | None, typer.Option("--database", metavar="NAME", help="Which of the topology's; default: the first.")
]


@db.command()
def create(topology: TopologyName, database: Name = None) -> None:
    """Create a database where there is none, and its tables. One that is there already keeps what it holds.

    Example:

        siptwin db create my.yaml
    """
    from engine.live.store import schema

    opened = _open(topology, database)
    typer.echo(f"{opened.name}: tables of version {schema.create(opened)}")


@db.command()
def upgrade(topology: TopologyName, database: Name = None) -> None:
    """Bring the tables of an earlier siptwin up to date. What they hold stays.

    Example:

        siptwin db upgrade my.yaml --database main
    """
    from engine.live.store import schema

    opened = _open(topology, database)
    typer.echo(f"{opened.name}: tables of version {schema.upgrade(opened)}")


def _open(topology: str, database: str | None) -> Database:
    from lab.databases import open_database
    from topologies import load

    return open_database(load(topology), database)
