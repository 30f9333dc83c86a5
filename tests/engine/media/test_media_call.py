"""A relayed call: each side sees the relay alone, in the form that it can take, and media go by rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.media.codecs import CodecPolicy, read_codecs
from engine.media.ice import CONSENT_S
from engine.media.profiles import PROFILES, Kind
from engine.media.rules import Dtls, Port, Sdes, Way
from engine.media.sdp import SdpError, parse
from engine.media.sdp.attributes import RECVONLY, SENDONLY, SENDRECV
from tests.engine.media.relay import (
    ANSWERS,
    HOSTS,
    LOCAL,
    NODE,
    OFFERS,
    OURS,
    PHONE,
    SETTINGS,
    Relay,
    carrier,
    check,
    port_of,
    read,
    rtp,
)
from tests.engine.media.written import BARESIP, BROWSER, BROWSER_ANSWER, SDES

STRANGER = ("192.0.2.66", 6_666)
SECRETS = (b"192.168.1.15", b"198.51.100.2", b"127.0.1.1", b"Qx7b", b"Zk3m", b"C4:68:E2", b"90:7B:D8")


@pytest.mark.parametrize("callee", OFFERS)
@pytest.mark.parametrize("caller", OFFERS)
def test_any_kind_calls_any_other(caller: Kind, callee: Kind) -> None:
    relay = Relay(caller, callee, LOCAL)
    offered = relay.told("> INVITE 1", OFFERS[caller])
    answered = relay.told("< 200 INVITE 1", ANSWERS[callee])
    for kind, body in ((callee, offered), (caller, answered)):
        seen = read(body)
        assert seen.profile == PROFILES["webrtc" if kind == "browser" else "rtp"]
        assert seen.address is not None
        assert seen.address[0] == HOSTS["inside" if kind == "node" else "outside"]
        assert seen.ice_lite == (kind == "browser")
        assert seen.fingerprints == ((OURS,) if kind == "browser" else ())
        assert seen.mid == (b"0" if kind == "browser" else None)
        assert not any(secret in body for secret in SECRETS)
    assert read(offered).setup == ("actpass" if callee == "browser" else "active")
    near, far = port_of(answered), port_of(offered)
    for port, other, kind in ((near, far, caller), (far, near, callee)):
        assert isinstance(relay.table.secured.get(port), Dtls) == (kind == "browser")
        way = relay.table.rules[port].rtp
        assert way is None or way.port == other
    relay.table.obey(relay.call.release(0.0))
    assert not relay.table.bound
    assert all(pool.in_use == 0 for pool in relay.pools.values())


def test_softphones_hear_each_other_from_the_first_packet_on() -> None:
    relay = Relay("softphone", "softphone", signalling=(PHONE[0], None))
    offered = relay.told("> INVITE 1", BARESIP)
    answered = relay.told("< 200 INVITE 1", BARESIP.replace(b"192.168.1.15", b"192.168.7.7"))
    near, far = port_of(answered), port_of(offered)
    assert relay.table.rules[near].sources == frozenset()
    assert relay.table.rules[near].rtp == Way(far, ("192.168.7.7", 16_906))
    assert relay.table.rules[far].rtp == Way(near, ("192.168.1.15", 16_906))
    assert relay.packet(near.number, PHONE, rtp()) == ""
    assert relay.table.rules[near].sources == {PHONE}
    assert relay.table.rules[far].rtp == Way(near, PHONE)
    # RTCP has ports of its own, and is believed from where RTP comes from.
    rtcp = Port("outside", near.number + 1)
    assert relay.table.rules[rtcp].rtcp == Way(Port("outside", far.number + 1), ("192.168.7.7", 16_907))
    assert relay.packet(rtcp.number, (PHONE[0], 50_001), b"\x80\xc8" + bytes(26)) == ""
    assert relay.table.rules[Port("outside", far.number + 1)].rtcp == Way(rtcp, (PHONE[0], 50_001))


def test_rtcp_of_a_browser_goes_to_the_port_that_a_softphone_has_for_it() -> None:
    relay = Relay("browser", "softphone")
    offered = relay.told("> INVITE 1", BROWSER)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    near, far = port_of(answered), port_of(offered)
    rule = relay.table.rules[near]
    assert rule.rtp == Way(far, ("192.168.1.15", 16_906))
    assert rule.rtcp == Way(Port("outside", far.number + 1), ("192.168.1.15", 16_907))
    assert relay.table.rules[far].rtcp is None
    assert Port("outside", near.number + 1) not in relay.table.rules


def test_a_browser_is_sent_to_once_a_check_has_proven_where_it_is() -> None:
    relay = Relay("browser", "softphone")
    offered = relay.told("> INVITE 1", BROWSER)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    near, far = port_of(answered), port_of(offered)
    security = relay.table.secured[near]
    assert isinstance(security, Dtls)
    assert (security.part, security.peer) == ("active", None)
    assert relay.table.rules[far].rtp is None
    source = ("198.51.100.20", 51_472)
    assert relay.packet(near.number, source, check(read(answered).ice, read(BROWSER).ice)) == ""
    (reply,) = relay.table.sent
    assert (reply.port, reply.target) == (near, source)
    assert relay.table.rules[far].rtp == Way(near, source)
    assert relay.table.rules[near].sources == {source}
    assert relay.table.secured[near] == security._replace(peer=source)


def test_a_browser_that_checks_no_more_is_sent_nothing_until_it_checks_again() -> None:
    relay = Relay("browser", "softphone")
    offered = relay.told("> INVITE 1", BROWSER)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    near, far = port_of(answered), port_of(offered)
    source = ("198.51.100.20", 51_472)
    relay.packet(near.number, source, check(read(answered).ice, read(BROWSER).ice))
    relay.packet(far.number, PHONE, rtp())
    relay.advance(12.0)
    relay.packet(near.number, source, check(read(answered).ice, read(BROWSER).ice))
    secured = relay.table.secured[near]
    relay.advance(CONSENT_S - 1.0)
    assert relay.table.rules[far].rtp == Way(near, source)
    relay.advance(2.0)
    assert (relay.table.rules[far].rtp, relay.table.rules[far].rtcp) == (None, None)
    assert relay.table.rules[near].sources == {source}
    assert relay.table.secured[near] == secured  # its keys stand
    relay.packet(near.number, source, check(read(answered).ice, read(BROWSER).ice))
    assert relay.table.rules[far].rtp == Way(near, source)


def test_a_stranger_changes_nothing() -> None:
    relay = Relay("browser", "softphone", signalling=(None, PHONE[0]))
    offered = relay.told("> INVITE 1", BROWSER)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    near, far = port_of(answered), port_of(offered)
    relay.packet(near.number, ("198.51.100.20", 51_472), check(read(answered).ice, read(BROWSER).ice))
    relay.packet(far.number, PHONE, rtp())
    rules, secured, sent = dict(relay.table.rules), dict(relay.table.secured), len(relay.table.sent)
    forged = bytearray(check(read(answered).ice, read(BROWSER).ice))
    forged[-20] ^= 1
    hello = b"\x16\xfe\xff" + bytes(60)
    for number in (near.number, near.number + 1, far.number, far.number + 1):
        for data in (rtp(), rtp(111), hello, bytes(forged), b"\x80\xc8" + bytes(26), b"", b"\xff" * 4):
            for _ in range(20):
                relay.now += 0.02
                assert relay.packet(number, STRANGER, data)
    assert (relay.table.rules, relay.table.secured, len(relay.table.sent)) == (rules, secured, sent)


def test_srtp_is_learnt_from_when_it_is_proven_and_not_before() -> None:
    relay = Relay("softphone", "softphone")
    answered = (relay.told("> INVITE 1", SDES), relay.told("< 200 INVITE 1", BARESIP))[1]
    port = port_of(answered)
    security = relay.table.secured[port]
    assert isinstance(security, Sdes)
    assert security.receive == read(SDES).crypto[0]
    assert read(answered).crypto == (security.send,)
    assert security.send[:2] == security.receive[:2]
    assert security.send.key != security.receive.key
    source = ("192.0.2.30", 30_000)
    assert relay.packet(port.number, source, rtp(8)) == "media without proof"
    assert relay.packet(port.number, source, rtp(8), proven=True) == ""


def test_a_side_that_has_keys_is_offered_keys() -> None:
    settings = replace(SETTINGS, profiles={"browser": "webrtc", "softphone": "srtp", "node": "rtp"})
    relay = Relay("softphone", "softphone", settings)
    offered = relay.told("> INVITE 1", BARESIP)
    ours = read(offered).crypto
    assert [crypto.tag for crypto in ours] == [1, 2, 3, 4]
    theirs = SDES.replace(b"a=crypto:1 AEAD_AES_256_GCM", b"a=crypto:9 AEAD_AES_192_GCM").replace(b"o:2 ", b"o:1 ")
    relay.told("< 200 INVITE 1", theirs)
    security = relay.table.secured[port_of(offered)]
    assert isinstance(security, Sdes)
    assert security.send == ours[0]
    other = Relay("softphone", "softphone", settings)
    other.told("> INVITE 1", BARESIP)
    with pytest.raises(SdpError, match="not offered"):
        other.told("< 200 INVITE 1", SDES.replace(b"a=crypto:1 ", b"a=crypto:7 "))
    with pytest.raises(SdpError, match="secured otherwise"):
        other.told("< 200 INVITE 1", BARESIP, "another")


def test_early_media_flow_by_the_preview_and_the_answer_repeats_it() -> None:
    relay = Relay("softphone", "node", LOCAL)
    relay.told("> INVITE 1", BARESIP)
    early = relay.say("< 183 INVITE 1", NODE, "fs")
    assert early.effects
    assert early.body is not None
    assert relay.rule_at(early.body).rtp is not None
    final = relay.say("< 200 INVITE 1", NODE, "fs")
    assert (final.body, final.effects) == (early.body, [])
    assert relay.say("< 200 INVITE 1", NODE, "fs").body == early.body


def test_of_forks_the_last_to_answer_is_heard() -> None:
    relay = Relay("softphone", "softphone")
    relay.told("> INVITE 1", BARESIP)
    first = relay.told("< 183 INVITE 1", BARESIP.replace(b"192.168.1.15", b"192.168.7.1"), "one")
    assert relay.rule_at(first).rtp == Way(relay_far(relay, first), ("192.168.7.1", 16_906))
    second = relay.told("< 200 INVITE 1", BARESIP.replace(b"192.168.1.15", b"192.168.7.2"), "two")
    assert port_of(first) == port_of(second)
    assert relay.rule_at(second).rtp == Way(relay_far(relay, second), ("192.168.7.2", 16_906))


def relay_far(relay: Relay, body: bytes) -> Port:
    """The port opposite the one that this description tells."""
    rule = relay.rule_at(body)
    assert rule.rtp is not None
    return rule.rtp.port


def test_a_fork_answers_after_its_sibling_has_confirmed_a_preview() -> None:
    relay = Relay("softphone", "softphone")
    relay.told("> INVITE 1", BARESIP)
    relay.told("< 183 INVITE 1", BARESIP, "one")
    relay.call.ended(carrier("< 200 INVITE 1"), "one")
    assert relay.told("< 200 INVITE 1", BARESIP.replace(b"192.168.1.15", b"192.168.7.2"), "two")


def test_an_invite_with_credentials_offers_again() -> None:
    relay = Relay("softphone", "node", LOCAL)
    first = relay.told("> INVITE 1", BARESIP)
    relay.call.ended(carrier("< 407 INVITE 1"), "challenge")
    assert relay.told("> INVITE 2", BARESIP) == first
    assert relay.told("< 200 INVITE 2", NODE, "answer")


def test_forks_are_bounded() -> None:
    relay = Relay("softphone", "softphone")
    relay.told("> INVITE 1", BARESIP)
    outcomes = [relay.say("< 183 INVITE 1", BARESIP, f"tag {number}") for number in range(40)]
    assert [outcome.body is None for outcome in outcomes].count(True) == 25
    assert outcomes[-1].faults == ("more forks than can be followed",)


def test_a_delayed_offer_is_answered_in_the_ack() -> None:
    relay = Relay("softphone", "browser")
    offered = relay.told("< 200 INVITE 1", BROWSER)
    assert read(offered).profile == PROFILES["rtp"]
    answered = relay.told("> ACK 1", BARESIP)
    assert read(answered).profile == PROFILES["webrtc"]
    assert read(answered).setup == "active"
    assert relay.rule_at(answered).rtp is not None


def held(text: bytes, version: bytes) -> bytes:
    return text.replace(b" 2 IN IP4 127", b" " + version + b" IN IP4 127").replace(b"a=sendrecv", b"a=sendonly")


def test_hold_stops_the_media_one_way_and_resume_lets_them_go_on() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER)
    answered = relay.told("< 200 INVITE 1", BARESIP)
    near = port_of(answered)
    relay.packet(near.number, ("198.51.100.20", 51_472), check(read(answered).ice, read(BROWSER).ice))
    far = relay_far(relay, answered)

    hold = relay.told("> INVITE 2", held(BROWSER, b"3"))
    assert read(hold).direction == SENDONLY
    assert read(hold).profile == PROFILES["rtp"]
    assert port_of(hold) == far
    # The softphone answers as if nothing was: an answer may not say so, and the browser isn't told so.
    again = relay.told("< 200 INVITE 2", BARESIP)
    assert read(again).direction == RECVONLY
    assert read(again).setup == "active"  # the association stands
    assert (read(again).ice, port_of(again)) == (read(answered).ice, near)
    assert relay.table.rules[far].rtp is None
    assert relay.table.rules[near].rtp is not None

    relay.told("> INVITE 3", BROWSER.replace(b" 2 IN IP4 127", b" 4 IN IP4 127"))
    resumed = relay.told("< 200 INVITE 3", BARESIP)
    assert read(resumed).direction == SENDRECV
    assert relay.table.rules[far].rtp == Way(near, ("198.51.100.20", 51_472))


def test_the_session_has_one_row_of_versions_whatever_the_peer_counts() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER)
    versions = [relay.told("< 200 INVITE 1", BARESIP)]
    for number, text in ((2, BARESIP), (3, BARESIP.replace(b"ptime:20", b"ptime:40"))):
        relay.told(f"> INVITE {number}", BROWSER)
        versions.append(relay.told(f"< 200 INVITE {number}", text))
    origins = [parse(body).origin for body in versions]
    assert [origin.version for origin in origins] == [1, 1, 2]
    assert len({origin.session_id for origin in origins}) == 1


def test_a_reinvite_by_the_callee_changes_roles_and_keeps_the_ports() -> None:
    relay = Relay("softphone", "browser")
    offered = relay.told("> INVITE 1", BARESIP)
    answered = relay.told("< 200 INVITE 1", BROWSER_ANSWER)
    part = relay.table.secured[port_of(offered)]
    assert isinstance(part, Dtls)
    assert part.part == "passive"
    back = relay.told("< INVITE 9", BROWSER_ANSWER.replace(b"setup:active", b"setup:actpass"))
    assert port_of(back) == port_of(answered)
    seen = relay.told("> 200 INVITE 9", BARESIP)
    assert read(seen).setup == "passive"
    assert read(seen).mid == b"0"
    assert port_of(seen) == port_of(offered)
    assert relay.table.secured[port_of(offered)] == part


def test_an_ice_restart_is_answered_with_new_names() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER)
    first = relay.told("< 200 INVITE 1", BARESIP)
    restarted = BROWSER.replace(b"a=ice-ufrag:Qx7b", b"a=ice-ufrag:Fresh")
    relay.told("> INVITE 2", restarted)
    second = relay.told("< 200 INVITE 2", BARESIP)
    assert read(second).ice != read(first).ice
    moved = ("198.51.100.77", 1_234)
    assert relay.packet(port_of(second).number, moved, check(read(first).ice, read(BROWSER).ice))
    assert relay.packet(port_of(second).number, moved, check(read(second).ice, read(restarted).ice)) == ""
    assert relay.table.rules[relay_far(relay, second)].rtp == Way(port_of(second), moved)


def test_a_refused_reinvite_leaves_the_media_as_they_were() -> None:
    relay = Relay("browser", "softphone")
    relay.told("> INVITE 1", BROWSER)
    relay.told("< 200 INVITE 1", BARESIP)
    rules = dict(relay.table.rules)
    relay.told("> INVITE 2", held(BROWSER, b"3"))
    relay.call.ended(carrier("< 488 INVITE 2"), "")
    assert relay.table.rules == rules
    assert relay.told("> INVITE 3", held(BROWSER, b"4"))


@pytest.mark.parametrize(
    ("lines", "packet_ms"),
    [
        (b"", 20),
        (b"a=ptime:40\r\n", 40),
        (b"a=ptime: 60 \r\n", 60),
        (b"a=ptime:60\r\na=maxptime:30\r\n", 30),
        (b"a=maxptime:10\r\n", 10),
        (b"a=ptime:0\r\n", 20),
        (b"a=ptime:5000\r\n", 20),
        (b"a=ptime:many\r\n", 20),
    ],
)
def test_what_is_transcoded_has_the_packet_time_that_a_side_asks_for(lines: bytes, packet_ms: int) -> None:
    """By who receives it; what passes as it is keeps its own."""
    relay = Relay("softphone", "softphone", replace(SETTINGS, codecs=CodecPolicy(transcode="always")))
    pcmu = BARESIP[: BARESIP.index(b"m=audio")] + b"m=audio 16906 RTP/AVP 0 101\r\n"
    pcmu += b"a=rtpmap:101 telephone-event/8000\r\n"
    offered = relay.told("> INVITE 1", pcmu + lines)
    (opus,) = [codec for codec in read_codecs(parse(offered).media[0]) if codec.name == b"opus"]
    answer = pcmu.replace(b"RTP/AVP 0 101", b"RTP/AVP %d" % opus.payload_type)
    answered = relay.told("< 200 INVITE 1", answer + b"a=rtpmap:%d opus/48000/2\r\n" % opus.payload_type)
    for told, expected in ((answered, 20), (offered, packet_ms)):
        rules = (relay.rule_at(told).payloads or {}).values()
        assert {rule.packet_ms for rule in rules if rule.encode} == {expected}
        assert {rule.packet_ms for rule in rules if not rule.encode} <= {20}
