"""Which legs make one call, read off the events of a real FreeSWITCH."""

from __future__ import annotations

from collections.abc import Iterator

from engine.events import NodeCalls
from engine.events.frames import Event, Framer
from tests.engine.events.recorded import received

CALLER = "d7cc0ac650602841@127.9.2.10"
CALLEE = "98ad13a0-6209-1240-ca89-dacc60b55503"


def recorded_call() -> Iterator[tuple[str, NodeCalls]]:
    """The table after each event of a call from 1000 to 1001."""
    calls = NodeCalls()
    told = {
        "CHANNEL_CREATE": calls.created,
        "CHANNEL_ANSWER": calls.answered,
        "CHANNEL_BRIDGE": calls.bridged,
        "CHANNEL_UNBRIDGE": calls.unbridged,
        "CHANNEL_HANGUP": calls.ended,
    }
    for frame in Framer().feed(received("61_esl_channel_events")):
        event = Event(frame.body)
        name = event.get(b"Event-Name")
        if name in told:
            told[name](event)
            yield name, calls


def event(**fields: str) -> Event:
    return Event("".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items()).encode())


def pair() -> NodeCalls:
    """Two legs, a and b, that are bridged."""
    calls = NodeCalls()
    calls.created(Event(b"Unique-ID: a\nCall-Direction: inbound\nvariable_sip_call_id: one\n"))
    calls.created(Event(b"Unique-ID: b\nCall-Direction: outbound\n"))
    calls.answered(Event(b"Unique-ID: b\nvariable_sip_call_id: two\nvariable_sip_to_tag: t\n"))
    calls.bridged(event(Bridge_A_Unique_ID="a", Bridge_B_Unique_ID="b", Unique_ID="a"))
    return calls


def test_the_two_legs_of_a_recorded_call_are_partners_while_they_are_bridged() -> None:
    partners = []
    for name, calls in recorded_call():
        partner = calls.partner(CALLER)
        partners.append((name, partner.call_id if partner else ""))
    assert partners == [
        ("CHANNEL_CREATE", ""),
        ("CHANNEL_CREATE", ""),
        ("CHANNEL_ANSWER", ""),
        ("CHANNEL_ANSWER", ""),
        ("CHANNEL_BRIDGE", CALLEE),
        ("CHANNEL_HANGUP", ""),
        ("CHANNEL_HANGUP", ""),
    ]


def test_a_recorded_bridge_tells_direction_answer_and_tag() -> None:
    calls = next(calls for name, calls in recorded_call() if name == "CHANNEL_BRIDGE")
    ((caller, callee),) = calls.bridges()
    assert (caller.inbound, caller.answered, caller.call_id, caller.to_tag) == (
        True,
        True,
        CALLER,
        "6mv7SgXjeQgte",
    )
    assert (callee.inbound, callee.answered, callee.call_id, callee.to_tag) == (False, True, CALLEE, "aa7d11ca")
    assert calls.partner(CALLEE) == caller


def test_nothing_is_left_of_a_recorded_call() -> None:
    for _name, calls in recorded_call():
        last = calls
    assert (len(last), last.of_call(CALLER), list(last.bridges())) == (0, None, [])


def test_a_leg_that_is_bridged_anew_leaves_its_former_partner_alone() -> None:
    calls = pair()
    calls.created(Event(b"Unique-ID: c\nCall-Direction: outbound\nvariable_sip_call_id: three\n"))
    calls.bridged(event(Bridge_A_Unique_ID="a", Bridge_B_Unique_ID="c", Unique_ID="a"))
    partner = calls.partner("one")
    assert partner is not None
    assert (partner.call_id, calls.partner("two")) == ("three", None)


def test_legs_that_are_parted_have_no_partner() -> None:
    calls = pair()
    calls.unbridged(Event(b"Unique-ID: b\n"))
    assert (calls.partner("one"), calls.partner("two"), len(calls)) == (None, None, 2)


def test_a_channel_keeps_its_call_under_another_uuid() -> None:
    calls = pair()
    calls.renamed(event(Old_Unique_ID="b", Unique_ID="z"))
    partner = calls.partner("one")
    assert partner is not None
    assert (partner.uuid, partner.call_id) == ("z", "two")


def test_what_a_node_lists_no_more_is_forgotten() -> None:
    calls = pair()
    calls.keep_only({"a"})
    assert [leg.uuid for leg in calls] == ["a"]
    assert (calls.partner("one"), calls.of_call("two")) == (None, None)


def test_events_of_unknown_channels_change_nothing() -> None:
    calls = pair()
    for tell in (calls.answered, calls.unbridged, calls.renamed, calls.bridged, calls.ended, calls.dumped):
        tell(Event(b"Event-Name: X\n"))
    assert len(calls) == 2
