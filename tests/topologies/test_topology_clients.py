"""Clients of each kind, and what their users may do."""

from __future__ import annotations

import pytest

from topologies import TopologyError, parse

TEXT = """
edges:
  edge1: {{interfaces: {{agents: {{host: 127.0.0.1}}, web: {{host: 127.0.0.1, port: 7443, transport: wss}}}}}}
nodes: {{FS1: {{host: 127.0.1.1}}}}
clients:
  web: {{kind: browser, host: 127.0.2.1, users: 1000-1004{browser}}}
  desk: {{kind: softphone, host: 127.0.2.2, users: 1010-1012{phone}}}
  callers: {{host: 127.0.2.3{callers}}}
scenarios:
  day:
    faults: [{faults}]
"""


def text(**given: str) -> bytes:
    return TEXT.format(**(dict.fromkeys(("browser", "phone", "callers", "faults"), "") | given)).encode()


def test_a_browser_speaks_wss_unless_told_otherwise_and_needs_no_port() -> None:
    topology = parse(text())
    web = topology.clients["web"]
    assert (web.transport, web.does_register, len(web.ports), web.listens) == ("wss", True, 0, False)
    assert topology.entry("web")[1].name == "web"
    assert parse(topology.to_yaml().encode()) == topology


def test_reconnection_can_be_switched_off() -> None:
    assert parse(text(browser=", reconnect: false")).clients["web"].reconnect is None
    given = parse(text(browser=", reconnect: {max_s: 5}")).clients["web"].reconnect
    assert given is not None
    assert (given.min_s, given.max_s) == (2.0, 5.0)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"browser": ", transport: tcp"}, "a browser has no tcp"),
        ({"browser": ", reconnect: {min_s: 9, max_s: 5}"}, "min_s is above max_s"),
        ({"phone": ", tab: hidden"}, "a client of kind softphone has no tab"),
        ({"callers": ", reconnect: false"}, "a client of kind traffic has no reconnect"),
        ({"faults": "{at_s: 1, kind: close_tab, target: desk}"}, "a client of kind softphone, not browser"),
        ({"faults": "{at_s: 1, kind: hangup, target: callers}"}, "not softphone or browser"),
        ({"faults": "{at_s: 1, kind: sleep, target: web/1007}"}, "web has no user '1007'"),
        ({"faults": "{at_s: 1, kind: wake, target: wep}"}, "there is no client 'wep'"),
        ({"faults": "{at_s: 1, kind: originate, target: web, user: 1000}"}, "'web' is not a node"),
        ({"faults": "{at_s: 1, kind: change_network, target: web, host: 127.0.1.1}"}, "already belongs"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(given: dict[str, str], what: str) -> None:
    with pytest.raises(TopologyError) as raised:
        parse(text(**given))
    assert what in str(raised.value)
    assert len(raised.value.problems) == 1


def test_traffic_is_made_by_call_generators_alone() -> None:
    traffic = b"    traffic: [{from: desk, to: 9196, rate_per_s: 1}]\n"
    with pytest.raises(TopologyError, match=r"is a client of kind softphone - .*faults of kind call"):
        parse(text() + traffic)
