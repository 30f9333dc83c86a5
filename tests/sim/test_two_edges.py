"""Two edges: agents who come back through the other one are called at once, whatever a node still knows."""

from __future__ import annotations

import pytest

from engine.notes import ContactBound, ContactUnbound, PeerLost, PeerReturned, RecordsRestored, RequestRefused
from sim.agents.notes import CallEnded, CallTaken, Registered, RegistrationLost
from sim.run import Run, simulate
from topologies import load, parse


def told(run: Run, kind: type, place: str = "") -> list[float]:
    return [each.time_s for each in run.notes if isinstance(each.note, kind) and each.place.startswith(place)]


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_of_an_edge_costs_its_agents_a_registration(seed: int) -> None:
    run = simulate(load("two_edges"), scenario="moving_agents", seed=seed)
    assert run.violations == []
    lost = told(run, RegistrationLost, "browsers")
    assert len(lost) == 5
    for user in {each.place for each in run.notes if isinstance(each.note, RegistrationLost)}:
        back = [at for at in told(run, Registered, user) if at > 20]
        assert back[0] < 30, f"{user} took longer than its connection, the checks of the balancer and a REGISTER"
    assert len(told(run, CallTaken, "browsers")) == 4  # all that were called, before and after edge1 came back
    assert len(told(run, CallEnded, "browsers")) == 4
    assert len(told(run, PeerLost, "edge2")) == len(told(run, PeerReturned, "edge2")) == 1
    restored = [each.note for each in run.notes if isinstance(each.note, RecordsRestored) and each.time_s > 20]
    assert restored[0].bindings == 15  # its own phones, and who has moved to edge2


APART = """
edges:
  edge1:
    interfaces:
      web: {transport: ws, host: 127.0.0.1, port: 8080}
      inside: {host: 127.0.0.2}
      between: {transport: TRANSPORT, host: 127.0.0.2, port: 5070}
    registrar: &registrar {secret: known to both of the edges, shared: false}
    peers: [edges]
    peer_interface: between
    nodes: [FS1]
  edge2:
    interfaces:
      web: {transport: ws, host: 127.0.0.3, port: 8080}
      inside: {host: 127.0.0.4}
      between: {transport: TRANSPORT, host: 127.0.0.4, port: 5070}
    registrar: *registrar
    peers: [edges]
    peer_interface: between
    nodes: [FS2]
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=9, model: {database: null}}
  FS2: {host: 127.0.1.2, interface: inside, resources: pstn=9, model: {database: null}}
balancers:
  slb: {host: 127.0.3.1, choice: round_robin, listeners: {web: {transport: ws, port: 8080}}}
clients:
  web: {kind: browser, host: 127.0.2.1, balancer: slb, transport: ws, users: 1000-1000}
scenarios:
  moved:
    duration_s: 60
    faults:
      - {at_s: 10, kind: cut, between: [web, edge1]}
      - {at_s: 20, kind: originate, target: FS1, user: "1000"}
      - {at_s: 40, kind: originate, target: FS2, user: "1000"}
"""


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_edges_answer_each_other_themselves_whatever_becomes_of_their_nodes(transport: str) -> None:
    """And one that starts later is found at once, not an interval of probes after it was first missed."""
    text = APART.replace("TRANSPORT", transport).partition("    faults:")[0] + ALONE
    run = simulate(parse(text.encode()), record="all")
    (lost,), (back,) = told(run, PeerLost, "edge1"), told(run, PeerReturned, "edge1")
    assert 10.0 < lost < 20.0
    assert 31.0 <= back < 31.5
    assert told(run, PeerLost, "edge2") == told(run, PeerReturned, "edge2") == []
    asked = [each.data for each in run.messages if each.data.startswith(b"OPTIONS ")]
    assert asked
    assert {data.count(b"Via: ") for data in asked} == {1}, "one was passed on to a node"


ALONE = """\
    faults:
      - {at_s: 5, kind: kill, target: FS1}
      - {at_s: 5, kind: kill, target: FS2}
      - {at_s: 10, kind: kill, target: edge2}
      - {at_s: 31, kind: start, target: edge2}
"""


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_node_that_knows_the_old_edge_alone_reaches_the_agent(transport: str) -> None:
    """Each edge has a node of its own, so that the first one's still has the Contact of before the move."""
    run = simulate(parse(APART.replace("TRANSPORT", transport).encode()), record="all")
    assert run.violations == []
    assert not [each for each in run.notes if isinstance(each.note, RequestRefused)]
    (taken,) = [
        (message.from_place, message.to_place)
        for message in run.messages
        if message.data.startswith(b"INVITE ") and {message.from_place, message.to_place} == {"edge1", "edge2"}
    ][:1]
    assert taken == ("edge1", "edge2")
    bound = [(each.place, each.time_s > 10) for each in run.notes if isinstance(each.note, ContactBound)]
    assert bound == [("edge1", False), ("edge2", True)]
    assert len(told(run, CallTaken, "web")) == 2
    byes = [
        (each.from_place, each.to_place)
        for each in run.messages
        if each.data.startswith(b"BYE sip:mod_sofia@127.0.1.1")
    ]
    assert byes == [("web/1000", "edge2"), ("edge2", "edge1"), ("edge1", "FS1")]
    assert not [each for each in run.notes if isinstance(each.note, ContactUnbound) and 10.5 < each.time_s < 59]
