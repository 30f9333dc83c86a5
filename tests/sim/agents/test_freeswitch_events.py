"""The modelled event socket speaks as the recorded one does (tests/vectors/freeswitch_events)."""

from __future__ import annotations

from random import Random

from engine.boundary import AgentOrder, Flow, StreamData, StreamOpened
from engine.events.frames import Event, Frame, Framer
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig
from tests.engine.events.recorded import received
from tests.sim.agents.cast import NODE, softphone
from tests.sim.agents.wires import Bench, udp

SOCKET = udp("events", "127.0.1.9", 8021)
LISTENER = Flow("events", ("127.9.9.9", 40_000), 1)
EVENTS = ("CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_HANGUP")
FIELDS = (
    b"Call-Direction",
    b"Answer-State",
    b"Hangup-Cause",
)
SOMETHING = (  # what it is differs from call to call, whether it is there does not
    b"Other-Leg-Unique-ID",
    b"Bridge-A-Unique-ID",
    b"variable_sip_call_id",
    b"variable_sip_from_tag",
    b"variable_sip_to_tag",
)


class Listening:
    """A modelled node whose event socket is listened to."""

    def __init__(self) -> None:
        self.bench = Bench()
        config = FreeSwitchConfig(
            name="fs1", interfaces=(NODE,), domain="lab.test", auth=False, startup_s=0.0, events=SOCKET
        )
        self.node = FreeSwitch(config, Random(1))
        self.bench.add(self.node, NODE, SOCKET)
        self.bench.give(self.node, StreamOpened(LISTENER))

    def say(self, command: str) -> Frame:
        """The answer to a command."""
        before = len(self.frames())
        self.bench.give(self.node, StreamData(LISTENER, f"{command}\n\n".encode()))
        return self.frames()[before]

    def frames(self) -> list[Frame]:
        heard = [data for _, _, destination, data in self.bench.strays if destination == LISTENER.peer]
        return Framer().feed(b"".join(heard))


def shape(frames: list[Frame]) -> list[tuple[str, ...]]:
    """Of each event its name and what can be compared."""
    events = [Event(frame.body) for frame in frames if frame.kind == b"text/event-plain"]
    return [
        (
            event.get(b"Event-Name"),
            *(event.get(field) for field in FIELDS),
            *(field.decode() for field in SOMETHING if event.get(field)),
        )
        for event in events
        if event.get(b"Event-Name") in EVENTS
    ]


def test_who_does_not_know_the_password_hears_nothing() -> None:
    place = Listening()
    assert [frame.kind for frame in place.frames()] == [b"auth/request"]
    assert place.say("event plain HEARTBEAT").reply.startswith(b"-ERR")
    assert place.say("auth wrong").reply == b"-ERR invalid"


def test_commands_are_answered_as_recorded() -> None:
    place = Listening()
    recorded = Framer().feed(received("60_esl_heartbeat"))
    assert place.say("auth ClueCon") == recorded[1]
    status = place.say("api status")
    for words in (b" session(s) - peak ", b" session(s) max\n", b"\nmin idle cpu "):
        assert words in status.body
        assert words in recorded[2].body
    assert place.say("event plain HEARTBEAT") == recorded[3]
    assert place.say("noevents") == recorded[-2]
    assert place.say("exit") == recorded[-1]


def test_a_bridged_call_is_told_as_recorded() -> None:
    place = Listening()
    place.say("auth ClueCon")
    place.say("event plain " + " ".join(EVENTS))
    caller = softphone(place.bench, "1000", "127.9.2.10")
    softphone(place.bench, "1001", "127.9.2.11", answer_delay_s=0.0, ring_delay_s=0.0)
    place.bench.run(2.0)
    place.bench.give(caller, AgentOrder("call", "1001 for 0.5"))
    place.bench.run(5.0)
    assert shape(place.frames()) == shape(Framer().feed(received("61_esl_channel_events")))
