"""What a request must bear to be forwarded (RFC 3261 §16.3), and what is answered in its place."""

from __future__ import annotations

import pytest

from engine.config import LimitsConfig
from engine.notes import CallAdmitted, MessageDropped, Overloaded, RequestRefused
from tests.engine.harness import World
from tests.engine.wire import message


def test_max_forwards_is_counted_down() -> None:
    world = World()
    world.caller.invite(max_forwards="Max-Forwards: 12")
    assert world.called().got("INVITE")[0]["max-forwards"] == "11"


def test_a_missing_max_forwards_becomes_70() -> None:
    world = World()
    world.caller.invite(max_forwards="")
    assert world.called().got("INVITE")[0]["max-forwards"] == "70"


def test_max_forwards_0_ends_the_way() -> None:
    world = World()
    call = world.caller.invite(max_forwards="Max-Forwards: 0")
    assert call.statuses == [483]
    assert not any(node.inbox for node in world.nodes)
    assert world.told(RequestRefused)[0].status == 483


@pytest.mark.parametrize("value", ["256", "-1", "many", "1 2"])
def test_a_max_forwards_that_is_no_number_is_refused(value: str) -> None:
    assert World().caller.invite(max_forwards=f"Max-Forwards: {value}").statuses == [400]


def test_an_extension_that_is_required_of_the_proxy_is_refused_by_name() -> None:
    call = World().caller.invite("sip:9196@192.0.2.1", "Proxy-Require: foo, bar")
    assert call.statuses == [420]
    assert call.final.all("unsupported") == ["foo", "bar"]


def test_an_unknown_uri_scheme_is_told() -> None:
    assert World().caller.request("INVITE", "tel:+4930123456").statuses == [416]


def test_another_sip_version_is_told() -> None:
    world = World()
    world.caller.sends(World().caller.request("OPTIONS").data().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1))
    assert world.caller.statuses() == [505]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Call-ID: ", b"X-Call-ID: "),
        (b"From: ", b"X-From: "),
        (b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS"),
        (b"CSeq: 1 INVITE", b"CSeq: one INVITE"),
        (b"Content-Length: 0", b"Content-Length: 99"),
        (b"To: <sip:9196@192.0.2.1>", b"To: <sip:9196@192.0.2.1"),
        (b"INVITE sip:9196@192.0.2.1", b"INVITE sip:9196@192.0.2.1?Subject=x"),
        (b"INVITE sip:9196@192.0.2.1", b"INVITE  sip:9196@192.0.2.1"),
    ],
    ids=lambda text: text.decode() if isinstance(text, bytes) else "",
)
def test_a_malformed_request_gets_400_and_nothing_of_it_is_kept(before: bytes, after: bytes) -> None:
    world = World()
    world.caller.sends(World().caller.invite().data().replace(before, after, 1))
    assert world.caller.statuses() == [400]
    assert world.edge.open_transactions() == 0
    assert world.told(CallAdmitted) == []
    assert len(world.told(RequestRefused)) == 1


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\x00\x00\x00\x00", b"\x00"])
def test_a_keep_alive_leaves_no_trace(data: bytes) -> None:
    world = World()
    world.caller.sends(data)
    assert world.sent == []
    assert world.notes == []


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", b"\xff" * 100, b"SIP/2.0 42\r\n\r\n", b"x" * 70_000],
)
def test_what_is_not_sip_is_dropped_and_told(data: bytes) -> None:
    world = World()
    world.caller.sends(data)
    assert world.sent == []
    assert len(world.told(MessageDropped)) == 1


def test_a_malformed_ack_is_never_answered() -> None:
    world = World()
    world.caller.sends(world.caller.invite().data("ACK").replace(b"Call-ID", b"X-Id"))
    assert world.caller.statuses() == [100]


def test_a_stray_response_is_dropped() -> None:
    """RFC 6026 §7.3: never forward it without its transaction."""
    world = World()
    world.node("FS1").sends(
        message(
            "SIP/2.0 200 OK",
            "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKnone",
            "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKx",
            "From: <sip:a@b>;tag=1",
            "To: <sip:c@d>;tag=2",
            "Call-ID: x",
            "CSeq: 1 INVITE",
        )
    )
    assert world.sent == []
    assert "stray 200" in world.told(MessageDropped)[0].why


def test_options_to_the_edge_itself_is_answered_by_it() -> None:
    exchange = World().caller.request("OPTIONS", "sip:192.0.2.1:5060")
    assert exchange.statuses == [200]
    assert "INVITE" in exchange.final.all("allow")


def test_a_draining_edge_takes_no_new_work_and_finishes_what_it_has() -> None:
    world = World()
    call = world.caller.invite()
    node = call.establish()
    world.drain()
    assert world.caller.request("OPTIONS").statuses == [503]
    refused = world.caller.invite()
    assert refused.statuses == [503]
    assert "retry-after" in refused.final
    assert not world.edge.idle
    call.bye()
    node.answer(200, method="BYE")
    assert world.edge.idle


# --- room


def test_overload_is_answered_503_with_retry_after_and_told_once() -> None:
    world = World(limits=LimitsConfig(server_transactions=3, retry_after_s=7))
    calls = [world.caller.invite() for _ in range(6)]
    assert [call.statuses for call in calls] == [[100]] * 3 + [[503]] * 3
    assert calls[-1].final["retry-after"] == "7"
    assert [note.began for note in world.told(Overloaded)] == [True]


def test_overload_harms_no_call_that_is_under_way() -> None:
    world = World(limits=LimitsConfig(server_transactions=2))
    first, second = world.caller.invite(), world.caller.invite()
    first.send()
    assert first.statuses == [100, 100]  # repeated, not refused
    second.cancel()
    assert second.cancel_statuses == [200]


def test_overload_ends_and_that_is_told() -> None:
    world = World(limits=LimitsConfig(server_transactions=1))
    world.caller.invite()
    world.caller.invite()
    world.run_out()
    assert world.caller.invite().statuses == [100]
    assert [note.began for note in world.told(Overloaded)] == [True, False]


def test_no_more_dialogs_than_allowed() -> None:
    world = World(limits=LimitsConfig(dialogs=1))
    world.caller.invite()
    assert world.caller.invite().statuses == [503]


# --- loops (RFC 5393)


def looped(world: World, uri: str = "") -> list[int]:
    """Send the forwarded INVITE back to the edge, as a node that routes it in a circle would."""
    world.caller.invite()
    forwarded = world.called().got("INVITE")[0]
    data = forwarded.data
    if uri:
        data = data.replace(f"INVITE {forwarded.uri}".encode(), f"INVITE {uri}".encode())
    stranger = world.peer("203.0.113.5")
    via = f"Via: SIP/2.0/UDP {stranger.host_port};branch=z9hG4bKloop\r\nVia".encode()
    stranger.sends(data.replace(b"Via", via, 1))
    return stranger.statuses()


def test_a_loop_is_detected() -> None:
    assert looped(World()) == [482]


def test_a_spiral_is_allowed() -> None:
    """§16.3 step 4: the same request under another Request-URI is on its way, not in a loop."""
    assert looped(World(), "sip:9664@192.0.2.1") == [100]
