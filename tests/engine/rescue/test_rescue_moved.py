"""A call to an application whose node dies is made anew to another node, and the agent goes on there."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from engine.boundary import CallOrder
from engine.config import RegistrarConfig, RescueConfig, StoreConfig
from engine.media.rules import MediaPacket, Port
from engine.notes import CallMoved, CallMoving, CallNotRescued, CallRescued, DialogEnded, RescuedCallEnded
from engine.rescue.bridges import Bridge
from tests.engine.harness import Exchange, NodePeer, World
from tests.engine.media.relay import read, rtp
from tests.engine.media.test_media_edge import NODE, RELAY
from tests.engine.media.written import BARESIP, BROWSER
from tests.engine.registrar.registering import WEB, registers, stored
from tests.engine.rescue.conversations import MARK, ONE, in_dialog
from tests.engine.wire import Wire, param

APPLICATION = Bridge(False)
RESCUED = "x-siptwin-rescued"


class Application:
    """A has called an application at a node, whose events say that it is connected to nobody."""

    def __init__(
        self,
        *,
        browser: bool = False,
        bridge: Bridge | None = APPLICATION,
        asked: str = "sip:9664@192.0.2.1",
        call_id: str = "",
        **settings: Any,
    ) -> None:
        settings.setdefault("moves_per_s", 1000.0)
        store = settings.pop("store", StoreConfig())
        rescue = RescueConfig(others="move", **settings)
        world = self.world = World(
            nodes=("FS1", "FS2", "FS3"),
            relay=RELAY,
            rescue=rescue,
            registrar=RegistrarConfig(secret="known to each life of the edge"),
            interfaces=WEB,
            store=store,
        )
        world.edge._core.rescue._sides._bridged = lambda *_: bridge  # type: ignore[union-attr]
        self.a = world.peer(ONE[0], 50_000, "wss", stream=7) if browser else world.peer(*ONE)
        if browser:
            self.a.opens()
        lines = ("Allow: INVITE, ACK, BYE, UPDATE", "X-Siptwin-Rescued: forged")
        body = BROWSER if browser else BARESIP
        self.call = self.a.invite(asked, *lines, body=body, **({"call_id": call_id} if call_id else {}))
        self.node = world.called()
        assert RESCUED not in self.node.got("INVITE")[-1]
        self.node.answer(200, body=NODE)
        self.call.ack()

    @property
    def near(self) -> Port:
        """Ours towards A."""
        address = read(self.call.final.body).address
        assert address is not None
        return Port("public", address[1])

    def dies(self, node: NodePeer | None = None) -> None:
        node = node or self.node
        node.alive = False
        node.unreachable()
        self.world.advance(0.01)

    def arrives(self, *lines: str) -> tuple[NodePeer, Wire]:
        """Another node answers; it and the INVITE that it got."""
        there = self.world.called()
        invite = there.got("INVITE")[-1]
        there.answer(200, *lines, body=NODE.replace(b"30000", b"31000"))
        return there, invite


def moved(**settings: Any) -> tuple[Application, NodePeer, Wire]:
    application = Application(**settings)
    application.dies()
    there, invite = application.arrives()
    assert application.world.told(CallMoved)
    return application, there, invite


def test_another_node_is_called_in_the_agents_name_and_told_what_it_was() -> None:
    application = Application()
    application.world.advance(37.5)
    application.dies()
    there = application.world.called()
    assert there is not application.node
    invite = there.got("INVITE")[-1]
    first = application.node.got("INVITE")[-1]
    assert invite.uri == first.uri
    assert invite["to"] == first["to"]
    assert invite["from"].split(";tag=")[0] == first["from"].split(";tag=")[0]
    assert invite["call-id"] != first["call-id"]
    assert invite[MARK] != first[MARK]
    assert invite[RESCUED] == (
        f'answered=37;cause=node-lost;node="{application.node.name}";call-id="{first["call-id"]}";asked="{first.uri}"'
    )
    codecs = {line for line in invite.body.split(b"\r\n") if line.startswith(b"a=rtpmap")}
    assert codecs <= {line for line in first.body.split(b"\r\n") if line.startswith(b"a=rtpmap")}


@pytest.mark.parametrize(
    "call_id",
    ['x";answered=99999@h', "x\\;answered=99999", "x%22;answered=99999", 'a"b;call-id="c";asked=', "x>;asked=<y"],
)
def test_no_caller_writes_what_a_dialplan_reads_there(call_id: str) -> None:
    """By the very expression of the README."""
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (expression,) = re.findall(r'field="\$\{sip_h_X-Siptwin-Rescued\}" expression="([^"]*)"', readme)
    application = Application(call_id=call_id, asked="sip:9664;answered=88888;call-id=z@192.0.2.1")
    application.world.advance(37.5)
    application.dies()
    told = application.world.called().got("INVITE")[-1][RESCUED]
    found = re.search(unescape(expression), told)
    assert found is not None
    assert found[1] == "37"
    assert unquote(found[2]) == call_id
    assert unquote(told.rpartition("asked=")[2]) == '"sip:9664;answered=88888;call-id=z@192.0.2.1"'


@pytest.mark.parametrize("rescues", [True, False])
def test_what_an_agent_writes_there_itself_reaches_no_node(rescues: bool) -> None:
    world = World(relay=RELAY, rescue=RescueConfig(enabled=rescues))
    forged = ("X-Siptwin-Rescued: answered=99999", "X-Siptwin-Leg: mine", "x-siptwin-RESCUED: answered=1")
    call = world.caller.invite("sip:9664@192.0.2.1", *forged, body=BARESIP)
    node = world.called()
    node.answer(200, body=NODE)
    call.ack()
    world.caller.within("INFO", call.final, *forged, cseq=2)
    world.caller.within("INVITE", call.final, *forged, cseq=3, body=BARESIP)
    world.caller.request("OPTIONS", "sip:9664@192.0.2.1", *forged)
    for method in ("INVITE", "INFO", "OPTIONS"):
        requests = [each for peer in world.nodes for each in peer.got(method)]
        assert requests
        for each in requests:
            assert RESCUED not in each
            assert each.all(MARK) != ["mine"]


@pytest.mark.parametrize("browser", [False, True])
def test_the_agent_notices_nothing_and_hears_the_other_node(browser: bool) -> None:
    application = Application(browser=browser)
    world, near = application.world, application.near
    application.dies()
    there, invite = application.arrives()
    (ack,) = in_dialog(there, "ACK")
    assert ack["call-id"] == invite["call-id"]
    ours = read(invite.body).address
    assert ours is not None
    far = Port("private", ours[1])
    world.happen(MediaPacket(far, ("10.0.0.13", 31_000), rtp()))
    if browser:  # whose address only a check will tell
        assert world.media.secured[near] is not None
    else:
        rule = world.media.rules[far].rtp
        assert rule is not None
        assert rule.port == near
    assert {port.interface for port in world.media.bound} == {"public", "private"}
    assert len(world.media.bound) == 4
    assert not application.a.got("INVITE")
    (note,) = world.told(CallMoved)
    assert (note.call_id, note.node, note.to) == (application.call.call_id, application.node.name, there.name)
    assert world.in_use(there.name) == 1
    assert world.edge.relayed_calls() == 1


@pytest.mark.parametrize("agent_ends", [True, False])
def test_it_ends_on_both_sides(agent_ends: bool) -> None:
    application, there, invite = moved()
    world = application.world
    if agent_ends:
        application.call.bye()
        (bye,) = in_dialog(there, "BYE")
        assert bye["call-id"] == invite["call-id"]
        there.replies(bye, 200)
    else:
        bye = there.within("BYE", invite, cseq=7)
        assert [w.status for w in there.inbox if not w.is_request and w["cseq"] == bye["cseq"]] == [200]
        (told,) = in_dialog(application.a, "BYE")
        assert told["from"] == application.call.final["to"]
        application.a.replies(told, 200)
    assert [note.why for note in world.told(RescuedCallEnded)] == ["bye"]
    assert [note.why for note in world.told(DialogEnded)] == ["taken over", "bye"]
    world.run_out()
    assert world.in_use(there.name) == world.edge.rescued_dialogs() == world.edge.relayed_calls() == 0
    assert not world.media.bound


@pytest.mark.parametrize("by_its_own_name", [True, False])
def test_an_operator_ends_it_on_both_sides(by_its_own_name: bool) -> None:
    application, there, invite = moved()
    call_id = application.call.call_id if by_its_own_name else invite["call-id"]
    application.world.happen(CallOrder(call_id, "end"))
    assert in_dialog(application.a, "BYE")
    assert in_dialog(there, "BYE")
    assert [note.why for note in application.world.told(RescuedCallEnded)] == ["by order"]
    assert application.world.in_use(there.name) == 0


def test_requests_pass_from_one_dialog_into_the_other() -> None:
    application, there, invite = moved()
    dtmf = application.a.within("INFO", application.call.final, "Content-Type: application/dtmf-relay", cseq=2)
    assert not [w for w in application.a.inbox if w["cseq"] == dtmf["cseq"]]
    (asked,) = in_dialog(there, "INFO")
    assert (asked["call-id"], asked["content-type"]) == (invite["call-id"], "application/dtmf-relay")
    there.replies(asked, 415, "Accept: text/plain")
    (answer,) = [w for w in application.a.inbox if w["cseq"] == dtmf["cseq"]]
    assert (answer.status, answer["accept"]) == (415, "text/plain")
    there.within("NOTIFY", invite, "Event: x", cseq=9)
    assert in_dialog(application.a, "NOTIFY")[0]["event"] == "x"


def test_a_transfer_is_the_nodes_business_and_its_outcome_told_by_the_agents_own_number() -> None:
    application, there, invite = moved()
    refer = application.a.within("REFER", application.call.final, "Refer-To: <sip:1001@192.0.2.1>", cseq=4)
    (asked,) = in_dialog(there, "REFER")
    assert asked["refer-to"] == "<sip:1001@192.0.2.1>"
    there.replies(asked, 202)
    assert [w.status for w in application.a.inbox if w["cseq"] == refer["cseq"]] == [202]
    number = asked["cseq"].split()[0]
    assert number != "4"
    event = f"Event: refer;id={number}"
    there.within("NOTIFY", invite, event, "Subscription-State: active", cseq=9)
    assert in_dialog(application.a, "NOTIFY")[0]["event"] == "refer;id=4"
    application.dies(there)  # who is on the line now is not known
    assert len(application.world.told(CallMoving)) == 1
    assert in_dialog(application.a, "BYE")


def test_an_agent_that_was_moved_is_told_that_it_may_transfer() -> None:
    application, _, _ = moved()
    application.a.within("INVITE", application.call.final, cseq=2, body=BARESIP)
    answer = [w for w in application.a.inbox if w["cseq"] == "2 INVITE" and w.status == 200][-1]
    assert {"REFER", "MESSAGE"} <= set(answer["allow"].split(", "))


def test_a_report_on_a_transfer_that_overtakes_its_202_bears_the_agents_number() -> None:
    application, there, invite = moved()
    application.a.within("REFER", application.call.final, "Refer-To: <sip:1001@192.0.2.1>", cseq=4)
    (asked,) = in_dialog(there, "REFER")
    event = f"Event: refer;id={asked['cseq'].split()[0]}"
    there.within("NOTIFY", invite, event, "Subscription-State: active", cseq=9)
    assert in_dialog(application.a, "NOTIFY")[0]["event"] == "refer;id=4"


def test_a_challenge_of_the_node_reaches_the_agent_and_its_credentials_the_node() -> None:
    application, there, _ = moved()
    application.a.within("REFER", application.call.final, "Refer-To: <sip:1001@192.0.2.1>", cseq=4)
    challenge = 'Digest realm="x", nonce="y"'
    there.replies(in_dialog(there, "REFER")[0], 407, f"Proxy-Authenticate: {challenge}")
    (answer,) = [w for w in application.a.inbox if w["cseq"] == "4 REFER"]
    assert (answer.status, answer["proxy-authenticate"]) == (407, challenge)
    lines = ("Refer-To: <sip:1001@192.0.2.1>", 'Proxy-Authorization: Digest username="1000"')
    application.a.within("REFER", application.call.final, *lines, cseq=5)
    assert in_dialog(there, "REFER")[-1]["proxy-authorization"] == 'Digest username="1000"'


@pytest.mark.parametrize("early", ["", ";early-only"])
def test_an_attended_transfer_names_the_other_call_as_its_new_node_knows_it(early: str) -> None:
    application = Application()
    world, a = application.world, application.a
    second = a.invite("sip:9665@192.0.2.1", "Allow: INVITE, ACK, BYE, UPDATE", body=BARESIP)
    at = world.called()
    at.answer(200, body=NODE)
    second.ack()
    for node in dict.fromkeys((application.node, at)):
        application.dies(node)
    (there,) = [node for node in world.nodes if node.alive]
    invites = {wire["call-id"]: wire for wire in there.got("INVITE") if RESCUED in wire}
    for invite in invites.values():
        there.replies(invite, 200, tag=there.tag_for(invite), body=NODE)
    named = {note.call_id: invites[note.other_call_id] for note in world.told(CallMoved)}
    own = named[second.call_id]
    tags = param(second.final["to"], "tag"), param(second.final["from"], "tag")
    replaces = quote(f"{second.call_id};to-tag={tags[0]};from-tag={tags[1]}{early}", safe="")
    a.within("REFER", application.call.final, f"Refer-To: <sip:9665@192.0.2.1?Replaces={replaces}&X=1>", cseq=4)
    (refer,) = in_dialog(there, "REFER")
    ours = param(own["from"], "tag")
    expected = quote(f"{own['call-id']};to-tag={there.tag_for(own)};from-tag={ours}{early}", safe="")
    assert refer["refer-to"] == f"<sip:9665@192.0.2.1?Replaces={expected}&X=1>"
    other = quote(f"unknown;to-tag={tags[0]};from-tag={tags[1]}", safe="")
    a.within("REFER", application.call.final, f"Refer-To: <sip:1@192.0.2.1?Replaces={other}>", cseq=5)
    assert in_dialog(there, "REFER")[-1]["refer-to"] == f"<sip:1@192.0.2.1?Replaces={other}>"
    there.alive = False
    there.unreachable()  # both are on their way again, and no node knows them
    a.within("REFER", application.call.final, f"Refer-To: <sip:1@192.0.2.1?Replaces={replaces}>", cseq=6)
    assert [w.status for w in a.inbox if w["cseq"] == "6 REFER"] == [603]


def test_a_hold_is_answered_here_and_a_re_invite_of_the_node_too() -> None:
    application, there, invite = moved()
    held = BARESIP.replace(b"a=sendrecv", b"a=sendonly")
    application.a.within("INVITE", application.call.final, cseq=2, body=held)
    answers = [w for w in application.a.inbox if w["cseq"] == "2 INVITE" and w.status == 200]
    assert read(answers[0].body).address == ("192.0.2.1", application.near.number)
    application.a.within("ACK", application.call.final, cseq=2)
    again = there.within("INVITE", invite, cseq=9, body=NODE)
    assert [w.status for w in there.inbox if not w.is_request and w["cseq"] == again["cseq"]] == [200]


def test_a_node_that_refuses_is_followed_by_the_next() -> None:
    application = Application()
    application.dies()
    first = application.world.called()
    first.answer(500)
    second = application.world.called()
    assert second not in (first, application.node)
    application.arrives()
    assert [note.to for note in application.world.told(CallMoved)] == [second.name]


def test_when_all_refuse_they_are_asked_again_until_the_agent_has_waited_long_enough() -> None:
    application = Application(move_within_s=5.0)
    world = application.world
    application.dies()
    for _ in range(2):
        for _ in range(2):
            world.called().answer(500)
        world.advance(2.1)
    assert len(world.told(CallMoving)) == 3
    assert not application.a.got("BYE")
    world.advance(3.0)
    assert [note.why for note in world.told(CallNotRescued)] == ["not moved: no node answered in time"]
    assert "cause=27" in in_dialog(application.a, "BYE")[0]["reason"]
    late = world.called()
    late.answer(200, body=NODE)
    world.run_out()
    assert not world.media.bound
    assert world.edge.rescued_dialogs() == 0


def test_a_challenge_ends_it() -> None:
    application = Application(otherwise="hold")
    application.dies()
    application.world.called().answer(407, "Proxy-Authenticate: Digest realm=x, nonce=y")
    (note,) = application.world.told(CallNotRescued)
    assert "nodes must trust the edge" in note.why
    assert not application.a.got("BYE")
    bye = application.call.bye()
    assert [w.status for w in application.a.inbox if w["cseq"] == bye["cseq"]] == [200]


def test_who_hangs_up_meanwhile_is_not_moved() -> None:
    application = Application()
    application.dies()
    there = application.world.called()
    there.answer(180)
    application.call.bye()
    assert there.got("CANCEL")
    there.answer(200, body=NODE)  # it crosses the CANCEL
    assert in_dialog(there, "ACK")
    assert in_dialog(there, "BYE")
    application.world.run_out()
    assert application.world.edge.rescued_dialogs() == application.world.in_use(there.name) == 0
    assert not application.world.media.bound


def test_a_re_invite_meanwhile_is_to_come_again() -> None:
    application = Application()
    application.dies()
    again = application.a.within("INVITE", application.call.final, cseq=2, body=BARESIP)
    assert [w.status for w in application.a.inbox if w["cseq"] == again["cseq"]][-1] == 491


def test_when_that_node_dies_as_well_it_is_moved_on() -> None:
    application, there, _ = moved()
    application.dies(there)
    third, invite = application.arrives()
    assert third not in (there, application.node)
    assert f'call-id="{application.call.call_id}"' in invite[RESCUED]
    assert f'node="{there.name}"' in invite[RESCUED]
    assert [note.to for note in application.world.told(CallMoved)] == [there.name, third.name]
    application.call.bye()
    assert in_dialog(third, "BYE")
    application.world.run_out()
    assert not application.world.media.bound
    assert application.world.edge.rescued_dialogs() == 0


def test_the_calls_of_a_node_come_one_by_one() -> None:
    application = Application(moves_per_s=2.0)
    world = application.world
    others = [world.peer("198.51.100.8", 6_000 + n) for n in range(6)]
    for other in others:
        call = other.invite("sip:9664@192.0.2.1", body=BARESIP)
        world.called().answer(200, body=NODE)
        call.ack()
    here = [call for call in world.edge.calls(world.now) if call.node == application.node.name]
    assert len(here) > 1
    application.dies()
    assert len(world.told(CallMoving)) == 1
    world.advance(0.6)
    assert len(world.told(CallMoving)) == 2


@pytest.mark.parametrize("bridge", [None, Bridge(True), Bridge(True, b"elsewhere")])
def test_what_is_not_known_to_be_an_application_is_not_called_again(bridge: Bridge | None) -> None:
    application = Application(bridge=bridge)
    application.dies()
    assert not application.world.told(CallMoving)
    assert in_dialog(application.a, "BYE")


def test_an_agent_that_the_other_node_has_found_is_joined_with_when_that_dies() -> None:
    """A queue was moved, and its caller is spoken to: the conversation survives."""
    application, there, invite = moved()
    world = application.world
    b = world.peer("203.0.113.9", 41_000)
    registers(b, user="1001")
    contact = stored(world.called("REGISTER"))
    leg = Exchange(there, "INVITE", contact, f"X-Siptwin-Leg: {invite[MARK]}", body=NODE)
    leg.send()
    b.replies(b.got("INVITE")[-1], 200, tag="b", body=BARESIP)
    leg.ack()
    world.edge._core.rescue._sides._bridged = lambda *_: None  # type: ignore[union-attr]
    application.dies(there)
    (note,) = world.told(CallRescued)
    assert (note.call_id, note.other_call_id) == (application.call.call_id, leg.call_id)
    application.call.bye()
    assert in_dialog(b, "BYE")
