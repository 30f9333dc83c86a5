"""What the edge knows of a dialog's sides, so that they believe what it asks in the name of the other."""

from __future__ import annotations

from typing import Any

import pytest

from engine.boundary import CallOrder, Flow
from engine.config import StoreConfig
from engine.registrar.targets import Targets
from engine.registrar.tokens import Tokens
from engine.sip.message import Request
from tests.engine.harness import EDGE, Exchange, NodePeer, Peer, World
from tests.engine.media.ng.relay_world import RelayWorld
from tests.engine.media.test_media_edge import NODE
from tests.engine.media.written import BARESIP
from tests.engine.registrar.registering import edge, registers, stored
from tests.engine.wire import Wire, message

PROXY = "<sip:198.51.100.50;lr>"
RELIABLE = ("Require: 100rel", "RSeq: 1")


@pytest.fixture
def world() -> World:
    return World(nodes=("FS1",))


def ends(world: World, call_id: str) -> None:
    world.happen(CallOrder(call_id, "end"))


def bye(party: Peer) -> Wire:
    (found,) = party.got("BYE")
    return found


def rung(world: World, node: NodePeer, call: Exchange, body: bytes = b"") -> None:
    """The node rings reliably: the caller counts to 3 before it is answered, the node to 5."""
    node.answer(183, *RELIABLE, body=body)
    early = call.responses[-1]
    world.caller.within("PRACK", early, "RAck: 1 1 INVITE", cseq=2)
    node.answer(200, method="PRACK")
    world.caller.within("UPDATE", early, cseq=3)
    node.answer(200, method="UPDATE")
    node.within("INFO", node.got("INVITE")[0], cseq=5)
    world.caller.replies(world.caller.got("INFO")[-1], 200)


# --- numbers


def test_requests_before_the_answer_count(world: World) -> None:
    call = world.caller.invite()
    node = world.called()
    rung(world, node, call)
    node.answer(200)
    call.ack()
    ends(world, call.call_id)
    assert (bye(node)["cseq"], bye(world.caller)["cseq"]) == ("4 BYE", "6 BYE")


def test_each_fork_is_counted_by_itself(world: World) -> None:
    call = world.caller.invite()
    node = world.called()
    node.answer(183, *RELIABLE, tag="one")
    world.caller.within("PRACK", call.responses[-1], "RAck: 1 1 INVITE", cseq=9)
    node.answer(183, *RELIABLE, tag="two")
    node.answer(200, tag="two")
    call.ack()
    ends(world, call.call_id)
    assert bye(node)["cseq"] == "2 BYE"


def test_two_invites_of_one_call_id_share_what_was_counted(world: World) -> None:
    """A caller is challenged, and comes again: what was counted for the first must not end under the second."""
    call = world.caller.invite(call_id="same")
    node = world.called()
    node.answer(180)
    node.answer(407, tag="no")
    call.refuse_ack()
    again = world.caller.invite(call_id="same", cseq=2)
    node.answer(183, *RELIABLE, which=-1)
    world.caller.within("PRACK", again.responses[-1], "RAck: 1 2 INVITE", cseq=3)
    node.answer(200, method="PRACK")
    world.advance(40)
    node.answer(200)
    again.ack()
    ends(world, "same")
    assert bye(node)["cseq"] == "4 BYE"


def test_a_renewal_counts_on_from_what_passed_before_the_answer() -> None:
    world = RelayWorld()
    call = world.caller.invite(body=BARESIP)
    node = world.called()
    rung(world, node, call)
    node.answer(200, body=NODE)
    call.ack()
    world.kill(1)
    to_node = node.got("INVITE")[-1]
    node.replies(to_node, 200, body=NODE)
    assert to_node["cseq"] == "4 INVITE"
    assert world.caller.got("INVITE")[-1]["cseq"] == "6 INVITE"


def test_an_ack_that_comes_after_a_renewal_keeps_the_number_of_its_invite() -> None:
    world = RelayWorld()
    call = world.caller.invite(body=BARESIP)
    node = world.called()
    node.answer(200, body=NODE)
    world.kill(1)
    assert node.got("INVITE")[-1]["cseq"] == "2 INVITE"
    call.ack()
    assert node.got("ACK")[-1]["cseq"] == "1 ACK"


# --- route sets


def record_routed(world: World, **parts: Any) -> tuple[Exchange, NodePeer]:
    """A call through a proxy before the caller, which stays in the way."""
    call = world.caller.invite(f"sip:9196@{EDGE}", f"Record-Route: {PROXY}", **parts)
    node = world.called()
    node.answer(200, body=NODE if parts else b"")
    call.ack()
    return call, node


def test_the_callers_proxy_is_not_on_the_way_to_the_node(world: World) -> None:
    call, node = record_routed(world)
    ends(world, call.call_id)
    assert "route" not in bye(node)
    assert bye(world.caller).all("route") == [PROXY]


def test_nor_is_it_for_a_renewal() -> None:
    world = RelayWorld()
    _, node = record_routed(world, body=BARESIP)
    world.kill(1)
    asked = node.got("INVITE")[-1]
    assert asked["cseq"] == "2 INVITE"
    assert "route" not in asked


def test_a_proxy_behind_the_edge_stays_on_the_way(world: World) -> None:
    call = world.caller.invite(f"sip:9196@{EDGE}", f"Record-Route: {PROXY}")
    node = world.called()
    invite = node.got("INVITE")[-1]
    behind = b"Record-Route: <sip:10.0.0.99;lr>\r\nRecord-Route"
    passed_on = Wire(invite.data.replace(b"Record-Route", behind, 1), invite.flow, invite.at)
    node.replies(passed_on, 200, tag="t")
    call.ack()
    ends(world, call.call_id)
    (told,) = [wire for wire in world.sent if wire.is_request and wire.flow.peer == ("10.0.0.99", 5060)]
    assert told.all("route") == ["<sip:10.0.0.99;lr>"]


# --- forks


@pytest.mark.parametrize("store", [StoreConfig(), StoreConfig(database="x")], ids=["no store", "store"])
def test_both_dialogs_of_a_fork_stand_and_end(store: StoreConfig) -> None:
    world = World(nodes=("FS1",), store=store)
    call = world.caller.invite()
    node = world.called()
    for tag in ("one", "two", "two", "one"):
        node.answer(200, tag=tag)
    assert call.statuses == [100, 200, 200, 200, 200]
    assert world.in_use("FS1") == world.edge.open_dialogs() == 2
    ends(world, call.call_id)
    assert world.edge.open_dialogs() == 0
    assert [wire["to"].rpartition("tag=")[2] for wire in node.got("BYE")] == ["one", "two"]


# --- what is refused


def test_a_request_that_is_refused_moves_nothing(world: World) -> None:
    call = world.caller.invite()
    node = call.establish()
    stranger = world.peer("203.0.113.66")
    stranger.sends(
        message(
            "UPDATE sip:x@203.0.113.67 SIP/2.0",
            f"Via: SIP/2.0/UDP {stranger.host_port};branch=z9hG4bKx",
            f"From: {call.from_}",
            f"To: {call.final['to']}",
            f"Call-ID: {call.call_id}",
            "CSeq: 700 UPDATE",
            "Contact: <sip:203.0.113.66>",
        )
    )
    assert stranger.statuses() == [404]
    ends(world, call.call_id)
    assert bye(world.caller).uri == f"sip:1000@{world.caller.host_port}"
    assert bye(node)["cseq"] == "2 BYE"


# --- cost


def test_a_callers_binding_is_looked_for_once_for_each_2xx(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RelayWorld()
    call = world.caller.invite(body=BARESIP)
    node = world.called()
    looked: list[Flow] = []
    key_on = Targets.key_on

    def counted(targets: Targets, flow: Flow, request: Request) -> bytes:
        looked.append(flow)
        return key_on(targets, flow, request)

    monkeypatch.setattr(Targets, "key_on", counted)
    node.answer(200, body=NODE)
    call.ack()
    assert looked == [call.peer.flow]


def test_no_token_is_opened_for_what_goes_to_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decrypting takes ten times as long as all other looks at the way."""
    world = edge()
    agent = world.peer("203.0.113.9", 41_000)
    registers(agent, user="1001")
    node = world.called("REGISTER")
    leg = Exchange(node, "INVITE", stored(node))
    leg.send()
    invited = agent.got("INVITE")[-1]
    agent.replies(invited, 200, tag=agent.tag_for(invited))
    leg.ack()

    def made_for(*_: object) -> bool:
        raise AssertionError("a token is opened")

    monkeypatch.setattr(Tokens, "made_for", made_for)
    agent.within("INFO", invited, cseq=2)
    assert len(node.got("INFO")) == 1
