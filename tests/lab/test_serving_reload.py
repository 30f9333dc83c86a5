"""A reload is all or nothing: what cannot be used is told, and nothing of it is taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.edge import EdgeSettings
from engine.live import LiveError
from engine.policies.loading import PolicyError
from lab.certificates import make_certificate
from lab.errors import InputError
from lab.serving import Serving
from topologies import TopologyError

SITE = """
edges:
  edge1:
    interfaces:
      web:
        {{transport: wss, host: 127.0.0.1, port: 0, tls: {{certificate: {certificate}, private_key: siptwin.key}}}}
      inside: {{host: 127.0.0.1, port: 0}}
    policy: {policy}
    timers: {{t1_s: {t1_s}}}
    limits: {{stream_connections: {connections}}}
nodes: {{FS1: {{host: 127.0.1.1}}, {more}}}
"""


class Site:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "site.yaml"
        make_certificate(folder)
        self.write()
        self.serving = Serving(str(self.file))
        self.serving.build()

    def write(self, **changed: str) -> None:
        usual = {
            "certificate": "siptwin.pem",
            "policy": "least_loaded",
            "t1_s": "0.5",
            "connections": "100",
            "more": "",
        }
        self.file.write_text(SITE.format(**{**usual, **changed}))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"certificate": "gone.pem"}, "gone.pem"),
        ({"policy": "no_such_policy"}, "no_such_policy"),
        (
            {"connections": "101"},
            "stream_connections raised to 101, more than at the start",
        ),
        ({"t1_s": "1"}, "takes a restart - the old settings stay in force"),
        ({"more": "FS2: {host: 127.0.1.2, transport: tcp}, "}, "add a tcp interface"),
    ],
)
def test_one_thing_wrong_refuses_all_that_is_new(changed: dict[str, str], says: str, tmp_path: Path) -> None:
    site = Site(tmp_path)
    version = site.serving.fingerprint
    site.write(**{"more": "FS3: {host: 127.0.1.3}, ", **changed})
    with pytest.raises((InputError, TopologyError, LiveError, PolicyError), match=says):
        site.serving.reload()
    assert site.serving.fingerprint == version
    site.write(more="FS4: {host: 127.0.1.4}, ")
    change, _ = site.serving.reload()
    assert isinstance(change.settings, EdgeSettings)
    assert [node.name for node in change.settings.config.nodes] == ["FS1", "FS4"]
    assert site.serving.fingerprint != version


def test_fewer_connections_are_taken_over_and_as_many_as_at_the_start_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for most in (10, 100):
        site.write(connections=str(most))
        change, _ = site.serving.reload()
        assert isinstance(change.settings, EdgeSettings)
        assert change.settings.config.limits.stream_connections == most
    assert site.serving.live_settings.connections == 100


def test_a_node_added_by_order_changes_the_version_until_the_next_reload(tmp_path: Path) -> None:
    site = Site(tmp_path)
    versions = [site.serving.fingerprint]
    for number in (8, 9):
        site.serving.add_node({"name": f"FS{number}", "host": f"127.0.1.{number}"})
        versions.append(site.serving.fingerprint)
    assert len(set(versions)) == 3
    with pytest.raises(InputError, match="no tcp interface"):
        site.serving.add_node({"name": "FS7", "host": "127.0.1.7", "transport": "tcp"})
    assert site.serving.fingerprint == versions[-1]
    site.serving.reload()
    assert site.serving.fingerprint == versions[0]
