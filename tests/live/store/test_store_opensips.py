"""Nodes in the tables of an OpenSIPS, as its documentation describes them, in the databases that it knows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Server
from sqlalchemy import create_engine

from engine.boundary import Level
from engine.edge import EdgeSettings
from engine.live import LiveError
from engine.live.store import Database, schema
from lab.errors import InputError
from lab.serving import Serving

_NAMES = itertools.count()

# OpenSIPS 3.4, https://opensips.org/Documentation/Install-DBSchema-3-4; INTEGER id stands for its AUTO_INCREMENT
DISPATCHER = """CREATE TABLE dispatcher (id INTEGER PRIMARY KEY, setid INT DEFAULT 0 NOT NULL,
 destination CHAR(192) DEFAULT '' NOT NULL, socket CHAR(128) DEFAULT NULL, state INT DEFAULT 0 NOT NULL,
 probe_mode INT DEFAULT 0 NOT NULL, weight CHAR(64) DEFAULT 1 NOT NULL, priority INT DEFAULT 0 NOT NULL,
 attrs CHAR(128) DEFAULT NULL, description CHAR(64) DEFAULT NULL)"""
LOAD_BALANCER = """CREATE TABLE load_balancer (id INTEGER PRIMARY KEY, group_id INT DEFAULT 0 NOT NULL,
 dst_uri CHAR(128) NOT NULL, resources CHAR(255) NOT NULL, probe_mode INT DEFAULT 0 NOT NULL, attrs CHAR(255),
 description CHAR(128) DEFAULT NULL)"""
ROWS = (
    "INSERT INTO dispatcher (id, setid, destination, socket, state, probe_mode, weight, priority, description)"
    " VALUES"
    " (1, 1, 'sip:127.77.1.1:5060', 'udp:127.77.0.2:5060', 0, 2, '50', 10, 'FS1'),"
    " (2, 1, 'sip:127.77.1.2:5070;transport=udp', NULL, 1, 0, '25', 0, 'second site')",
    "INSERT INTO load_balancer (id, group_id, dst_uri, resources, probe_mode, description) VALUES"
    " (1, 1, 'sip:127.77.1.1:5060', 'vm=100;conf=100;transc=100;pstn=500', 2, 'FS1'),"
    " (2, 1, 'sip:127.77.1.3', 'pstn=fs://:ClueCon@127.77.1.3:8021', 1, '')",
)

TOPOLOGY = """
edges:
  edge1:
    interfaces: {{agents: {{host: 127.77.0.1}}, inside: {{host: 127.77.0.2}}}}
nodes: {{opensips: "{url}"}}
"""


class Kept:
    """An OpenSIPS' database, and a topology that reads it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine = create_engine(url)
        (folder / "site.yaml").write_text(TOPOLOGY.format(url=url))
        self.serving = Serving(str(folder / "site.yaml"), notes_from=Level.INFO)

    def do(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/opensips.db"
    else:
        server: Server = request.getfixturevalue(f"{request.param}_server")
        url = server.database(f"opensips{next(_NAMES)}")
        database = Database(url)
        schema.create(database)  # ours beside theirs
        database.close()
    place = Kept(url, tmp_path)
    yield place
    place.engine.dispose()


def test_both_tables_are_read_and_one_address_is_one_node(kept: Kept) -> None:
    kept.do(DISPATCHER, LOAD_BALANCER, *ROWS)
    first, second, third = kept.serving.read().config.nodes
    assert (first.name, first.host, first.port, first.interface) == ("FS1", "127.77.1.1", 5060, "inside")
    assert first.groups == ("fs", "ds1", "lb1")
    assert (first.weight, first.priority, first.probe_mode, first.enabled) == (50, 10, "always", True)
    assert dict(first.resources) == {"vm": 100, "conf": 100, "transc": 100, "pstn": 500}
    assert (second.name, second.port, second.groups) == ("127.77.1.2-5070", 5070, ("fs", "ds1"))
    assert (second.weight, second.probe_mode, second.enabled) == (25, "never", False)
    assert (third.name, third.groups, third.told_resources) == ("127.77.1.3", ("fs", "lb1"), ("pstn",))
    assert third.events is not None
    assert third.probe_mode == "disabled_only"


def test_a_reload_reads_them_again_and_what_makes_no_sense_changes_nothing(kept: Kept) -> None:
    kept.do(DISPATCHER, ROWS[0])  # without a load balancer
    kept.serving.build()
    kept.do(
        "INSERT INTO dispatcher (id, setid, destination, description) VALUES (3, 1, 'sip:127.77.1.4', 'FS4')",
        "DELETE FROM dispatcher WHERE id = 2",
    )
    change, _ = kept.serving.reload()
    assert isinstance(change.settings, EdgeSettings)
    assert [node.name for node in change.settings.config.nodes] == ["FS1", "FS4"]
    kept.do("INSERT INTO dispatcher (id, setid, destination) VALUES (4, 1, 'tel:nobody')")
    with pytest.raises(InputError, match=r"dispatcher id 4.*write sip:host:port"):
        kept.serving.reload()


@pytest.mark.parametrize(
    "resources",
    [
        "pstn=fs://u:s3:cret@127.0.0.9",
        "pstn=fs://:s3cret",
        "pstn=fs://:s3 cret@127.0.0.9",
        "pstn=fs://:s3;cret@127.0.0.9",
        "fs://:s3cret@127.0.0.9",
        "fs://:s3=cret@127.0.0.9",
        "pstn=:s3cret@127.0.0.9",
    ],
)
def test_no_fault_shows_a_password(resources: str, tmp_path: Path) -> None:
    place = Kept(f"sqlite:///{tmp_path}/opensips.db", tmp_path)
    row = f"INSERT INTO load_balancer (id, dst_uri, resources) VALUES (9, 'sip:127.0.0.9', '{resources}')"
    place.do(DISPATCHER, LOAD_BALANCER, row)
    with pytest.raises(InputError, match=r"load_balancer id 9: resource (pstn|1) ") as raised:
        place.serving.read()
    assert "s3" not in str(raised.value)
    assert "cret" not in str(raised.value)


def test_an_event_socket_may_have_an_ipv6_address(tmp_path: Path) -> None:
    place = Kept(f"sqlite:///{tmp_path}/opensips.db", tmp_path)
    resources = "pstn=fs://:ClueCon@[::1]:8022"
    row = f"INSERT INTO load_balancer (id, dst_uri, resources) VALUES (9, 'sip:127.0.0.9', '{resources}')"
    place.do(DISPATCHER, LOAD_BALANCER, row)
    (node,) = place.serving.read().config.nodes
    assert node.events is not None
    assert (node.events.port, node.told_resources) == (8022, ("pstn",))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "INSERT INTO load_balancer (id, dst_uri, resources) VALUES (9, 'sip:127.0.0.9', 'pstn')",
            "pstn=500;conf",
        ),
        (
            "INSERT INTO load_balancer (id, dst_uri, resources) VALUES (9, 'sip:127.0.0.9', 'pstn=many')",
            "a number",
        ),
        ("INSERT INTO dispatcher (id, destination, probe_mode) VALUES (9, 'sip:127.0.0.9', 7)", "write 0, 1 or 2"),
        (
            "INSERT INTO dispatcher (id, destination, socket) VALUES (9, 'sip:127.0.0.9', 'udp:9.9.9.9')",
            "no edge has",
        ),
        ("INSERT INTO dispatcher (id, destination) VALUES (9, 'sip:127.0.0.9;transport=sctp')", "correct the row"),
        (
            "INSERT INTO dispatcher (id, destination) VALUES (9, 'sip:127.0.0.9;transport=tcp')",
            "add a tcp interface",
        ),
        ("DROP TABLE dispatcher", "neither"),
    ],
)
def test_each_fault_is_one_line_that_names_the_row(statement: str, says: str, tmp_path: Path) -> None:
    place = Kept(f"sqlite:///{tmp_path}/opensips.db", tmp_path)
    place.do(DISPATCHER, LOAD_BALANCER, statement)
    if statement.startswith("DROP"):
        place.do("DROP TABLE load_balancer")
    with pytest.raises((InputError, LiveError), match=says) as raised:
        place.serving.read()
    assert "\n" not in str(raised.value)
