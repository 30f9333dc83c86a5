"""Agents that move between edges: calls to the edge that they left, calls that stand, and edges that die."""

from __future__ import annotations

import pytest

from engine.config import RegistrarConfig
from engine.notes import ContactBound, ContactUnbound, PeerLost, PeerReturned, RequestHeld, RequestRefused
from tests.engine.harness import EDGE, Peer
from tests.engine.peers.pair import SECRET, Pair, Wired, browser, registers
from tests.engine.wire import Wire, message


@pytest.fixture
def pair() -> Pair:
    return Pair()


def moves(pair: Pair) -> tuple[Peer, str]:
    """An agent registers at edge1, loses its connection and registers at edge2; what the node stored before."""
    before = browser(pair.one)
    stored = registers(before)
    before.closes()
    after = browser(pair.two)
    registers(after, "<sip:y@b.invalid;transport=ws>", cseq=2)
    return after, stored


def answers(peer: Peer, status: int = 200) -> Wire:
    """The agent answers its latest INVITE."""
    invite = peer.got("INVITE")[-1]
    peer.replies(invite, status, tag=peer.tag_for(invite))
    return invite


def test_a_call_that_the_node_sends_to_the_old_edge_reaches_the_agent_at_once(pair: Pair) -> None:
    agent, stored = moves(pair)
    call = pair.one.node("FS1").invite(stored)
    invite = answers(agent)
    assert invite.uri == "sip:y@b.invalid;transport=ws"  # the Contact of now, not the one that edge1 knew
    assert call.statuses[-1] == 200
    assert "flow-" not in "".join(call.final.all("record-route")[-1:])


def test_it_needs_no_word_of_the_other_edge_where_the_old_one_has_forgotten_everything(pair: Pair) -> None:
    """As after a restart without a store: all others are asked."""
    agent, stored = moves(pair)
    fresh = Wired(1)
    fresh.others, pair.two.others = [pair.two], [fresh]
    call = fresh.node("FS1").invite(stored)
    answers(agent)
    assert call.statuses[-1] == 200


def test_who_is_reached_nowhere_is_answered_430_and_asked_for_once(pair: Pair) -> None:
    agent, stored = moves(pair)
    agent.closes()
    call = pair.one.node("FS1").invite(stored)
    assert call.statuses[-1] == 430
    asked = [wire for wire in pair.one.between + pair.two.between if wire.is_request and wire.method == "INVITE"]
    assert len(asked) == 1


@pytest.mark.parametrize(("line", "status"), [("Max-Breadth: 1", 440), ("", 100)])
def test_who_was_waited_for_in_vain_is_asked_for_at_no_more_edges_than_the_request_may_go_to(
    line: str, status: int
) -> None:
    edge = Wired(1, edges=(1, 2, 3), registrar=RegistrarConfig(secret=SECRET, flow_wait_s=3.0))
    agent = browser(edge)
    stored = registers(agent)
    agent.closes()
    call = edge.node("FS1").invite(stored, line)
    assert len(edge.told(RequestHeld)) == 1
    edge.advance(3.5)
    assert call.statuses[-1] == status
    asked = {wire.flow for wire in edge.between if wire.is_request and wire.method == "INVITE"}
    assert (len(asked), len(edge.told(RequestRefused))) == ((0, 1) if line else (2, 0))


def test_an_edge_gives_up_an_agent_that_another_one_reaches_though_its_connection_seems_to_stand(
    pair: Pair,
) -> None:
    before = browser(pair.one)
    stored = registers(before)
    after = browser(pair.two)
    moved = registers(after, cseq=2)
    assert [note.why for note in pair.one.told(ContactUnbound)] == ["reached by edge2"]
    pair.one.node("FS1").invite(stored)
    assert not before.got("INVITE")
    assert after.got("INVITE")
    back = browser(pair.one, 3)
    registers(back, cseq=3)
    assert [note.why for note in pair.two.told(ContactUnbound)] == ["reached by edge1"]
    pair.two.node("FS1").invite(moved)
    assert len(back.got("INVITE")) == 1
    assert len(pair.one.told(ContactBound)) == 2


def test_requests_of_the_node_in_a_call_follow_the_agent(pair: Pair) -> None:
    """The call was set up through edge1, by the agent; it ends at edge2."""
    before = browser(pair.one)
    registers(before)
    call = before.invite(f"sip:9196@{EDGE}")
    node = pair.one.node("FS1")
    node.answer(200)
    call.ack()
    before.closes()
    after = browser(pair.two)
    registers(after, cseq=2)
    bye = node.hangs_up()
    got = after.got("BYE")[-1]
    assert got["call-id"] == bye["call-id"]
    after.replies(got, 200)
    assert node.statuses("BYE") == [200]
    assert pair.one.in_use("FS1") == 0


def test_requests_of_the_agent_in_a_call_go_through_the_edge_of_the_call_while_it_lives(pair: Pair) -> None:
    bye, node = hangs_up_elsewhere(pair)
    assert any(wire.is_request and wire.method == "BYE" for wire in pair.two.between)
    node.answer(200, method="BYE")
    assert pair.one.in_use("FS1") == 0
    assert bye.world.sent[-1].status == 200


def test_where_that_edge_is_dead_the_other_stands_in_its_place(pair: Pair) -> None:
    pair.one.deaf = True
    _, node = hangs_up_elsewhere(pair, after_s=30.0)
    assert pair.two.told(PeerLost) == [PeerLost("edge1")]
    bye = node.got("BYE")[-1]
    assert bye.flow.interface == "inside"
    assert "route" not in bye
    pair.one.deaf = False
    pair.advance(10)
    assert pair.two.told(PeerReturned) == [PeerReturned("edge1")]


def test_so_it_does_for_a_phone_whose_routes_bear_a_mark_and_no_token(pair: Pair) -> None:
    call = pair.one.caller.invite(f"sip:9196@{EDGE}")
    pair.one.node("FS1").answer(200)
    call.ack()
    assert "flow-" not in call.final["record-route"]
    pair.one.deaf = True
    pair.two.advance(30.0)
    pair.two.caller.within("BYE", call.final, cseq=2)
    assert "route" not in pair.two.node("FS1").got("BYE")[-1]


def hangs_up_elsewhere(pair: Pair, after_s: float = 0.0):  # type: ignore[no-untyped-def]
    before = browser(pair.one)
    registers(before)
    call = before.invite(f"sip:9196@{EDGE}")
    pair.one.node("FS1").answer(200)
    call.ack()
    after = browser(pair.two)
    registers(after, cseq=2)
    pair.two.advance(after_s)
    after.within("BYE", call.final, cseq=2)
    return after, (pair.two if after_s else pair.one).node("FS1")


def test_a_call_between_edges_stays_in_the_way_of_both(pair: Pair) -> None:
    """The agent answers a call that came over edge1; re-INVITE and BYE of both sides pass both edges."""
    agent, stored = moves(pair)
    node = pair.one.node("FS1")
    call = node.invite(stored)
    invite = answers(agent)
    call.ack()
    assert agent.got("ACK")
    node.within("INVITE", call.final, cseq=2)
    assert agent.got("INVITE")[-1]["cseq"] == "2 INVITE"
    agent.bye(invite)
    assert node.got("BYE")


def forged(pair: Pair, method: str, *lines: str) -> bytes:
    return message(
        f"{method} sip:1000@192.0.2.2 SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKforged;rport",
        "Max-Forwards: 70",
        "From: <sip:a@b>;tag=1",
        "To: <sip:a@b>",
        "Call-ID: forged",
        f"CSeq: 1 {method}",
        *lines,
    )


def test_a_token_between_edges_is_good_in_its_call_alone(pair: Pair) -> None:
    _, stored = moves(pair)
    pair.one.node("FS1").invite(stored)
    route = next(wire for wire in pair.one.between if wire.is_request and wire.method == "INVITE")["route"]
    thief = pair.two.peer("10.0.0.1", 5060, "inside")
    thief.sends(forged(pair, "MESSAGE", f"Route: {route}"))
    assert thief.statuses() == [403]


def noticed(pair: Pair) -> tuple[Peer, bytes]:
    """An agent moves to edge2 while edge1 is deaf; what edge1 would have been told."""
    before = browser(pair.one)
    registers(before)
    pair.one.deaf = True
    registers(browser(pair.two), cseq=2)
    pair.one.deaf = False
    return before, next(w for w in pair.two.between if w.is_request and w.method == "NOTIFY").data


@pytest.mark.parametrize(
    ("host", "port", "interface"),
    [("10.0.0.2", 5060, "inside"), ("10.0.0.2", 41_234, "inside"), ("::1", 1, "wss")],
)
def test_a_notice_is_believed_by_its_token_wherever_it_comes_from(
    pair: Pair, host: str, port: int, interface: str
) -> None:
    """An edge that connects has any port, and behind a NAT any address."""
    _, notice = noticed(pair)
    edge = pair.one.peer(host, port, interface)
    edge.sends(notice)
    assert edge.statuses() == [200]
    assert [note.why for note in pair.one.told(ContactUnbound)] == ["reached by edge2"]


def test_a_notice_without_a_token_of_its_own_is_refused(pair: Pair) -> None:
    _, stored = moves(pair)
    pair.one.node("FS1").invite(stored)
    _, notice = noticed(Pair(registrar=RegistrarConfig(secret="known to two others", flow_wait_s=0.0)))
    route = next(wire for wire in pair.one.between if wire.is_request and wire.method == "INVITE")["route"]
    token = route.partition("sip:")[2].partition("@")[0]
    ours = next(wire for wire in pair.two.between if wire.is_request and wire.method == "NOTIFY")
    edge = pair.two.peer("10.0.0.1", 5060, "inside")
    edge.sends(notice)
    edge.sends(ours.data.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"))  # its own, brought back
    user = ours.uri.partition("sip:")[2].partition("@")[0]
    edge.sends(ours.data.replace(user.encode(), token.encode()).replace(b"z9hG4bK", b"z9hG4bKy"))
    edge.sends(ours.data.replace(user.encode(), b"edge").replace(b"z9hG4bK", b"z9hG4bKz"))
    assert edge.statuses() == [403, 403, 403, 403]


def test_a_notice_that_was_overheard_is_not_believed_again(pair: Pair) -> None:
    before, notice = noticed(pair)
    edge = pair.one.peer("10.0.0.2", 5060, "inside")
    edge.sends(notice)
    registers(browser(pair.one, 3), cseq=3)
    stranger = pair.one.peer("203.0.113.66")
    stranger.sends(notice.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"))
    stranger.sends(notice.replace(b"Call-ID: moved-", b"Call-ID: other-").replace(b"z9hG4bK", b"z9hG4bKy"))
    assert stranger.statuses() == [403, 403]
    assert len(pair.one.told(ContactUnbound)) == 1
    assert before.world is pair.one


def test_one_that_was_never_heard_is_believed_for_a_while_only(pair: Pair) -> None:
    """Else it would be good for the next life of this agent here."""
    _, old = noticed(pair)
    pair.advance(100)
    registers(browser(pair.two, 7), "<sip:z@c.invalid;transport=ws>", cseq=9)
    edge = pair.one.peer("203.0.113.66")
    edge.sends(old)
    assert edge.statuses() == [403]


def test_an_edge_that_drains_is_asked_all_the_same() -> None:
    pair = Pair(registrar=RegistrarConfig(secret=SECRET, flow_wait_s=0.0, rehome_window_s=10_000.0))
    agent, stored = moves(pair)
    pair.two.drain()
    pair.advance(20)
    assert pair.one.told(PeerLost) == []
    pair.one.node("FS1").invite(stored)
    assert agent.got("INVITE")


def test_an_edge_that_drains_sends_its_agents_to_the_others_and_their_calls_go_on(pair: Pair) -> None:
    agent = browser(pair.one)
    registers(agent)
    call = agent.invite(f"sip:9196@{EDGE}")
    node = pair.one.node("FS1")
    node.answer(200)
    call.ack()
    pair.one.order("edge1", "drain")
    assert agent.request("MESSAGE", f"sip:9196@{EDGE}").statuses == [503]
    pair.advance(30)
    assert agent.flow in pair.one.closed
    agent.closes()
    after = browser(pair.two)
    registers(after, cseq=2)
    after.within("BYE", call.final, cseq=2)
    node.answer(200, method="BYE")
    assert pair.one.edge.idle


def test_an_edge_that_drains_no_more_keeps_its_agents(pair: Pair) -> None:
    agent = browser(pair.one)
    registers(agent)
    pair.one.order("edge1", "drain")
    assert pair.one.edge.draining
    assert [other.state for other in pair.one.edge.others_snapshot()] == ["draining"]
    pair.one.order("edge1", "resume")
    pair.advance(40)
    assert pair.one.closed == []
    assert agent.invite(f"sip:9196@{EDGE}").statuses == [100]


def test_an_edge_that_is_alone_keeps_its_agents_while_it_drains(pair: Pair) -> None:
    agent = browser(pair.one)
    registers(agent)
    pair.two.deaf = True
    pair.advance(20)
    pair.one.order("edge1", "drain")
    pair.advance(40)
    assert pair.one.closed == []
    assert agent.world is pair.one


def test_who_asks_the_address_of_a_connection_alone_is_answered_by_the_edge(pair: Pair) -> None:
    """A URI without a transport means UDP; balancers write it over TCP all the same."""
    agent = browser(pair.one)
    assert agent.request("OPTIONS", "sip:192.0.2.1:7443").statuses == [200]
    assert not pair.one.node("FS1").got("OPTIONS")


@pytest.mark.parametrize("away_s", [0.0, 25.0])
def test_an_edge_that_heard_nothing_meanwhile_is_told_when_it_is_back(pair: Pair, away_s: float) -> None:
    """Whether the other one knew it to be down when the agent moved, or not yet."""
    before = browser(pair.one)
    stored = registers(before)
    pair.part()
    pair.advance(away_s)
    assert bool(pair.two.told(PeerLost)) is bool(away_s)
    after = browser(pair.two)
    registers(after, cseq=2)
    pair.advance(35.0)
    pair.part(False)
    pair.advance(6.0)
    assert pair.two.told(PeerReturned) == [PeerReturned("edge1")]
    assert [note.why for note in pair.one.told(ContactUnbound)] == ["reached by edge2"]
    call = pair.one.node("FS1").invite(stored)
    answers(after)
    assert call.statuses[-1] == 200
    assert not before.got("INVITE")


def test_who_came_back_while_the_edges_were_apart_stays_where_it_came_last(pair: Pair) -> None:
    registers(browser(pair.one))
    pair.part()
    pair.advance(25.0)
    registers(browser(pair.two), cseq=2)
    pair.advance(5.0)
    last = browser(pair.one, 3)
    registers(last, cseq=3)
    pair.part(False)
    pair.advance(10.0)
    assert pair.one.told(ContactUnbound) == []
    assert [note.why for note in pair.two.told(ContactUnbound)] == ["reached by edge1"]


def test_an_edge_that_is_back_is_told_nothing_of_who_has_left_again(pair: Pair) -> None:
    pair.part()
    pair.advance(25.0)
    agent = browser(pair.two)
    registers(agent)
    agent.closes()
    pair.part(False)
    pair.advance(10.0)
    assert not [wire for wire in pair.two.between if wire.is_request and wire.method == "NOTIFY"]
