"""Calls at rtpengines: each side sees what the built-in relay would show it; modelled and real give the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.media.codecs import Codec, CodecPolicy, read_codecs
from engine.media.profiles import PROFILES, Kind
from engine.media.sdp import parse
from engine.media.sdp.attributes import RECVONLY, SENDONLY, SENDRECV
from engine.media.targets import Targets
from engine.sip.errors import SipError
from tests.engine.media.ng.relaying import SETTINGS, Modelled, Real, Relaying, Server
from tests.engine.media.relay import ANSWERS, OFFERS, read
from tests.engine.media.written import BARESIP, BROWSER, SDES
from tests.live.peers import rtpengine

SECRETS = (b"192.168.1.15", b"198.51.100.2", b"127.0.1.1", b"Qx7b", b"Zk3m", b"C4:68:E2", b"90:7B:D8")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rtpengine.Rtpengine]:
    if rtpengine.MISSING:
        pytest.skip(rtpengine.MISSING)
    with rtpengine.rtpengine(tmp_path_factory.mktemp("rtpengine")) as peer:
        yield peer


@pytest.fixture(params=["modelled", "real"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "modelled":
        yield Modelled()
        return
    peer = Real(request.getfixturevalue("process"))
    yield peer
    peer.close()


@pytest.mark.parametrize("callee", OFFERS)
@pytest.mark.parametrize("caller", OFFERS)
def test_any_kind_calls_any_other(server: Server, caller: Kind, callee: Kind) -> None:
    call = Relaying(server).open(caller, callee)
    offered = call.told("> INVITE 1", OFFERS[caller])
    answered = call.told("< 200 INVITE 1", ANSWERS[callee])
    for kind, body in ((callee, offered), (caller, answered)):
        seen = read(body)
        assert seen.profile == PROFILES["webrtc" if kind == "browser" else "rtp"]
        assert seen.address is not None
        assert seen.address[0] == (server.inside if kind == "node" else server.outside)
        assert seen.ice_lite == (kind == "browser")
        assert bool(seen.fingerprints) == (kind == "browser")
        assert seen.mid == (b"0" if kind == "browser" else None)
        assert not any(secret in body for secret in SECRETS)
    assert read(offered).setup == ("actpass" if callee == "browser" else "active")
    call.release()
    assert call.world.relay.servers.get("rtp1").calls == 0


def test_a_real_one_and_a_model_give_the_same(process: rtpengine.Rtpengine) -> None:
    """For every pair of kinds: all that is read of their descriptions, but for numbers, keys and addresses."""
    for caller in OFFERS:
        for callee in ANSWERS:
            shown = []
            for server in (Modelled(), Real(process)):
                call = Relaying(server).open(caller, callee)
                offered = call.told("> INVITE 1", OFFERS[caller])
                events = next(codec for codec in read_codecs(parse(offered).media[0]) if _is_event(codec))
                # rtpengine, unlike the model, takes only numbers that were offered
                answer = ANSWERS[callee].replace(b" 101", b" %d" % events.payload_type)
                answer = answer.replace(b":101 ", b":%d " % events.payload_type)
                answered = call.told("< 200 INVITE 1", answer)
                # the model has the other part in the DTLS hand-shake, for it knows when the peer was found
                shown.append([_shape(offered), _shape(answered)[:-1]])
                call.release()
            assert shown[0] == shown[1], (caller, callee)


def _is_event(codec: Codec) -> bool:
    return codec.name == b"telephone-event" and codec.clock_hz == 8_000


def _shape(body: bytes) -> tuple[object, ...]:
    seen = read(body)
    codecs = [(codec.payload_type, *codec.key) for codec in read_codecs(parse(body).media[0])]
    parts = (seen.ice is None, seen.ice_lite, len(seen.candidates), len(seen.fingerprints), seen.mid)
    assert seen.address is not None
    assert seen.rtcp is not None
    return (seen.profile, seen.direction, seen.rtcp[1] - seen.address[1], *parts, codecs, seen.setup)


def test_hold_and_resume_keep_ports_and_keys(server: Server) -> None:
    call = Relaying(server).open("browser", "softphone")
    offered = call.told("> INVITE 1", BROWSER)
    answered = call.told("< 200 INVITE 1", BARESIP)
    hold = call.told("> INVITE 2", held(BROWSER, b"3"))
    again = call.told("< 200 INVITE 2", BARESIP)
    assert read(hold).direction == SENDONLY
    assert read(again).direction == RECVONLY
    assert read(hold).address == read(offered).address
    assert read(again)[2:8] == read(answered)[2:8]
    call.told("> INVITE 3", BROWSER.replace(b" 2 IN IP4 127", b" 4 IN IP4 127"))
    resumed = call.told("< 200 INVITE 3", BARESIP)
    assert read(resumed).direction == SENDRECV
    assert read(resumed)[2:8] == read(answered)[2:8]


def held(text: bytes, version: bytes) -> bytes:
    return text.replace(b" 2 IN IP4 127", b" " + version + b" IN IP4 127").replace(b"a=sendrecv", b"a=sendonly")


def test_the_callee_can_offer_too(server: Server) -> None:
    call = Relaying(server).open("softphone", "browser")
    offered = call.told("> INVITE 1", BARESIP)
    answered = call.told("< 200 INVITE 1", ANSWERS["browser"])
    back = call.told("< INVITE 9", ANSWERS["browser"].replace(b"setup:active", b"setup:actpass"))
    assert read(back).address == read(answered).address
    seen = read(call.told("> 200 INVITE 9", BARESIP))
    assert seen.address == read(offered).address
    assert (seen.ice, seen.mid) == (read(offered).ice, b"0")


def test_a_delayed_offer_is_answered_in_the_ack(server: Server) -> None:
    call = Relaying(server).open("softphone", "browser")
    assert read(call.told("< 200 INVITE 1", BROWSER)).profile == PROFILES["rtp"]
    assert read(call.told("> ACK 1", BARESIP)).profile == PROFILES["webrtc"]


def test_the_2xx_may_repeat_or_change_what_the_183_has_said(server: Server) -> None:
    call = Relaying(server).open("softphone", "node")
    call.told("> INVITE 1", BARESIP)
    early = call.told("< 183 INVITE 1", ANSWERS["node"])
    assert call.told("< 200 INVITE 1", ANSWERS["node"]) == early
    assert call.told("< 200 INVITE 1", ANSWERS["node"]) == early
    other = call.told("< 200 INVITE 1", ANSWERS["node"], "another fork")
    assert read(other).address == read(early).address


def test_sdes_is_spoken_where_a_side_has_keys(server: Server) -> None:
    call = Relaying(server, settings=replace(SETTINGS, profiles=SRTP)).open("softphone", "softphone")
    assert read(call.told("> INVITE 1", BARESIP)).crypto
    call = Relaying(server).open("softphone", "softphone", "other")
    assert read(call.told("> INVITE 1", SDES)).profile == PROFILES["rtp"]
    answered = read(call.told("< 200 INVITE 1", BARESIP))
    assert [crypto[:2] for crypto in answered.crypto] == [crypto[:2] for crypto in read(SDES).crypto[:1]]
    with pytest.raises(SipError, match="secured otherwise"):
        call.told("< 200 INVITE 1", SDES, "another")


SRTP = {"browser": "webrtc", "softphone": "srtp", "node": "rtp"}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (CodecPolicy(forbid=frozenset(("opus", "g722", "red"))), ["PCMU", "PCMA"]),
        (CodecPolicy(order=("pcma",), forbid=frozenset(("opus", "g722", "red"))), ["PCMA", "PCMU"]),
        (CodecPolicy(force=("g722", "pcma")), ["G722", "PCMA"]),
        (CodecPolicy(force=("g722",), order=("g722",)), ["G722"]),
    ],
)
def test_codecs_follow_the_policy(server: Server, policy: CodecPolicy, expected: list[str]) -> None:
    call = Relaying(server, settings=replace(SETTINGS, codecs=policy)).open("browser", "softphone")
    offered = parse(call.told("> INVITE 1", BROWSER)).media[0]
    assert [codec.name.decode() for codec in read_codecs(offered) if codec.is_speech] == expected


def test_without_a_common_codec_two_are_brought_together(server: Server) -> None:
    call = Relaying(server).open("browser", "softphone")
    opus = BROWSER.replace(b" 111 63 9 0 8 13 ", b" 111 63 ")
    offered = parse(call.told("> INVITE 1", opus)).media[0]
    assert {b"PCMU", b"PCMA"} <= {codec.name for codec in read_codecs(offered)}
    answered = parse(call.told("< 200 INVITE 1", BARESIP)).media[0]
    speech = [codec.name for codec in read_codecs(answered) if codec.is_speech]
    assert speech == [b"opus"]


def test_a_refused_reinvite_leaves_the_last_agreement(server: Server) -> None:
    world = Relaying(server)
    call = world.open("browser", "softphone")
    call.told("> INVITE 1", BROWSER)
    answered = call.told("< 200 INVITE 1", BARESIP)
    call.told("> INVITE 2", held(BROWSER, b"3"))
    before = len(world.orders)
    call.ended("< 488 INVITE 2")
    assert [order.partition(b" ")[2][:18] for order in world.orders[before:]] == [
        b"d7:command5:offer7",
        b"d7:command6:answer",
    ]
    assert call.told("> INVITE 3", BROWSER.replace(b" 2 IN IP4 127", b" 4 IN IP4 127"))
    assert read(call.told("< 200 INVITE 3", BARESIP))[1:8] == read(answered)[1:8]


def test_a_second_stream_is_relayed_where_both_sides_may_have_it(server: Server) -> None:
    video = BARESIP + b"m=video 16910 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    call = Relaying(server).open("softphone", "softphone")
    offered = parse(call.told("> INVITE 1", video))
    assert [section.media.kind for section in offered.media] == [b"audio", b"video"]
    assert all(section.media.port for section in offered.media)
    answered = parse(call.told("< 200 INVITE 1", video.replace(b"m=video 16910", b"m=video 0")))
    assert [section.rejected for section in answered.media] == [False, True]


def test_a_stream_that_nobody_relays_is_rejected_and_the_rest_goes_on(server: Server) -> None:
    fax = BARESIP + b"m=image 16910 udptl t38\r\n"
    call = Relaying(server).open("softphone", "softphone")
    assert [section.rejected for section in parse(call.told("> INVITE 1", fax)).media] == [False, True]
    answered = parse(call.told("< 200 INVITE 1", fax.replace(b"m=image 16910", b"m=image 0")))
    assert [section.rejected for section in answered.media] == [False, True]


@pytest.mark.parametrize("text", [b"hello", b"", b"v=0\r\n" * 9, BARESIP.replace(b"RTP/AVP", b"TCP/MSRP")])
def test_what_is_no_description_never_reaches_rtpengine(server: Server, text: bytes) -> None:
    world = Relaying(server)
    with pytest.raises(SipError):
        world.open("softphone", "softphone").told("> INVITE 1", text)
    assert world.orders == []


@pytest.mark.parametrize("target", [b"127.0.0.1", b"224.1.2.3", b"255.255.255.255"])
def test_media_are_never_sent_where_nobody_may_be_sent_to(server: Server, target: bytes) -> None:
    settings = replace(SETTINGS, targets=Targets())
    text = BARESIP.replace(b"192.168.1.15", target)
    world = Relaying(server, settings=settings)
    with pytest.raises(SipError, match="media target refused"):
        world.open("softphone", "softphone").told("> INVITE 1", text)
    call = world.open("softphone", "softphone", host="198.51.100.7")
    call.told("> INVITE 1", text)
    assert b"13:media-address12:198.51.100.7" in world.orders[-1]


def test_the_answer_of_a_sendonly_side_is_kept_to_what_was_offered(server: Server) -> None:
    call = Relaying(server).open("softphone", "softphone")
    call.told("> INVITE 1", BARESIP.replace(b"a=sendrecv", b"a=sendonly"))
    assert read(call.told("< 200 INVITE 1", BARESIP)).direction == RECVONLY
