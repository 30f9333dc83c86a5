"""The tables in a real database: what is written is read, whoever wrote it, and one line says what is wrong."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server
from sqlalchemy import text

from engine.boundary import BindingRecord, DialogRecord, NodeRecord, Record, RescueRecord
from engine.live import LiveError
from engine.live.store import Database, schema
from engine.live.store.database import AwayError
from engine.records.queue import Batch

ODD = bytes(range(256))
"""Wire octets may be anything: no collation or encoding may change or refuse them."""


def binding(number: int, edge: str = "edge1", expires_at: float = 2e9) -> BindingRecord:
    key = number.to_bytes(8, "big")
    head = (key, edge, b"1000@lab.test", b"<sip:1000@192.168.1.20>;x=" + ODD, "udp", "203.0.113.9", 41_000, 0)
    return BindingRecord(*head, b"callcall", 2**31 - 1, expires_at, 2e9 + 0.25, "FS1", 9, True)


def dialog(number: int, edge: str = "edge1") -> DialogRecord:
    return DialogRecord(edge, b"%d@" % number + ODD, b"tag", "FS1", "pstn" * 40, 1.5)


def in_order(records: list[Record]) -> list[Record]:
    return sorted(records, key=repr)


_NAMES = itertools.count()


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty store in a database of its own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/records.db"
    else:
        server: Server = request.getfixturevalue(f"{request.param}_server")
        url = server.database(f"records{next(_NAMES)}")
    opened = Database(url)
    if not opened.embedded:
        with pytest.raises(LiveError):
            schema.check(opened)
    schema.create(opened)
    yield opened
    opened.close()


def test_what_is_written_is_read_octet_for_octet(database: Database) -> None:
    records: list[Record] = [
        *map(binding, range(75)),
        *map(dialog, range(130)),
        NodeRecord("edge1", "FS1", "down"),
        RescueRecord("edge1", ODD, b"t", ODD, ODD * 20, 7.5),
    ]
    database.apply(Batch(records, []))
    database.apply(Batch(records[:9], []))  # again
    shortened = [
        each._replace(resource=each.resource[:64]) if isinstance(each, DialogRecord) else each for each in records
    ]
    assert in_order(database.load("edge1", 1e9)) == in_order(shortened)
    database.apply(Batch([], [each.at for each in records[5:]]))
    assert in_order(database.load("edge1", 1e9)) == in_order(records[:5])


def test_edges_share_bindings_and_nothing_else(database: Database) -> None:
    database.apply(Batch([dialog(1), dialog(1, "edge2"), NodeRecord("edge2", "FS1", "draining"), binding(1)], []))
    assert set(database.load("edge2", 1e9)) == {
        dialog(1, "edge2")._replace(resource="pstn" * 16),
        NodeRecord("edge2", "FS1", "draining"),
        binding(1),
    }


def test_an_edge_drops_no_binding_that_another_has_taken_over(database: Database) -> None:
    database.apply(Batch([binding(1)], []))
    database.apply(Batch([binding(1, "edge2")], []))
    database.apply(Batch([], [binding(1, "edge1").at]))
    assert database.load("edge1", 1e9) == [binding(1, "edge2")]


def test_bindings_that_are_over_are_forgotten(database: Database) -> None:
    database.apply(Batch([binding(1, expires_at=1000.0), binding(2, expires_at=3000.0)], []))
    assert database.load("edge1", 2000.0) == [binding(2, expires_at=3000.0)]
    assert database.load("edge1", 0.0) == [binding(2, expires_at=3000.0)]


def test_all_who_share_it_have_one_secret(database: Database) -> None:
    other = Database(database.url.render_as_string(hide_password=False))
    assert len(database.secret()) == 64
    assert other.secret() == database.secret()
    other.close()


def test_tables_are_made_once_and_kept(database: Database) -> None:
    database.apply(Batch([binding(1)], []))
    assert schema.create(database) == schema.upgrade(database) == "0004"
    schema.check(database)
    assert database.load("edge1", 1e9) == [binding(1)]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "write it as sqlite"),
        ("mysql://u@h:abc/db", "write it as sqlite"),
        ("sqlite://", "names no file alone"),
        ("sqlite:///:memory:", "names no file alone"),
        ("oracle17://x/y", "check the word before ://"),
        ("sqlite:////dev/null/x.db", "choose another path"),
        ("mysql://u@h:99999/db", "there is no port 99999"),
        ("mysql://u@h:0/db", "there is no port 0"),
        ("mysql://u@127.0.0.1:1/db?nonsense=1", "cannot use a parameter .*nonsense.* what stands after the [?]"),
        ("mysql://u@127.0.0.1:1/db?charset=klingon", "cannot use a parameter"),
        ("mysql://u@127.0.0.1:1/db?local_infile=x", "cannot use a parameter"),
        ("mysql://u@127.0.0.1:1/db?ssl_ca=/nowhere/ca.pem", "o such file"),
        ("postgresql://u@127.0.0.1:1/db?sslmode=require", "cannot use a parameter .*sslmode"),
        ("postgresql://u@/db?unix_sock=/nowhere/s", "error: no such file"),
        ("sqlite:////tmp/x.db?mode=ro", "names no file alone"),
    ],
)
def test_what_is_wrong_with_a_url_is_one_line(url: str, says: str) -> None:
    with pytest.raises(LiveError, match=says) as raised:
        schema.create(Database(url))
    assert "\n" not in str(raised.value)


def test_no_password_is_shown() -> None:
    database = Database("mysql://siptwin@127.0.0.1:1/siptwin", "top secret")
    assert "top" not in database.name
    with pytest.raises(AwayError) as raised:
        database.load("edge1", 0.0)
    assert "top" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://siptwin:half@whole@h/db", "before its last @"),
        ("mysql://siptwin:half/whole@h:1:2/db", "before its last @"),
        ("mysql://siptwin:half@x/whole@h/db", "before its last @"),
        ("mysql://siptwin:half@x?whole@h/db", "before its last @"),
        ("mysql://siptwin:half@x?y=whole@127.0.0.1:1/db", "before its last @"),
        ("mysql://sip/twin:whole@127.0.0.1:1/db", "before its last @"),
        ("postgresql://siptwin:half?whole@127.0.0.1:1/db", "before its last @"),
        ("sqlite://siptwin:half@whole@h/x.db", "before its last @"),
        ("mysql://siptwin:whole@h:70000/db", "there is no port 70000"),
        ("mysql://siptwin@h/db?password=whole", "use password_env"),
        ("postgresql://siptwin@h/db?PASSWD=whole", "use password_env"),
        ("mysql://siptwin:whole@127.0.0.1:1/db?x=whole", "cannot use a parameter"),
        ("oracle17://siptwin:whole@h/y", "check the word before ://"),
        ("mysql://siptwin:wh%E2%82%AColewhole@127.0.0.1:1/db", "that its driver cannot send"),
        ("mysql://siptwin:whole%40%2F%3A@127.0.0.1:1/db", "127.0.0.1"),
    ],
)
def test_no_part_of_a_password_is_shown_by_what_is_wrong_with_its_url(url: str, says: str) -> None:
    with pytest.raises(LiveError, match=says) as raised:
        Database(url).load("edge1", 0.0)
    assert "\n" not in str(raised.value)
    for part in ("whole", "half", "\u20ac"):
        assert part not in str(raised.value)


def test_an_escaped_password_is_the_one_that_is_sent() -> None:
    assert Database("mysql://u:p%40ss%2F%3A%25@h/db").url.password == "p@ss/:%"
    assert Database("mysql://u@h/db", "p@ss/:%").url.password == "p@ss/:%"


def test_tables_that_are_missing_or_of_another_version_are_told_with_the_remedy(database: Database) -> None:
    if database.embedded:
        pytest.skip("a file of our own is made and upgraded without a word")
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE siptwin_schema SET version_num = '0000'"))
    with pytest.raises(LiveError, match=r"version 0000, not \d+ - run `siptwin db upgrade`"):
        schema.check(database)
    with pytest.raises(LiveError, match="newer siptwin's"):
        schema.upgrade(database)
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM siptwin_schema"))
    with pytest.raises(LiveError, match="run `siptwin db create`"):
        schema.check(database)


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    opened = Database(f"sqlite:///{tmp_path}/new/records.db")
    schema.create(opened)
    opened.close()
    assert stat.S_IMODE((tmp_path / "new" / "records.db").stat().st_mode) == 0o600
