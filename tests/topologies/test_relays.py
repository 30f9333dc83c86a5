"""``relay:`` of an edge: short forms, what is derived, and what does not fit together."""

from __future__ import annotations

import pytest

import topologies
from engine.config import MediaInterface, RelayConfig

EDGE = """\
edges:
  edge1:
    interfaces:
      agents: {host: 127.0.0.1, port: 5060}
      web: {host: 127.0.0.1, transport: wss, port: 7443}
      inside: {host: 127.0.0.2, advertised_host: 10.0.0.1}
    relay: RELAY
"""
FULL = """
      interfaces:
        public: {host: 127.0.0.9, advertised_host: 203.0.113.9, ports: 20001-20100, serves: [agents, web]}
        private: {host: 127.0.0.2}
      profiles: {softphone: srtp}
      codecs: {forbid: [g722], order: [opus, pcma], transcode: never}
      silent_s: 3
      timeout_s: 0
"""


def relay(text: str) -> RelayConfig | None:
    return topologies.parse(EDGE.replace("RELAY", text).encode()).edge_config("edge1").relay


def refused(text: str) -> str:
    with pytest.raises(topologies.TopologyError) as caught:
        relay(text)
    return str(caught.value)


def test_without_a_word_about_it_media_go_past_the_edge() -> None:
    assert relay("off") is None
    assert topologies.parse(EDGE.replace("    relay: RELAY\n", "").encode()).edge_config("edge1").relay is None


def test_builtin_alone_takes_the_hosts_of_the_edge() -> None:
    config = relay("builtin")
    assert config is not None
    assert config.interfaces == (
        MediaInterface(name="agents", host="127.0.0.1", serves=("agents", "web")),
        MediaInterface(name="inside", host="127.0.0.2", advertised_host="10.0.0.1", serves=("inside",)),
    )
    assert config.profiles == {"browser": "webrtc", "softphone": "rtp", "node": "rtp"}


def test_everything_can_be_said() -> None:
    config = relay(FULL)
    assert config is not None
    public, private = config.interfaces
    assert (public.advertised_host, public.low, public.high) == ("203.0.113.9", 20_001, 20_100)
    assert (public.serves, private.serves) == (("agents", "web"), ("inside",))
    assert (config.forbid_codecs, config.order_codecs, config.transcode) == (("g722",), ("opus", "pcma"), "never")
    assert (config.profiles["softphone"], config.silent_s, config.timeout_s) == ("srtp", 3.0, 0.0)


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("20001-20100", "20001", 9, "is no range of ports - write the first and the last, such as 30000-39999"),
        ("20001-20100", "20001-20001", 9, "holds no pair of ports"),
        ("20001-20100", "20001-99999", 9, "holds no pair of ports"),
        ("[agents, web]", "[agents, wbe]", 9, "no interface 'wbe' - did you mean 'web'?"),
        ("{host: 127.0.0.2}", "{host: 127.0.0.2, serves: [web]}", 10, "web is already served by public"),
        ("{host: 127.0.0.2}", "{host: 127.0.0.9, ports: 20100-20200}", 10, "already belong to edge1's public"),
        ("host: 127.0.0.9", "host: 0.0.0.0", 9, "cannot be told as 0.0.0.0"),
        ("{host: 127.0.0.2}", "{host: 127.0.0.1, ports: 5000-6000}", 4, "is also a media port of edge1's private"),
        ("softphone: srtp", "softphone: sdes", 11, "'sdes' is not known here"),
        ("[g722]", "[opos]", 12, "did you mean 'opus'?"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(before: str, after: str, line: int, words: str) -> None:
    said = refused(FULL.replace(before, after))
    assert f":{line}: " in said
    assert words in said


def test_another_word_is_no_relay() -> None:
    assert "'bultin' is no relay - did you mean 'builtin'?" in refused("bultin")
