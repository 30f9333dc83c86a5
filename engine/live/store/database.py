"""One database by its URL: SQLite, MariaDB or MySQL, PostgreSQL. All calls block, so they are made in a thread."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BindParameter,
    Connection,
    Dialect,
    Engine,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
)
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from engine.boundary import Record, RecordKind
from engine.live.errors import LiveError, reason_of
from engine.live.store.rows import TABLES, Row, id_of, records_of, row_of
from engine.live.store.tables import BINDINGS, SECRETS
from engine.records.queue import Batch

# What it says of connections that die is told by a Note. Without a handler it would write to stderr, at length.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

CONNECT_S = 2
ANSWER_S = 5
"""A database that is frozen fails so late; meanwhile the edge goes on from memory."""

_DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql", "postgresql": "postgresql+pg8000"}
_CHUNKS = (64, 32, 16, 8, 4, 2, 1)  # rows in one statement: few statements, and few sizes to be compiled
_TOKEN_KEY = "flow tokens"
_PASSWORDS = ("password", "passwd", "pwd")


class AwayError(LiveError):
    """The database does not answer, or fails; it may be back later."""


class Database:
    """A store's tables in one database.

    Parameters
    ----------
    url
        As SQLAlchemy writes it, such as ``sqlite:////var/lib/siptwin/edge1.db``, ``mysql://siptwin@db/siptwin`` or
        ``postgresql://siptwin@db/siptwin``; a driver may be named after a ``+``.
    password
        Where the URL has none.

    Raises
    ------
    LiveError
        The URL means nothing, or its driver is not installed.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self.url = _read(url, password)
        self.engine = engine_of(self.url, pool_size=2, max_overflow=0)
        if self.embedded:
            event.listen(self.engine, "connect", _on_sqlite)
        self._statements: dict[tuple[str, int], tuple[str, bool]] = {}

    @property
    def name(self) -> str:
        """The URL as it may be shown."""
        return shown(self.url)

    @property
    def embedded(self) -> bool:
        """Whether it is a file of our own."""
        return self.url.get_backend_name() == "sqlite"

    def close(self) -> None:
        self.engine.dispose()

    # --- reading

    def load(self, edge: str, now: float) -> list[Record]:
        """What an edge is to know at its start, ``now`` on the wall clock: all bindings, its dialogs and nodes.

        Raises
        ------
        AwayError
            The database does not give it.
        """
        found: list[Record] = []
        with self._connected() as connection:
            connection.execute(delete(BINDINGS).where(BINDINGS.c.expires_at < now))
            for kind, table in TABLES.items():
                query = select(table) if table is BINDINGS else select(table).where(table.c.edge == edge)
                found += records_of(kind, (tuple(row) for row in connection.execute(query)))
        return found

    def secret(self) -> str:
        """The key of the flow tokens, which all edges on this database share; made at the first call.

        Raises
        ------
        AwayError
            The database does not give it.
        """
        query = select(SECRETS.c.value).where(SECRETS.c.name == _TOKEN_KEY)
        with self._connected() as connection:
            known: str | None = connection.execute(query).scalar()
        if known is not None:
            return known
        try:
            with self.engine.begin() as connection:
                made = secrets.token_hex(32)
                connection.execute(insert(SECRETS), {"name": _TOKEN_KEY, "value": made})
                return made
        except IntegrityError:  # another edge was quicker
            with self._connected() as connection:
                return str(connection.execute(query).scalar())
        except SQLAlchemyError as error:
            raise AwayError(f"{self.name}: {reason(error)}") from None

    # --- writing

    def apply(self, batch: Batch) -> None:
        """Write a batch in one transaction.

        Raises
        ------
        AwayError
            It is not written, or nobody knows.
        """
        saves: dict[RecordKind, list[Row]] = {}
        for record in batch.saves:
            saves.setdefault(record.at.kind, []).append(row_of(record))
        drops: dict[tuple[RecordKind, str], list[str]] = {}
        for key in batch.drops:
            drops.setdefault((key.kind, key.edge), []).append(id_of(key))
        with self._connected() as connection:
            for kind, rows in saves.items():
                self._upsert(connection, TABLES[kind], rows)
            for (kind, edge), ids in drops.items():
                table = TABLES[kind]
                listed: BindParameter[str] = bindparam("ids", expanding=True)
                statement = delete(table).where(table.c.id.in_(listed), table.c.edge == edge)
                for start in range(0, len(ids), 500):
                    connection.execute(statement, {"ids": ids[start : start + 500]})

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise AwayError(f"{self.name}: {reason(error)}") from None
        except LiveError:
            raise
        except Exception as error:  # drivers let through what they trip over: struct.error, IndexError, ...
            raise AwayError(f"{self.name}: {_fault(error)}") from None

    def _upsert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        start = 0
        for size in _CHUNKS:
            while len(rows) - start >= size:
                text, by_position = self._statement(table, size)
                values = tuple(chain.from_iterable(rows[start : start + size]))
                if by_position:
                    connection.exec_driver_sql(text, values)
                else:
                    names = (f"{column.name}_{n}" for n in range(size) for column in table.columns)
                    connection.exec_driver_sql(text, dict(zip(names, values, strict=True)))
                start += size

    def _statement(self, table: Table, size: int) -> tuple[str, bool]:
        """The text of an upsert of so many rows, and whether its values go by their positions or by names."""
        known = self._statements.get((table.name, size))
        if known is None:
            compiled = _upsert(self.engine, table, size).compile(dialect=self.engine.dialect)
            known = self._statements[table.name, size] = str(compiled), bool(self.engine.dialect.positional)
        return known


def engine_of(url: URL, **settings: Any) -> Engine:
    """SQLAlchemy's engine for a database, bound in time, whose driver's own complaints are one line.

    Raises
    ------
    LiveError
        The driver is not installed.
    """
    try:
        engine = create_engine(url, connect_args=_time_outs(url), hide_parameters=True, **settings)
    except (ImportError, NoSuchModuleError) as error:
        raise LiveError(f"{shown(url)}: {_missing(url, error)}") from None
    except (ArgumentError, ValueError) as error:
        raise _unusable(url, error) from None
    event.listen(engine, "do_connect", partial(_connect, url))
    return engine


def _connect(url: URL, dialect: Dialect, _record: object, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
    """Connect; what a driver says of parameters that it can't use is not the word of a database that is away.

    Where there are none, what it trips over is what the other side has said: a greeting that is cut off, nonsense.
    """
    try:
        return dialect.connect(*args, **settings)
    except dialect.loaded_dbapi.Error:
        raise  # SQLAlchemy's to tell
    except OSError as error:
        raise AwayError(f"{shown(url)}: {reason_of(error)}") from None
    except UnicodeEncodeError:  # its text would show what cannot be written
        raise LiveError(f"{shown(url)}: user or password has characters that its driver cannot send") from None
    except Exception as error:
        if url.query and isinstance(error, (TypeError, ValueError, LookupError, AttributeError)):
            raise _unusable(url, error) from None
        raise AwayError(f"{shown(url)}: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _unusable(url: URL, error: Exception) -> LiveError:
    why = " ".join(str(error).split())
    remedy = "correct what stands after the ? of its URL"
    return LiveError(f"{shown(url)}: its driver cannot use a parameter ({why}) - {remedy}")


def shown(url: URL) -> str:
    """A URL without its password, and without its query, where drivers take passwords too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _upsert(engine: Engine, table: Table, size: int) -> Any:
    values: list[dict[str, Any]] = [
        {column.name: bindparam(f"{column.name}_{n}") for column in table.columns} for n in range(size)
    ]
    rest = [column.name for column in table.columns if column.name != "id"]
    backend = engine.dialect.name
    if backend in ("mysql", "mariadb"):
        mysql = mysql_insert(table).values(values)
        return mysql.on_duplicate_key_update({name: mysql.inserted[name] for name in rest})
    made = (postgresql_insert if backend == "postgresql" else sqlite_insert)(table).values(values)
    return made.on_conflict_do_update(index_elements=["id"], set_={name: made.excluded[name] for name in rest})


def _read(url: str, password: str | None) -> URL:
    authority = url.partition("://")[2]
    if not authority.startswith("/") and set("@/?") & set(authority.rpartition("@")[0]):
        raise LiveError(  # whatever parses it would take the end of the password for a host or a database
            "a database's URL has an @, / or ? before its last @ - in user, password and what stands after the ? "
            "write them as %40, %2F and %3F, or use password_env"
        )
    try:
        read = make_url(url)
    except (ArgumentError, ValueError):  # ValueError where the port is no number
        raise LiveError(
            "a database's URL makes no sense - write it as sqlite:////path/file.db, mysql://user@host/name or "
            "postgresql://user@host/name"
        ) from None
    if any(name.lower() in _PASSWORDS for name in read.query):
        raise LiveError(f"{shown(read)} has a password in its query - use password_env or password_file")
    if read.port is not None and not 0 < read.port < 65_536:
        raise LiveError(f"{shown(read)}: there is no port {read.port}")
    if read.drivername.startswith("sqlite") and (
        read.host or read.query or read.database in (None, "", ":memory:")
    ):
        raise LiveError(f"{shown(read)} names no file alone - write sqlite:////path/file.db")
    read = read.set(drivername=_DRIVERS.get(read.drivername, read.drivername))
    return read.set(password=password) if password is not None and read.password is None else read


def _time_outs(url: URL) -> dict[str, Any]:
    """What each driver calls them: an answer that never comes must fail some time."""
    driver = url.get_driver_name()
    if driver == "pymysql":
        return {"connect_timeout": CONNECT_S, "read_timeout": ANSWER_S, "write_timeout": ANSWER_S}
    if driver in ("pg8000", "pysqlite"):
        return {"timeout": ANSWER_S}
    return {}


def _on_sqlite(connection: Any, _record: object) -> None:
    """WAL lets readers and the writer go on beside each other; NORMAL outlives any end of the process.

    What a loss of power may take are the last transactions, never the file (https://sqlite.org/wal.html).
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _missing(url: URL, error: Exception) -> str:
    extra = {"mysql": "mysql", "mariadb": "mysql", "postgresql": "postgresql"}.get(url.get_backend_name())
    remedy = f"pip install 'siptwin[{extra}]'" if extra else "check the word before ://"
    return f"its driver is missing ({error}) - {remedy}"


def reason(error: SQLAlchemyError) -> str:
    """What is wrong, in one line and without the statement, whose values are nobody's business."""
    original = getattr(error, "orig", None)
    if original is None:
        return str(error).split("\n")[0]
    if isinstance(original.__cause__, OSError):
        return f"{' '.join(map(str, original.args))}: {reason_of(original.__cause__)}"
    args = [str(_said(arg)) for arg in original.args if not isinstance(arg, int)]
    return " ".join(" ".join(args).split())[:300] or type(original).__name__


def _said(arg: object) -> object:
    """What PostgreSQL says comes field by field; ``M`` is the message to be read."""
    return arg.get("M", arg) if isinstance(arg, dict) else arg


def file_of(url: URL) -> Path | None:
    """The file of a SQLite database; None for other databases, and for one in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)
