"""What ``siptwin check`` foretells: each finding stands for something that breaks in simulation too."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.policies import load_policy
from lab.findings import Finding, find, media
from topologies import parse

EDGE_2021 = """
edges:
  edge1:
    interfaces:
      agents: {transport: wss, host: 127.0.0.1, port: 7443, tls: {certificate: a.pem, private_key: b.pem}}
      inside: {transport: udp, host: 127.0.0.2}
    streams: {lifetime: %s, idle_s: 120}
    registrar: {secret: sixteen letters long, agent_max_expires_s: %d}
nodes:
  FS1: {host: 127.0.1.1, interface: inside, model: {force_expires_s: 180}}
  FS2: {host: 127.0.1.2, interface: inside, model: {force_expires_s: 180}}
"""


def findings(text: str) -> list[Finding]:
    topology = parse(text.encode())
    return find(topology, {name: load_policy(topology.edge_config(name).policy) for name in topology.edges})


def breaks(text: str) -> list[str]:
    return [finding.what for finding in findings(text) if finding.severity == "breaks"]


class TestTheTimerChain:
    def test_a_connection_shorter_than_the_registration_logs_agents_out(self) -> None:
        (finding,) = [each for each in findings(EDGE_2021 % ("fixed", 3600)) if each.severity == "breaks"]
        assert finding.where == "edge1"
        assert "registration lasts 180 s" in finding.what
        assert "silent for 120 s" in finding.what
        for remedy in ("agent_max_expires_s: 60", "above_expiry", "follows_registration"):
            assert remedy in finding.remedy

    @pytest.mark.parametrize(
        ("lifetime", "granted_s"), [("fixed", 60), ("above_expiry", 3600), ("follows_registration", 3600)]
    )
    def test_each_remedy_cures_it(self, lifetime: str, granted_s: int) -> None:
        assert breaks(EDGE_2021 % (lifetime, granted_s)) == []

    def test_keep_alives_must_be_quicker_than_the_quickest_gateway(self) -> None:
        udp = (
            "edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}, keep_alive: {interval_s: %d, jitter: 0.1}}}"
        )
        assert any("30 s" in each.what for each in findings(udp % 29))
        assert not any("keep-alives" in each.what for each in findings(udp % 25))

    def test_more_refreshes_than_an_edge_carries(self) -> None:
        text = """
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}, registrar: {agent_max_expires_s: %d}}}
nodes: {FS1: {host: 127.0.1.1}}
clients: {agents: {host: 127.0.2.1, users: 200000, registers: true}}
"""
        assert any("times a second" in what for what in breaks(text % 60))


class TestWhatForgets:
    TEXT = """
edges:
  edge1:
    interfaces:
      udp: {host: 10.0.0.1}
      wss: {transport: wss, host: 10.0.0.1, port: 7443, tls: {certificate: a.pem, private_key: b.pem}}
    keep_alive: {method: %s, interval_s: %g, jitter: 0}
    streams: {ping_interval_s: %g}
    registrar: {secret: sixteen letters long}
nodes: {FS1: {host: 10.0.1.1}, FS2: {host: 10.0.1.2}}
nats: {gate: {preset: %s, host: 198.51.100.1}}
balancers: {slb: {preset: nginx, host: 10.0.0.9, listeners: {wss: {transport: wss, port: 7443}}}}
clients:
  phones: {kind: softphone, host: 192.168.0.2, users: 1000-1001, behind: gate}
  web: {host: 192.168.0.3, transport: wss, users: 1002-1003, registers: true, balancer: slb}
"""

    def told(self, method: str, interval_s: float, ping_s: float, nat: str) -> dict[str, str]:
        found = findings(self.TEXT % (method, interval_s, ping_s, nat))
        return {each.where: each.what for each in found if each.severity == "breaks"}

    def test_keep_alives_in_time_keep_everything_open(self) -> None:
        assert self.told("options", 25, 25, "linux_masquerade") == {}

    def test_linux_forgets_after_30_s_what_nobody_spoke_on_twice(self) -> None:
        told = self.told("options", 40, 25, "linux_masquerade")
        assert set(told) == {"phones"}
        assert "after 30 s" in told["phones"]

    def test_a_share_of_home_gateways_is_hastier_than_the_keep_alive(self) -> None:
        assert "10% of the devices" in self.told("options", 60, 25, "home_gateway")["phones"]

    def test_a_proxy_ends_a_websocket_that_nobody_pings(self) -> None:
        told = self.told("options", 25, 0, "linux_masquerade")
        assert set(told) == {"web"}
        assert "60 s" in told["web"]

    def test_without_keep_alives_only_refreshes_are_left(self) -> None:
        assert "refresh of the registration" in self.told("none", 25, 25, "symmetric")["phones"]


class TestSharedRegistrations:
    TEXT = """
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}, registrar: {shared: %s}}}
nodes: {FS1: {host: 127.0.1.1, model: {database: null}}, FS2: {host: 127.0.1.2}}
"""

    def test_an_edge_that_believes_in_a_database_that_is_not_there(self) -> None:
        (told,) = breaks(self.TEXT % "true")
        assert "FS1 can't see" in told

    def test_an_edge_that_knows_better(self) -> None:
        assert breaks(self.TEXT % "false") == []


class TestSinglePointsOfFailure:
    def test_the_only_edge_and_the_only_node_are_named(self) -> None:
        found = findings("edges: {e: {interfaces: {a: {host: 127.0.0.1}}}}\nnodes: {FS1: {host: 127.0.1.1}}")
        assert {each.where for each in found if "single point" in each.what} == {"e", "FS1"}

    def test_an_edge_is_one_for_the_clients_that_know_no_other(self) -> None:
        text = """
edges: {one: {interfaces: {a: {host: 127.0.0.1}}}, two: {interfaces: {a: {host: 127.0.0.2}}}}
nodes: {FS1: {host: 127.0.1.1}, FS2: {host: 127.0.1.2}}
clients: {home: {host: 127.0.2.1, edge: one}, office: {host: 127.0.2.2, edge: two}}
"""
        told = {each.where: each.what for each in findings(text) if "single point" in each.what}
        assert set(told) == {"one", "two"}
        assert "no call of home" in told["one"]

    def test_a_balancer_stands_before_all_edges(self) -> None:
        text = """
edges: {one: {interfaces: {a: {host: 127.0.0.1}}}, two: {interfaces: {a: {host: 127.0.0.2}}}}
nodes: {FS1: {host: 127.0.1.1}, FS2: {host: 127.0.1.2}}
balancers: {slb: {host: 127.0.0.9, listeners: {udp: {}}}}
clients: {home: {host: 127.0.2.1, balancer: slb}}
"""
        assert {each.where for each in findings(text) if "single point" in each.what} == {"slb"}

    def test_two_of_each_are_none(self) -> None:
        text = """
edges: {one: {interfaces: {a: {host: 127.0.0.1}}}, two: {interfaces: {a: {host: 127.0.0.2}}}}
nodes: {FS1: {host: 127.0.1.1}, FS2: {host: 127.0.1.2}}
"""
        assert not any("single point" in each.what for each in findings(text))


class TestMedia:
    TEXT = """
edges:
  edge1:
    interfaces:
      web: {transport: wss, host: 127.0.0.1, port: 7443}
      agents: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    relay: %s
nodes: {FS1: {host: 127.0.1.1, interface: inside, resources: pstn=500}}
clients: {browsers: {kind: browser, host: 127.0.2.1, users: 3}, callers: {host: 127.0.2.2}}
scenarios: {busy: {traffic: [{from: callers, to: 9196, rate_per_s: 5, hold_s: {mean: 20}}]}}
"""

    def test_browsers_before_nodes_that_offer_plain_rtp(self) -> None:
        told = [each for each in findings(self.TEXT % "off") if "603" in each.what]
        assert [each.remedy for each in told] == ["write relay: builtin, or have the nodes set media_webrtc=true"]
        assert not [each for each in findings(self.TEXT % "builtin") if "603" in each.what]

    @pytest.mark.parametrize(("last", "suffices"), [(30_199, False), (30_299, True)])
    def test_ports_for_the_calls_that_stand_and_those_that_rest(self, last: int, suffices: bool) -> None:
        # 5 calls/s of 20 s are 100 Erlang; 25 pairs more rest for 5 s after their calls.
        relay = f"{{interfaces: {{out: {{host: 127.0.0.1, ports: 30000-{last}}}, in: {{host: 127.0.0.2}}}}}}"
        told = [each for each in breaks(self.TEXT % relay) if "media ports" in each]
        short = "media ports of out: 100 pairs, 125 needed at the busiest moment, so 503"
        assert told == ([] if suffices else [short])


def test_media_ports_that_the_kernel_gives_to_others_are_a_risk_unless_they_are_reserved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = parse(
        b"edges: {edge1: {interfaces: {all: {host: 127.0.0.1}}, relay: {interfaces: {all: {host: 127.0.0.1, "
        b"ports: 32000-33999}}}}}\nnodes: {FS1: {host: 127.0.1.1}}"
    ).edge_config("edge1")
    monkeypatch.setattr(media, "_KERNEL", tmp_path)
    assert list(media.ephemeral(config)) == []  # no such kernel
    (tmp_path / "ip_local_port_range").write_text("32768\t60999\n")
    for reserved, found in (("", 1), ("32000-33000", 1), ("8080,32000-33999", 0)):
        (tmp_path / "ip_local_reserved_ports").write_text(f"{reserved}\n")
        findings = list(media.ephemeral(config))
        assert len(findings) == found
        assert all("32768-33999" in finding.what and "ip_local_reserved" in finding.remedy for finding in findings)


class TestTheCallsOfANodeThatDies:
    TEXT = """
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}, relay: builtin, rescue: %s}}
nodes: {FS1: {host: 127.0.1.1, resources: pstn=2000}, FS2: {host: 127.0.1.2, resources: pstn=500}}
"""

    def said(self, rescue: str) -> list[str]:
        return [each.what for each in findings(self.TEXT % rescue) if "are moved" in each.what]

    def test_more_than_can_be_moved_in_time(self) -> None:
        (what,) = self.said("{others: move}")
        assert "at most 1,200 calls" in what
        assert "FS1 takes up to 2,000: the others end" in what
        (what,) = self.said("{others: move, move_within_s: 80, otherwise: hold}")
        assert "at most 1,600 calls" in what
        assert "left in silence" in what

    @pytest.mark.parametrize("rescue", ["{}", "{others: move, moves_per_s: 40}", "{enabled: false, others: move}"])
    def test_nothing_is_said_where_none_are_moved_or_all_can_be(self, rescue: str) -> None:
        assert self.said(rescue) == []
