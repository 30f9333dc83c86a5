"""A relayed call with several streams or few codecs, and what is refused: nothing of it is ever kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.codecs import CodecPolicy, PayloadRule
from engine.media.offer_answer import Carrier
from engine.media.ports import PortsExhaustedError
from engine.media.profiles import Kind
from engine.media.sdp import SdpError, parse
from engine.media.settings import MediaSettings
from engine.media.targets import Targets
from engine.sip.errors import SipError
from tests.engine.media.relay import (
    LOCAL,
    NODE,
    OFFERS,
    OURS,
    PHONE,
    SETTINGS,
    Relay,
    rtp,
)
from tests.engine.media.written import BARESIP, BROWSER, CLIENTS, LINPHONE, SDES, freeswitch
from tests.engine.sip.written_at_random import calm

# --- several streams ---


def test_video_is_relayed_unchanged_where_both_sides_may_have_it() -> None:
    relay = Relay("softphone", "softphone")
    offered = relay.told("> INVITE 1", LINPHONE)
    video = parse(offered).media[1]
    assert video.media.formats == (b"96",)
    assert video.attributes(b"rtpmap") == [b"96 VP8/90000"]
    answered = relay.told("< 200 INVITE 1", LINPHONE)
    assert relay.rule_at(answered, 1).payloads is None
    assert len(relay.table.bound) == 8


def test_streams_that_one_side_may_not_have_keep_their_place_with_port_0() -> None:
    settings = replace(LOCAL, streams={**SETTINGS.streams, "node": frozenset({b"audio"})})
    relay = Relay("softphone", "node", settings)
    offered = relay.told("> INVITE 1", LINPHONE)
    assert [section.media.port == 0 for section in parse(offered).media] == [False, True]
    answered = relay.told("< 200 INVITE 1", NODE)  # and it doesn't even repeat the m= line
    assert [section.media.port == 0 for section in parse(answered).media] == [False, True]
    assert len(relay.table.bound) == 4


def test_a_stream_that_is_answered_no_gives_its_ports_back() -> None:
    relay = Relay("softphone", "softphone")
    relay.told("> INVITE 1", LINPHONE)
    answered = relay.told("< 200 INVITE 1", LINPHONE.replace(b"m=video 9078", b"m=video 0"))
    assert parse(answered).media[1].rejected
    assert len(relay.table.bound) == 4
    assert relay.pools["outside"].in_use == 2


def test_of_two_lines_for_one_port_the_first_that_can_be_met_is_taken() -> None:
    both = freeswitch("35_originate_webrtc_codecs", 2)
    assert [section.media.protocol for section in parse(both).media] == [b"RTP/SAVP", b"RTP/AVP"]
    for text, taken in ((both, 0), (both.replace(b"inline:", b"inline:!"), 1)):
        relay = Relay("node", "softphone", LOCAL)
        offered = relay.told("> INVITE 1", text)
        assert [section.media.port != 0 for section in parse(offered).media] == [taken == 0, taken == 1]


BROWSER_VIDEO = BROWSER.replace(b"BUNDLE 0", b"BUNDLE 0 1") + (
    b"m=video 51473 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 198.51.100.20\r\na=mid:1\r\na=rtcp-mux\r\na=setup:actpass\r\n"
    b"a=ice-ufrag:Qx7b\r\na=ice-pwd:0mA3dVtN8kq2rT5wYb9cXe1f\r\n"
    b"a=fingerprint:" + bytes(OURS) + b"\r\na=rtpmap:96 VP8/90000\r\n"
)


def test_a_bundle_is_answered_with_the_audio_alone() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER_VIDEO)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    description = parse(answered)
    assert description.session.attributes(b"group") == [b"BUNDLE 0"]
    assert [section.attribute(b"mid") for section in description.media] == [b"0", b"1"]
    assert description.media[1].rejected


def test_streams_that_can_not_be_bundled_are_told_without_a_bundle() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER_VIDEO)
    for number in (1, 2):
        answered = relay.told(f"< 200 INVITE {number}", LINPHONE)
        assert parse(answered).session.attributes(b"group") == []
        assert [section.rejected for section in parse(answered).media] == [False, False]
        relay.told(f"> INVITE {number + 1}", BROWSER_VIDEO)


def test_a_stream_that_would_have_to_join_a_bundle_later_is_rejected() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER)
    relay.told("< 200 INVITE 1", BARESIP)
    offered = relay.told("> INVITE 2", BROWSER_VIDEO)
    assert [section.rejected for section in parse(offered).media] == [False, True]
    answered = relay.told("< 200 INVITE 2", BARESIP)
    assert parse(answered).session.attributes(b"group") == [b"BUNDLE 0"]
    assert parse(answered).media[1].rejected


# --- codecs ---


def test_payloads_are_mapped_between_the_sides() -> None:
    relay = Relay("browser", "node", LOCAL)
    offered = relay.told("> INVITE 1", BROWSER)
    text = freeswitch("43_webrtc_invite_in").replace(b"UDP/TLS/RTP/SAVPF 111 126", b"RTP/AVP 102 101")
    text = text.replace(b":111 ", b":102 ").replace(b":126 ", b":101 ")
    answered = relay.told("< 200 INVITE 1", text)
    assert relay.rule_at(answered).payloads == {
        111: PayloadRule(102, 48_000, 48_000),
        126: PayloadRule(101, 8_000, 8_000),
    }
    assert parse(answered).media[0].media.formats == (b"111", b"126")
    assert parse(offered).media[0].attribute(b"rtcp-fb") is None


def test_a_softphone_without_opus_talks_to_a_browser_that_has_nothing_else() -> None:
    only_opus = BROWSER.replace(b"111 63 9 0 8 13 110 126", b"111 110")
    relay = Relay("browser", "softphone")
    offered = relay.told("> INVITE 1", only_opus)
    assert {b"0", b"8", b"9", b"111"} < set(parse(offered).media[0].media.formats)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    rule = relay.rule_at(answered)
    assert rule.payloads is not None
    assert rule.payloads[111] == PayloadRule(0, 48_000, 8_000, b"opus", b"pcmu")
    assert parse(answered).media[0].media.formats == (b"111", b"110")


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "settings", "status"),
    [
        (b"", SETTINGS, 400),
        (BARESIP[: BARESIP.index(b"m=")], SETTINGS, 488),
        (BARESIP.replace(b"m=audio 16906", b"m=image 16906"), SETTINGS, 488),
        (BROWSER.replace(b"a=fingerprint", b"a=x"), SETTINGS, 488),
        (BROWSER.replace(b"a=ice-pwd:", b"a=ice-pwd:" + b"x" * 300), SETTINGS, 400),
        (SDES.replace(b"inline:", b"inline:!"), SETTINGS, 488),
        (BARESIP, replace(SETTINGS, codecs=CodecPolicy(force=("opus",), transcode="never")), 488),
        (BARESIP, replace(SETTINGS, fingerprint=None), 488),
    ],
)
def test_an_offer_that_can_not_be_met_is_refused_and_nothing_is_kept(
    text: bytes, settings: MediaSettings, status: int
) -> None:
    relay = Relay("softphone", "browser", settings)
    with pytest.raises(SipError) as refused:
        relay.told("> INVITE 1", text)
    assert refused.value.status == status
    assert all(pool.in_use == 0 for pool in relay.pools.values())
    assert not relay.table.bound
    assert relay.call.release(0.0) == []


def test_without_ports_it_is_503_and_nothing_is_kept() -> None:
    relay = Relay("softphone", "softphone", pairs=3)  # audio takes two pairs, video would take two more
    with pytest.raises(PortsExhaustedError) as exhausted:
        relay.told("> INVITE 1", LINPHONE)
    assert exhausted.value.status == 503
    assert relay.pools["outside"].in_use == 0
    relay.now = 10.0
    assert relay.told("> INVITE 2", BARESIP)


@pytest.mark.parametrize("host", [b"127.0.0.1", b"224.0.0.1", b"255.255.255.255", b"203.0.113.9"])
def test_a_forbidden_target_is_not_sent_to(host: bytes) -> None:
    def own(address: tuple[str, int]) -> bool:
        return address[0] == "203.0.113.9" and 30_000 <= address[1] < 31_000

    relay = Relay("softphone", "softphone", replace(SETTINGS, targets=Targets(own=own)))
    relay.told("> INVITE 1", BARESIP)
    text = BARESIP.replace(b"c=IN IP4 192.168.1.15", b"c=IN IP4 " + host).replace(b"16906", b"30000")
    answer = relay.say("< 200 INVITE 1", text)
    assert answer.faults[0].startswith("media target refused: ")
    assert answer.body is not None
    assert relay.rule_at(answer.body).rtp is None


def test_an_answer_that_is_half_good_loses_no_order() -> None:
    relay = Relay("softphone", "softphone")
    relay.told("> INVITE 1", LINPHONE)
    with pytest.raises(SdpError):
        relay.told("< 200 INVITE 1", LINPHONE.replace(b"m=video 9078 RTP/AVP", b"m=video 9078 RTP/SAVP"))
    assert relay.table.rules == {}
    relay.told("> INVITE 2", LINPHONE)
    relay.told("< 200 INVITE 2", LINPHONE)
    assert len(relay.table.rules) == 8


def test_a_body_that_may_not_stand_there_is_left_out() -> None:
    relay = Relay("softphone", "softphone")
    relay.told("> INVITE 1", BARESIP)
    relay.told("< 200 INVITE 1", BARESIP)
    assert relay.say("> ACK 1", BARESIP).body is None


def test_a_thousand_calls_leave_nothing_behind() -> None:
    relay = Relay("browser", "softphone", pairs=20)
    for _ in range(1_000):
        relay.told("> INVITE 1", BROWSER)
        relay.told("< 200 INVITE 1", BARESIP)
        relay.now += 1.0
        relay.next_call()
    assert (relay.table.bound, relay.table.rules, relay.table.secured) == (set(), {}, {})
    assert relay.pools["outside"].in_use == 0


TEXTS = st.sampled_from([*CLIENTS.values(), NODE, freeswitch("34_originate_webrtc_offer"), b"v=0"])
MESSAGES = st.builds(
    Carrier,
    st.sampled_from(["caller", "callee"]),
    st.sampled_from(["INVITE", "ACK", "PRACK", "UPDATE"]),
    st.integers(1, 3),
    st.sampled_from([0, 0, 183, 200, 200, 488]),
    st.booleans(),
)
KINDS = st.sampled_from(list(OFFERS))
STEPS = st.tuples(MESSAGES, st.sampled_from(["", "one", "two"]), st.none() | TEXTS)


@calm
@given(
    steps=st.lists(STEPS, max_size=12),
    kinds=st.tuples(*[st.sampled_from(list(OFFERS))] * 2),
    pairs=st.integers(2, 9),
)
def test_any_order_of_messages_is_survived_and_leaves_nothing_behind(
    steps: list[tuple[Carrier, str, bytes | None]], kinds: tuple[Kind, Kind], pairs: int
) -> None:
    relay = Relay(*kinds, LOCAL, pairs=pairs)
    for message, tag, text in steps:
        relay.now += 1.0
        if text is None:
            relay.call.ended(message, tag)
            continue
        try:
            body = relay.call.described(message, tag, text, relay.now)
        except SipError:
            continue
        relay.table.obey(body.effects)
        assert body.body is None or parse(body.body)
    for port in list(relay.table.bound):
        relay.packet(port.number, PHONE, rtp(), inside=port.interface == "inside")
    relay.table.obey(relay.call.release(relay.now))
    assert (relay.table.bound, relay.table.rules, relay.table.secured) == (set(), {}, {})
    assert all(pool.in_use == 0 for pool in relay.pools.values())
