"""One node's event socket, as an edge uses it: log-in, what it learns, and what it makes of a loss."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.boundary import (
    CallOrder,
    DialogRecord,
    Flow,
    Loaded,
    Reconfigure,
    StreamClosed,
    StreamData,
    StreamOpened,
    Unreachable,
)
from engine.config import EventsConfig
from engine.edge import EdgeSettings
from engine.notes import CallNotEnded, DialogEnded, EventsConnected, EventsLost, NodePaused, NodeStateChanged
from tests.engine.harness import World, node

EVENTS = EventsConfig(password="a secret", poll_s=1.0, timeout_s=2.0, retry_min_s=0.5, retry_max_s=30.0)
STATUS = "{0} session(s) - peak 9, last 5min 9 \n{1} session(s) max\nmin idle cpu 0.00/{2}\n"


class Socket:
    """The event socket of FS1: what the edge sends to it, and what it says."""

    def __init__(self, world: World, number: int = 1) -> None:
        self.world = world
        self.flow = Flow("events:inside", ("10.0.0.11", EVENTS.port), number)

    @property
    def commands(self) -> list[str]:
        return [wire.data.decode().strip() for wire in self.world.sent if wire.flow == self.flow]

    def opens(self) -> None:
        self.world.happen(StreamOpened(self.flow, False))

    def says(self, head: str, body: str = "") -> None:
        head = f"Content-Length: {len(body.encode())}\n{head}" if body else head
        self.world.happen(StreamData(self.flow, f"{head}\n\n{body}".encode()))

    def accepts(self) -> None:
        self.says("Content-Type: command/reply\nReply-Text: +OK accepted")

    def answers(self, text: str) -> None:
        self.says("Content-Type: api/response", text)

    def tells(self, name: str, **fields: str) -> None:
        lines = [f"Event-Name: {name}", *(f"{key.replace('__', '-')}: {value}" for key, value in fields.items())]
        self.says("Content-Type: text/event-plain", "\n".join(lines) + "\n\n")

    def closes(self) -> None:
        self.world.happen(StreamClosed(self.flow, "closed by peer"))

    def enters(
        self, sessions: int = 0, bound: int = 100, idle: float = 100.0, channels: str = "{}", paused: str = "false"
    ) -> None:
        """From the greeting to the first answer whether it is paused."""
        self.opens()
        self.says("Content-Type: auth/request")
        self.accepts()
        self.accepts()
        self.answers(STATUS.format(sessions, bound, idle))
        self.answers(channels)
        if channels == "{}":
            self.world.advance(0.0)
            self.answers(paused)

    def says_paused(self, paused: bool = False) -> None:
        """Answer the next poll."""
        asked = self.commands.count("api fsctl pause_check inbound")
        self.world.advance(EVENTS.poll_s)
        assert self.commands.count("api fsctl pause_check inbound") == asked + 1
        self.answers(str(paused).lower())


def world(**settings: object) -> World:
    return World(
        nodes=[
            node("FS1", events=EVENTS, told_resources=("pstn",), **settings),
            node("FS2", resources={"pstn": 20}),
        ]
    )


def test_it_logs_in_subscribes_and_asks_what_stands() -> None:
    socket = Socket(world())
    socket.enters(sessions=7, bound=90)
    assert socket.commands == [
        "auth a secret",
        "event plain HEARTBEAT CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_UUID "
        "CHANNEL_HANGUP",
        "api status",
        "api show channels as json",
        "api fsctl pause_check inbound",
    ]
    assert socket.world.told(EventsConnected) == [EventsConnected("FS1", 7, 90, 0)]
    status = socket.world.status("FS1")
    assert (status.events, status.sessions, status.max_sessions) == (True, 7, 90)
    assert socket.world.status("FS2").events is None


def test_channels_that_stand_already_are_learned_one_by_one() -> None:
    socket = Socket(world())
    rows = ", ".join(f'{{"uuid": "u-{number}"}}' for number in range(20))
    socket.enters(channels=f'{{"rows": [{rows}]}}')
    dumps = [command for command in socket.commands if "uuid_dump" in command]
    assert len(dumps) == 8  # at once
    for number in range(20):
        asked = [command for command in socket.commands if "uuid_dump" in command][number].split()[2]
        socket.answers(
            f"Unique-ID: {asked}\nCall-Direction: inbound\nAnswer-State: answered\n"
            f"variable_sip_call_id: call-of-{asked}\n"
        )
    calls = socket.world.edge.events.calls("FS1")
    assert calls is not None
    assert len(calls) == 20
    assert socket.world.told(EventsConnected)[0].legs == 20


def test_what_the_node_says_is_the_capacity_of_the_resource() -> None:
    socket = Socket(world())
    assert socket.world.status("FS1").capacity == {}
    socket.enters(sessions=10, bound=100, idle=50.0)
    assert socket.world.status("FS1").capacity == {"pstn": 100}
    socket.world.caller.invite()
    assert socket.world.called().name == "FS1"  # 45 free by its idle half, of FS2's 20
    socket.tells("HEARTBEAT", Session__Count="80", Max__Sessions="100", Idle__CPU="50.0")
    socket.world.caller.invite()
    assert socket.world.called().name == "FS2"  # 10 free


def test_channels_count_between_two_heartbeats() -> None:
    socket = Socket(world())
    socket.enters(sessions=0, bound=2)
    for number in range(2):
        socket.tells("CHANNEL_CREATE", Unique__ID=f"u{number}", Call__Direction="inbound")
    socket.world.caller.invite()
    assert socket.world.called().name == "FS2"
    assert socket.world.status("FS1").sessions == 2
    socket.tells("CHANNEL_HANGUP", Unique__ID="u0", Hangup__Cause="NORMAL_CLEARING")
    assert socket.world.status("FS1").sessions == 1


def test_a_busy_cpu_makes_a_node_less_attractive_and_does_not_shut_it() -> None:
    world_ = World(nodes=[node("FS1", events=EVENTS, told_resources=("pstn",))])
    Socket(world_).enters(sessions=0, bound=100, idle=0.0)
    world_.caller.invite()
    assert world_.called().name == "FS1"


def test_a_paused_node_is_passed_over_until_it_is_resumed() -> None:
    socket = Socket(world())
    socket.enters(bound=1000, paused="true")
    assert socket.world.told(NodePaused) == [NodePaused("FS1", True)]
    socket.world.caller.invite()
    assert socket.world.called().name == "FS2"
    socket.says_paused(False)
    assert socket.world.told(NodePaused)[1:] == [NodePaused("FS1", False)]
    socket.world.caller.invite()
    assert socket.world.called().name == "FS1"


def test_a_lost_socket_makes_the_node_suspect_and_probed_at_once() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    socket.closes()
    assert socket.world.state("FS1") == "suspect"
    assert socket.world.told(EventsLost) == [EventsLost("FS1", "closed by peer", 0.5)]
    assert socket.world.told(NodeStateChanged)[0].why == "event socket: closed by peer"
    socket.world.caller.invite()
    assert socket.world.called().name == "FS2"


def test_a_node_whose_socket_is_back_is_probed_at_once() -> None:
    socket = Socket(world())
    fs1 = socket.world.node("FS1")
    socket.enters(bound=1000)
    fs1.alive = False
    socket.closes()
    fs1.unreachable()
    assert socket.world.state("FS1") == "down"
    socket.world.advance(0.5)
    fs1.alive = True
    before = socket.world.now
    Socket(socket.world, 2).enters(bound=1000)
    socket.world.advance(0.0)
    assert (socket.world.state("FS1"), socket.world.now) == ("active", before)


def test_a_node_that_answers_no_poll_is_suspect() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    socket.world.advance(EVENTS.poll_s + EVENTS.timeout_s)
    assert socket.world.state("FS1") == "suspect"
    assert socket.flow in socket.world.closed


def test_a_socket_that_never_was_says_nothing_of_the_node() -> None:
    socket = Socket(world())
    socket.world.happen(Unreachable(socket.flow._replace(stream=0), "connection refused"))
    assert socket.world.state("FS1") == "active"
    assert socket.world.told(EventsLost) == [EventsLost("FS1", "connection refused", 0.5)]


def test_it_tries_again_later_and_later() -> None:
    socket = Socket(world())
    tries = []
    for _ in range(9):
        tries.append(socket.world.now)
        socket.world.happen(Unreachable(socket.flow._replace(stream=0), "connection refused"))
        retry_s = socket.world.told(EventsLost)[-1].retry_s
        opened = len([wire for wire in socket.world.sent if wire.flow.stream == 0 and not wire.data])
        socket.world.advance(retry_s)
        assert len([w for w in socket.world.sent if w.flow.stream == 0 and not w.data]) == opened + 1
    assert [note.retry_s for note in socket.world.told(EventsLost)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("Content-Type: command/reply\nReply-Text: -ERR invalid", "the node does not accept the password"),
        ("Content-Type: text/rude-rejection", "the node does not admit this address"),
    ],
)
def test_what_only_a_person_can_mend_is_tried_seldom_and_is_no_sign_of_death(head: str, why: str) -> None:
    socket = Socket(world())
    socket.opens()
    socket.says("Content-Type: auth/request")
    socket.says(head)
    (lost,) = socket.world.told(EventsLost)
    assert lost.why.startswith(why)
    assert (lost.retry_s, socket.world.state("FS1")) == (30.0, "active")
    assert "a secret" not in repr(socket.world.notes) + repr(socket.world.config)


def test_a_call_whose_bye_was_lost_ends_by_the_nodes_word() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    call = socket.world.caller.invite()
    fs1 = socket.world.node("FS1")
    fs1.answer(200)
    assert socket.world.in_use("FS1") == 1
    dialog = {"variable_sip_call_id": call.call_id, "variable_sip_to_tag": fs1.tag_for(fs1.got("INVITE")[0])}
    socket.tells("CHANNEL_CREATE", Unique__ID="u", Call__Direction="inbound", **dialog)
    socket.tells("CHANNEL_HANGUP", Unique__ID="u", **dialog)
    for _ in range(39):
        socket.says_paused()
    assert socket.world.in_use("FS1") == 1
    for _ in range(3):
        socket.says_paused()
    assert [(note.why, note.node) for note in socket.world.told(DialogEnded)] == [("gone", "FS1")]
    assert socket.world.in_use("FS1") == 0


def test_calls_that_a_restarted_node_does_not_know_end() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    socket.world.caller.invite()
    socket.world.node("FS1").answer(200)
    socket.world.advance(0.9)
    socket.closes()
    socket.world.advance(0.5)
    again = Socket(socket.world, 2)
    again.enters(bound=1000)
    for _ in range(42):
        again.says_paused()
    assert [note.why for note in socket.world.told(DialogEnded)] == ["gone"]


def test_new_settings_end_the_socket_that_is_gone_and_keep_the_one_that_stays() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    before, policy = socket.world.config, socket.world.policy
    socket.world.happen(Reconfigure(EdgeSettings(before, policy)))
    assert socket.world.closed == []
    without = [node("FS1", resources={"pstn": 1}), before.nodes[1]]
    socket.world.happen(Reconfigure(EdgeSettings(replace(before, nodes=tuple(without)), policy)))
    assert socket.world.closed == [socket.flow]
    assert socket.world.status("FS1").events is None


def test_a_connection_that_opens_after_its_node_is_gone_is_closed() -> None:
    socket = Socket(world())
    without = replace(socket.world.config, nodes=(socket.world.config.nodes[1],))
    socket.world.happen(Reconfigure(EdgeSettings(without, socket.world.policy)))
    socket.opens()
    assert socket.world.closed == [socket.flow]


def test_an_order_to_end_a_call_goes_to_its_node() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    call = socket.world.caller.invite()
    socket.world.node("FS1").answer(200)
    socket.tells("CHANNEL_CREATE", Unique__ID="u-1", Call__Direction="inbound", variable_sip_call_id=call.call_id)
    socket.world.happen(CallOrder("another", "end"))
    socket.world.happen(CallOrder(call.call_id, "end"))
    assert [command for command in socket.commands if "uuid_kill" in command] == ["api uuid_kill u-1"]
    assert not socket.world.caller.got("BYE")  # the node hangs up both its legs
    (shown,) = socket.world.edge.calls(socket.world.now)
    assert (shown.call_id, shown.node, shown.uuid) == (call.call_id, "FS1", "u-1")


def test_a_call_that_its_node_has_not_told_of_or_cannot_be_told_about_is_ended_by_the_edge() -> None:
    socket = Socket(world())
    socket.enters(bound=1000)
    for number, lost in enumerate((False, True), start=1):
        call = socket.world.caller.invite()
        socket.world.node("FS1").answer(200)
        if lost:
            known = {"Unique__ID": "u-1", "Call__Direction": "inbound", "variable_sip_call_id": call.call_id}
            socket.tells("CHANNEL_CREATE", **known)
            socket.closes()
        socket.world.happen(CallOrder(call.call_id, "end"))
        assert len(socket.world.caller.got("BYE")) == number
    assert not [command for command in socket.commands if "uuid_kill" in command]


def test_one_of_an_earlier_life_is_not_ended_while_the_socket_is_lost() -> None:
    """Before, the order was taken, and nothing happened."""
    socket = Socket(world())
    socket.enters(bound=1000)
    edge = socket.world.edge
    socket.world.happen(Loaded([DialogRecord("edge1", b"old", b"t", "FS1", "pstn", 0.0)]))
    assert "FS1 does not know it" in edge.why_not_ended("old")
    socket.tells("CHANNEL_CREATE", Unique__ID="u-1", Call__Direction="inbound", variable_sip_call_id="old")
    assert edge.why_not_ended("old") == ""
    socket.closes()
    why = edge.why_not_ended("old")
    assert "FS1 has lost its event socket" in why
    socket.world.happen(CallOrder("old", "end"))
    assert socket.world.told(CallNotEnded) == [CallNotEnded("old", "FS1", why)]
