"""``relay: {rtpengine: ...}`` of an edge: short forms, defaults, and what does not fit together."""

from __future__ import annotations

import pytest

import topologies
from engine.changes import needs_restart
from engine.config import EdgeConfig

EDGE = """\
edges:
  edge1:
    interfaces:
      agents: {host: 127.0.0.1, port: 5060}
      inside: {host: 127.0.0.2}
    relay: RELAY
"""
FULL = """
      rtpengine:
        - {name: rtp1, host: 10.0.0.7, weight: 3}
        - {name: rtp2, host: relay.example.org, port: 22222, transport: tcp, enabled: false}
      rtpengine_timers: {timeout_s: 0.7, leave_after: 3, reanchored_per_s: 100}
      control_host: 10.0.0.1
      interfaces: {public: {serves: [agents]}, private: {serves: [inside]}}
"""


def edge(text: str) -> EdgeConfig:
    return topologies.parse(EDGE.replace("RELAY", text).encode()).edge_config("edge1")


def refused(text: str) -> str:
    with pytest.raises(topologies.TopologyError) as caught:
        edge(text)
    return str(caught.value)


def test_addresses_alone_suffice() -> None:
    config = edge("{rtpengine: [10.0.0.7, relay.example.org:22222, '[2001:db8::7]:2224', '2001:db8::8']}")
    relay = config.relay
    assert relay is not None
    assert relay.rtpengine is not None
    assert [(server.name, *server.address) for server in relay.rtpengine.servers] == [
        ("rtpengine1", "10.0.0.7", 2223),
        ("rtpengine2", "relay.example.org", 22222),
        ("rtpengine3", "2001:db8::7", 2224),
        ("rtpengine4", "2001:db8::8", 2223),
    ]
    assert [each.name for each in relay.interfaces] == [""]
    (control,) = config.relay_interfaces
    assert (control.name, control.host, control.port) == ("relays:udp", "127.0.0.1", 0)


def test_everything_can_be_said() -> None:
    config = edge(FULL)
    assert config.relay is not None
    ng = config.relay.rtpengine
    assert ng is not None
    assert [(each.name, each.weight, each.transport, each.enabled) for each in ng.servers] == [
        ("rtp1", 3, "udp", True),
        ("rtp2", 1, "tcp", False),
    ]
    assert (ng.timeout_s, ng.leave_after, ng.reanchored_per_s) == (0.7, 3, 100.0)
    assert [(each.name, each.serves) for each in config.relay.interfaces] == [
        ("public", ("agents",)),
        ("private", ("inside",)),
    ]
    assert [(each.name, each.host) for each in config.relay_interfaces] == [
        ("relays:tcp", "10.0.0.1"),
        ("relays:udp", "10.0.0.1"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("name: rtp2", "name: rtp1", 9, "a second rtpengine is called rtp1"),
        ("port: 22222", "port: 0", 9, "1"),
        ("transport: tcp", "transport: tls", 9, "'tls' is not known here"),
        ("serves: [inside]", "serves: [inward]", 12, "no interface 'inward'"),
        ("timeout_s: 0.7", "timeout_s: 0", 10, "0"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(before: str, after: str, line: int, words: str) -> None:
    said = refused(FULL.replace(before, after))
    assert f":{line}: " in said
    assert words in said


def test_the_built_in_relay_needs_hosts() -> None:
    assert "the relay's public has no host - give the IP address to bind" in refused("{interfaces: {public: {}}}")


def test_rtpengines_come_and_go_while_the_edge_runs() -> None:
    before = edge(FULL)
    assert needs_restart(before, edge(FULL.replace("weight: 3", "weight: 1"))) == ""
    assert "relay changed" in needs_restart(before, edge(FULL.replace("serves: [inside]", "serves: []")))
    assert "relay changed" in needs_restart(before, edge("builtin"))
    assert "interfaces changed" in needs_restart(before, edge(FULL.replace("10.0.0.1\n", "10.0.0.2\n")))
