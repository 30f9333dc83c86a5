"""Creates a store's tables and brings them up to date (Alembic)."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import SQLAlchemyError

from engine.live.errors import LiveError, reason_of
from engine.live.store.database import AwayError, Database, engine_of, file_of, reason
from engine.live.store.tables import VERSION_TABLE


def create(database: Database) -> str:
    """Create the database where it does not exist, then its tables; the result is the schema's version.

    Raises
    ------
    LiveError
        It cannot be created.
    """
    url = database.url
    name = url.database or ""
    quoted = database.engine.dialect.identifier_preparer.quote(name)
    backend = url.get_backend_name()
    try:
        if path := file_of(url):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds the key of the flow tokens
        elif backend in ("mysql", "mariadb"):
            _run(url.set(database=""), database, f"CREATE DATABASE IF NOT EXISTS {quoted}")
        elif backend == "postgresql":
            _run(url.set(database="postgres"), database, f"CREATE DATABASE {quoted}", unless=name)
    except OSError as error:
        raise LiveError(f"{database.name}: {reason_of(error)} - choose another path") from None
    except SQLAlchemyError as error:
        raise LiveError(f"{database.name}: {reason(error)}") from None
    return upgrade(database)


def upgrade(database: Database) -> str:
    """Bring the tables to this version of siptwin; the result is the schema's version.

    Raises
    ------
    LiveError
        They cannot be changed, or are those of a newer siptwin.
    """
    with as_file(files("engine.live.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        try:
            with database.engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                return _version(connection)
        except CommandError as error:
            raise LiveError(f"{database.name}: {error} - are its tables a newer siptwin's?") from None
        except SQLAlchemyError as error:
            raise LiveError(f"{database.name}: {reason(error)}") from None


def check(database: Database) -> None:
    """See that the tables are there and as this siptwin wants them; a file of our own is made so.

    Raises
    ------
    LiveError
        With the command that helps.
    """
    if database.embedded:
        create(database)
        return
    with as_file(files("engine.live.store") / "migrations") as folder:
        newest = ScriptDirectory(str(folder)).get_current_head()
    try:
        with database.engine.connect() as connection:
            found = _version(connection)
    except SQLAlchemyError as error:
        raise AwayError(f"{database.name}: {reason(error)}") from None
    if not found:
        raise LiveError(f"{database.name} has no tables of siptwin - run `siptwin db create`")
    if found != newest:
        raise LiveError(f"{database.name} has tables of version {found}, not {newest} - run `siptwin db upgrade`")


def _version(connection: Connection) -> str:
    return (
        MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision() or ""
    )


def _run(url: URL, database: Database, statement: str, unless: str = "") -> None:
    """Run a statement outside any transaction, unless a database of that name exists."""
    engine = engine_of(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            known = "SELECT 1 FROM pg_database WHERE datname = :name"
            if not unless or connection.execute(text(known), {"name": unless}).scalar() is None:
                connection.execute(text(statement))
    finally:
        engine.dispose()
