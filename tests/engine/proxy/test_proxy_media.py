"""Proxy and relay: which descriptions it is shown, what waits for its answers, and when its calls end.

The relay here is a stand-in whose answers come when the test gives them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.boundary import Flow, Interface
from engine.media.offer_answer import Carrier
from engine.media.relay import Outcome, Passage, Relay, Then
from engine.media.rules import MediaInput
from engine.notes import CallFailed, MediaRefused
from engine.proxy.legs import Legs
from engine.sip.errors import SipError
from tests.engine.harness import INTERFACES, Exchange, NodePeer, World, node
from tests.engine.proxy.scripts import Serial

OFFER, ANSWER, SECOND, THIRD = b"offer", b"answer", b"second offer", b"second answer"
TIMEOUTS = {"timeout_s": 0.6}


class Media:
    """What the stand-in keeps of one passage."""

    def __init__(self, relay: SlowRelay, passage: Passage) -> None:
        self.relay = relay
        self.passage = passage
        self.asked: list[tuple[str, str, bytes]] = []
        self.void: list[str] = []
        self.released = 0

    def described(self, carrier: Carrier, tag: str, text: bytes, then: Then, now: float) -> None:
        self.asked.append((_said(carrier), tag, text))
        self.relay.open_questions.append(then)
        if self.relay.at_once:
            self.relay.answers(b"<" + text + b">")

    def ended(self, carrier: Carrier, tag: str, now: float) -> None:
        self.void.append(_said(carrier))

    def release(self, now: float) -> None:
        self.released += 1


def _said(carrier: Carrier) -> str:
    status = f"{carrier.status} to " if carrier.status else ""
    return f"{carrier.sender}: {status}{carrier.method}{' reliably' if carrier.reliable else ''}"


class SlowRelay:
    def __init__(self, clock: Callable[[], float], *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.calls: list[Media] = []
        self.open_questions: list[Then] = []
        self._clock = clock

    def open(self, passage: Passage, now: float) -> Media:
        self.calls.append(Media(self, passage))
        return self.calls[-1]

    def receive(self, event: MediaInput, now: float) -> None:
        raise AssertionError

    def __len__(self) -> int:
        return sum(not call.released for call in self.calls)

    def answers(self, outcome: Outcome) -> None:
        self.open_questions.pop(0)(outcome, self._clock())


class MediaWorld(World):
    """A world whose edge has the stand-in for its relay."""

    def __init__(self, *, at_once: bool = True, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.relay = relay = SlowRelay(lambda: self.now, at_once=at_once)
        edge = self.edge
        as_relay: Relay = relay
        core = edge._core
        core.legs = Legs(as_relay, core.here, core.pool, core.timers, core.out, 43_200.0)

    def relay_answers(self, outcome: Outcome) -> None:
        """The relay answers its oldest question, in a turn of its own, as one behind a network would."""
        self.relay.answers(outcome)
        self._do(self.edge.tick(self.now))


def called(world: World) -> Exchange:
    return world.caller.invite(body=OFFER)


# --- at once -----------------------------------------------------------------------------------------------------


def test_each_side_is_sent_what_the_relay_made_of_the_descriptions() -> None:
    world = MediaWorld()
    call = called(world)
    chosen = world.called()
    (asked,) = chosen.got("INVITE")
    assert (asked.body, asked["content-length"], asked["content-type"]) == (b"<offer>", "7", "application/sdp")
    chosen.answer(183, body=ANSWER)
    chosen.answer(200, body=ANSWER)
    assert [wire.body for wire in call.responses] == [b"", b"<answer>", b"<answer>"]
    call.ack()
    (media,) = world.relay.calls
    tag = chosen.tag_for(asked)
    assert media.asked == [
        ("caller: INVITE", "", OFFER),
        ("callee: 183 to INVITE", tag, ANSWER),
        ("callee: 200 to INVITE", tag, ANSWER),
    ]
    assert media.void == ["caller: ACK"]
    assert media.passage.caller.kind == "softphone"
    assert media.passage.callee.kind == "node"
    assert (media.passage.caller.host, media.passage.callee.host) == ("198.51.100.7", chosen.flow.peer[0])


def test_the_callees_requests_are_told_from_the_callers() -> None:
    world = MediaWorld()
    call = called(world)
    chosen = call.establish()
    (asked,) = chosen.got("INVITE")
    update = chosen.within("UPDATE", asked, cseq=7, body=SECOND)
    assert world.caller.got("UPDATE")[0].body == b"<second offer>"
    world.caller.replies(world.caller.got("UPDATE")[0], 200, body=THIRD)
    assert [wire.body for wire in chosen.inbox if wire.status == 200 and wire.method == "UPDATE"] == [
        b"<second answer>"
    ]
    (media,) = world.relay.calls
    tag = chosen.tag_for(asked)
    assert media.asked[1:] == [("callee: UPDATE", tag, SECOND), ("caller: 200 to UPDATE", tag, THIRD)]
    assert update.method == "UPDATE"


def test_an_answer_in_a_prack_and_one_in_an_ack_are_shown() -> None:
    world = MediaWorld()
    call = world.caller.invite()
    chosen = world.called()
    chosen.answer(183, "Require: 100rel", "RSeq: 1", body=OFFER)
    world.caller.within("PRACK", call.responses[-1], "RAck: 1 1 INVITE", cseq=2, body=ANSWER)
    assert chosen.got("PRACK")[0].body == b"<answer>"
    chosen.answer(200, method="PRACK")
    chosen.answer(200)
    call.ack(body=THIRD)
    assert chosen.got("ACK")[0].body == b"<second answer>"
    (media,) = world.relay.calls
    assert [said for said, _, _ in media.asked] == [
        "callee: 183 to INVITE reliably",
        "caller: PRACK",
        "caller: ACK",
    ]


def test_multipart_bodies_keep_their_other_parts() -> None:
    world = MediaWorld()
    parts = (
        "--x\r\nContent-Type: application/sdp\r\n\r\noffer\r\n"
        "--x\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--x--\r\n"
    )
    world.caller.invite("sip:9196@192.0.2.1", "Content-Type: multipart/mixed; boundary=x", body=parts)
    (asked,) = world.called().got("INVITE")
    assert asked.body == parts.encode().replace(b"offer", b"<offer>")
    assert asked["content-type"] == "multipart/mixed; boundary=x"
    assert asked["content-length"] == str(len(asked.body))


def test_what_the_relay_takes_out_is_not_sent() -> None:
    world = MediaWorld(at_once=False)
    call = called(world)
    world.relay_answers(b"<offer>")
    world.called().answer(183, body=ANSWER)
    world.relay_answers(None)
    progress = call.responses[-1]
    assert (progress.status, progress.body, progress["content-length"]) == (183, b"", "0")
    assert "content-type" not in progress


def test_each_branch_and_each_node_tried_is_a_call_of_its_own() -> None:
    world = MediaWorld(options=TIMEOUTS)
    called(world)
    first = world.called()
    world.advance(0.7)
    second = world.called()
    assert second is not first
    assert [media.released for media in world.relay.calls] == [0, 0]  # the first might still answer
    second.answer(200, body=ANSWER)
    world.run_out()
    assert [media.released for media in world.relay.calls] == [1, 0]
    branches = {media.passage.branch for media in world.relay.calls}
    assert len(branches) == 2


def test_a_late_2xx_of_a_node_that_was_given_up_still_has_its_media() -> None:
    world = MediaWorld(options=TIMEOUTS)
    call = called(world)
    first = world.called()
    world.advance(0.7)
    first.answer(200, body=ANSWER)
    assert call.final.body == b"<answer>"
    world.run_out()
    assert [media.released for media in world.relay.calls] == [0, 1]


def test_a_call_through_a_websocket_is_a_browsers() -> None:
    web = Interface(name="web", transport="wss", host="192.0.2.1", port=443)
    world = MediaWorld(interfaces=(*INTERFACES, web))
    browser = world.peer("198.51.100.9", 50_000, "web", stream=1)
    browser.opens()
    browser.invite(body=OFFER)
    assert world.relay.calls[0].passage.caller.kind == "browser"
    assert world.relay.calls[0].passage.caller.interface == "web"


# --- later -------------------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_relay_has_answered() -> None:
    world = MediaWorld(at_once=False)
    call = called(world)
    assert call.statuses == [100]
    assert not any(each.got("INVITE") for each in world.nodes)
    world.advance(0.3)
    world.relay_answers(b"<offer>")
    assert world.called().got("INVITE")[0].body == b"<offer>"


def test_messages_of_a_dialog_keep_their_order_while_one_waits() -> None:
    world = MediaWorld(at_once=False)
    call = called(world)
    world.relay_answers(b"<offer>")
    chosen = world.called()
    chosen.answer(183, body=ANSWER)
    chosen.answer(180)
    chosen.answer(200, body=ANSWER)
    assert call.statuses == [100]
    world.relay_answers(b"<answer>")
    assert call.statuses == [100, 183, 180]
    world.relay_answers(b"<answer>")
    assert call.statuses == [100, 183, 180, 200]
    call.ack()
    world.caller.within("UPDATE", call.final, cseq=2, body=SECOND)
    world.caller.within("BYE", call.final, cseq=3)
    assert not chosen.got("BYE")
    world.relay_answers(b"<second offer>")
    assert [wire.method for wire in chosen.inbox if wire.is_request][-2:] == ["UPDATE", "BYE"]


def test_a_call_given_up_while_the_relay_is_asked_never_reaches_a_node() -> None:
    world = MediaWorld(at_once=False)
    call = called(world)
    call.cancel()
    world.relay_answers(b"<offer>")
    assert call.statuses == [100, 487]
    assert not any(each.got("INVITE") for each in world.nodes)
    assert world.relay.calls[0].released == 1
    assert world.in_use("FS1") == world.in_use("FS2") == 0


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 488, 491, 500, 503])
def test_an_offer_that_cannot_be_relayed_is_refused(status: int) -> None:
    world = MediaWorld(at_once=False, nodes=("FS1",), policy=Serial())
    call = called(world)
    world.relay_answers(SipError("no way", status))
    assert call.statuses == [100, status]
    assert world.relay.calls[0].released == 1
    assert world.in_use("FS1") == 0
    assert not world.node("FS1").got("INVITE")
    (note,) = world.told(MediaRefused)
    assert (note.message, note.sender, note.status, note.why) == ("INVITE", "caller", status, "no way")
    assert world.told(CallFailed)[0].status == status


@pytest.mark.parametrize("status", [488, 491, 503])
def test_a_request_in_a_dialog_is_refused_and_the_call_goes_on(status: int) -> None:
    world = MediaWorld(at_once=False)
    call = called(world)
    world.relay_answers(b"<offer>")
    chosen = call.establish()
    world.caller.within("INVITE", call.final, cseq=2, body=SECOND)
    world.relay_answers(SipError("no way", status))
    assert [wire.status for wire in world.caller.inbox if wire.status >= 300] == [status]
    assert len(chosen.got("INVITE")) == 1
    assert world.relay.calls[0].released == 0


def test_an_answer_that_cannot_be_relayed_is_left_out() -> None:
    world = MediaWorld(at_once=False)
    call = called(world)
    world.relay_answers(b"<offer>")
    world.called().answer(200, body=ANSWER)
    world.relay_answers(SipError("no common codec", 488))
    assert (call.final.status, call.final.body) == (200, b"")
    assert world.told(MediaRefused)[0].message == "200 to INVITE"


def test_a_body_that_cannot_be_read_is_refused_without_the_relay() -> None:
    world = MediaWorld(nodes=("FS1",), policy=Serial())
    call = world.caller.invite("sip:9196@192.0.2.1", "Content-Type: multipart/mixed", body="--x")
    assert call.statuses == [100, 400]
    assert world.relay.calls[0].asked == []


# --- requests that bring no response -----------------------------------------------------------------------------


def in_a_call() -> tuple[MediaWorld, Exchange, NodePeer, Media]:
    world = MediaWorld()
    call = called(world)
    chosen = call.establish()
    (media,) = world.relay.calls
    media.void.clear()
    return world, call, chosen, media


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_an_offer_that_is_never_answered_is_void(method: str) -> None:
    world, call, _, media = in_a_call()
    world.caller.within(method, call.final, cseq=2, body=SECOND)
    world.advance(40)
    assert media.void == [f"callee: 408 to {method}"]


def test_an_offer_to_a_node_that_is_gone_is_void_and_a_late_answer_is_not_shown() -> None:
    _, call, chosen, media = in_a_call()
    call.peer.within("INVITE", call.final, cseq=2, body=SECOND)
    chosen.unreachable()
    assert media.void == ["callee: 408 to INVITE"]
    asked = len(media.asked)
    chosen.answer(200, body=THIRD)
    assert len(media.asked) == asked
    assert not any(THIRD in wire.body for wire in call.peer.inbox)


def test_an_offer_that_was_given_up_while_the_relay_was_asked_is_void() -> None:
    world, call, chosen, media = in_a_call()
    world.relay.at_once = False
    invite = world.caller.within("INVITE", call.final, cseq=2, body=SECOND)
    world.caller.sends(invite.data.replace(b"INVITE sip", b"CANCEL sip").replace(b"2 INVITE", b"2 CANCEL"))
    world.relay_answers(b"<second offer>")
    assert media.void == ["callee: 487 to INVITE"]
    assert len(chosen.got("INVITE")) == 1


# --- ends --------------------------------------------------------------------------------------------------------


def test_media_end_with_the_call() -> None:
    world = MediaWorld()
    call = called(world)
    chosen = call.establish()
    (media,) = world.relay.calls
    call.bye()
    assert media.released == 0
    chosen.answer(200, method="BYE")
    assert media.released == 1
    world.run_out()
    assert media.released == 1


@pytest.mark.parametrize("status", [404, 486, 603])
def test_media_end_with_a_call_that_is_refused(status: int) -> None:
    world = MediaWorld()
    called(world)
    world.called().answer(status)
    assert [media.released for media in world.relay.calls] == [1]


def test_media_end_when_a_side_no_longer_knows_the_call() -> None:
    world = MediaWorld()
    call = called(world)
    chosen = call.establish()
    world.caller.within("INVITE", call.final, cseq=2, body=SECOND)
    chosen.answer(481)
    assert [media.released for media in world.relay.calls] == [1]


def test_media_of_a_call_whose_bye_was_lost_end_after_its_lifetime() -> None:
    world = MediaWorld()
    called(world).establish()
    world.advance(43_300.0)
    assert [media.released for media in world.relay.calls] == [1]


def test_one_leg_of_two_dialogs_ends_with_the_last() -> None:
    world = MediaWorld()
    call = called(world)
    chosen = world.called()
    chosen.answer(200, tag="one", body=ANSWER)
    chosen.answer(200, tag="two", body=ANSWER)
    (media,) = world.relay.calls
    one, two = [wire for wire in call.responses if wire.status == 200]
    world.caller.bye(one)
    chosen.answer(200, method="BYE")
    assert media.released == 0
    world.caller.within("BYE", two, cseq=3)
    chosen.answer(200, method="BYE")
    assert media.released == 1


def test_a_call_from_before_a_restart_has_media_again_with_its_next_offer() -> None:
    world = World()
    call = called(world)
    chosen = call.establish()
    after = MediaWorld()
    after.caller.within("INVITE", call.final, cseq=2, body=SECOND)
    reached = after.node(chosen.name)
    assert reached.got("INVITE")[0].body == b"<second offer>"
    reached.answer(200, body=ANSWER)
    (media,) = after.relay.calls
    assert media.passage.callee.kind == "node"
    after.caller.within("BYE", call.final, cseq=3)
    reached.answer(200, method="BYE")
    assert media.released == 1


def test_without_a_relay_bodies_pass_as_they_came() -> None:
    world = World(nodes=(node("FS1"),))
    call = called(world)
    (asked,) = world.node("FS1").got("INVITE")
    assert asked.body == OFFER
    world.node("FS1").answer(200, body=ANSWER)
    assert call.final.body == ANSWER
    assert world.edge.relayed_calls() == 0
    assert asked.flow == Flow("inside", ("10.0.0.11", 5060))
