"""Each side is told of a stream in the form that it can take, whatever the other side wrote."""

from __future__ import annotations

from hashlib import new as new_hash

import pytest

from engine.media.profiles import (
    PROFILES,
    Local,
    Profile,
    Remote,
    answer_setup,
    certificate_fits,
    offering,
    our_part,
    read_remote,
    relayable,
    write_local,
    write_session,
)
from engine.media.sdp import SdpError, parse
from engine.media.sdp.attributes import INACTIVE, RECVONLY, SENDONLY, SENDRECV, Crypto, Fingerprint, IceNames
from tests.engine.media.written import BARESIP, BROWSER, BROWSER_ANSWER, FIREFOX, LINPHONE, SDES, freeswitch

OURS = Fingerprint(b"sha-256", bytes(range(32)))
NAMES = IceNames(b"ours", b"ourpasswordourpassword")
KEY = Crypto(1, b"AES_CM_128_HMAC_SHA1_80", bytes(30))


def read(text: bytes, index: int = 0) -> Remote:
    description = parse(text)
    return read_remote(description, description.media[index])


def rewritten(text: bytes, local: Local) -> tuple[bytes, Remote]:
    """The description as the other side gets it, and what that side reads there."""
    description = parse(text)
    (section, *_) = description.media
    write_local(section, local, read_remote(parse(text), parse(text).media[0]).profile)
    feedback = local.profile.protocol.endswith(b"F")
    write_session(description, local.host, ice=local.ice is not None, bundle=local.mid, feedback=feedback)
    return bytes(description), read(bytes(description))


def test_a_browser_is_read() -> None:
    remote = read(BROWSER)
    assert remote.profile == PROFILES["webrtc"]
    assert remote.address == remote.rtcp == ("198.51.100.20", 51472)
    assert remote.ice == IceNames(b"Qx7b", b"0mA3dVtN8kq2rT5wYb9cXe1f")
    assert [(candidate.host, candidate.kind) for candidate in remote.candidates] == [
        ("6b1f5a0e-76a4-4a0c-9c2e-0f5c3f6b1f10.local", b"host"),
        ("198.51.100.20", b"srflx"),
    ]
    assert remote.setup == "actpass"
    assert remote.mid == b"0"
    assert len(remote.fingerprints) == 1


def test_a_browser_without_address_of_its_own_is_not_on_hold() -> None:
    remote = read(FIREFOX)
    assert remote.address is None
    assert remote.direction == SENDRECV
    assert remote.fingerprints
    assert remote.ice is not None


def test_softphones_are_read() -> None:
    assert read(BARESIP).profile == PROFILES["rtp"]
    assert read(BARESIP).address == ("192.168.1.15", 16906)
    assert read(BARESIP).rtcp == ("192.168.1.15", 16907)
    assert read(LINPHONE).profile == PROFILES["rtp"]  # its ICE is not taken up
    assert read(SDES).profile == PROFILES["srtp"]
    assert [crypto.suite for crypto in read(SDES).crypto] == [b"AEAD_AES_256_GCM", b"AES_CM_128_HMAC_SHA1_80"]


def test_freeswitch_means_dtls_where_it_writes_savpf() -> None:
    remote = read(freeswitch("34_originate_webrtc_offer"))
    assert remote.profile == Profile(b"RTP/SAVPF", security="dtls", ice=True, rtcp_mux=True)
    assert remote.setup == "actpass"
    assert {candidate.port for candidate in remote.candidates} == {20638}
    answer = read(freeswitch("43_webrtc_invite_in"))
    assert answer.profile == Profile(b"UDP/TLS/RTP/SAVPF", security="dtls", ice=True, rtcp_mux=True)
    assert answer.setup == "active"


def test_freeswitch_without_mux_has_a_second_port() -> None:
    assert read(freeswitch("44_webrtc_invite_nonmux")).rtcp == ("127.0.1.1", 20229)


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        (BARESIP.replace(b"a=sendrecv", b"a=sendonly"), SENDONLY),
        (BARESIP.replace(b"a=sendrecv", b"a=recvonly "), RECVONLY),
        (BARESIP.replace(b"a=sendrecv\r\n", b""), SENDRECV),
        (BARESIP.replace(b"c=IN IP4 192.168.1.15", b"c=IN IP4 0.0.0.0"), SENDONLY),
        (BARESIP.replace(b"c=IN IP4 192.168.1.15", b"c=IN IP6 ::").replace(b"sendrecv", b"recvonly"), INACTIVE),
        (BARESIP.replace(b"a=sendrecv\r\n", b"").replace(b"t=0 0", b"t=0 0\r\na=inactive"), INACTIVE),
        (freeswitch("31_hold_bridged"), SENDRECV),
    ],
)
def test_hold_is_read_in_all_its_forms(text: bytes, direction: object) -> None:
    assert read(text).direction == direction


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (BROWSER.replace(b"a=fingerprint:sha-256", b"a=fingerprint:md5"), 488),
        (BROWSER.replace(b"a=fingerprint", b"a=x-fingerprint"), 488),
        (SDES.replace(b"inline:", b"inline:!"), 488),
        (SDES.replace(b"AE", b"XE").replace(b"AES_CM", b"F8"), 488),
        (BARESIP.replace(b"RTP/AVP", b"TCP/MSRP"), 488),
        (BARESIP.replace(b"c=IN IP4 192.168.1.15\r\n", b""), 400),
        (BARESIP.replace(b"a=rtcp:16907", b"a=rtcp:x"), 400),
        (BROWSER.replace(b"a=ice-ufrag:Qx7b", b"a=ice-ufrag:" + b"x" * 1000), 400),
        (BROWSER.replace(b"a=ice-pwd:", b"a=x:"), 400),
    ],
)
def test_a_stream_that_can_not_be_met_is_refused(text: bytes, status: int) -> None:
    with pytest.raises(SdpError) as refused:
        read(text)
    assert refused.value.status == status


def test_a_softphones_offer_becomes_a_browsers() -> None:
    local = Local(offering("browser"), SENDRECV, "203.0.113.9", 30_000, 30_000, NAMES, OURS, "actpass", mid=b"0")
    text, seen = rewritten(BARESIP, local)
    assert seen.profile == PROFILES["webrtc"]
    assert seen.ice == NAMES
    assert seen.ice_lite
    assert b"a=ice-options:ice2\r\n" in text.partition(b"m=")[0]
    assert seen.fingerprints == (OURS,)
    assert seen.address == ("203.0.113.9", 30_000)
    assert [(candidate.host, candidate.port) for candidate in seen.candidates] == [("203.0.113.9", 30_000)]
    assert b"a=group:BUNDLE 0\r\n" in text
    assert b"a=label:1\r\n" in text  # not ours to know
    assert b"192.168.1.15" not in text.partition(b"s=-")[2]
    assert b"16907" not in text


def test_a_browsers_offer_becomes_a_softphones() -> None:
    text, seen = rewritten(BROWSER, Local(offering("softphone"), SENDRECV, "203.0.113.9", 30_000, 30_001))
    assert seen.profile == PROFILES["rtp"]
    assert seen.rtcp == ("203.0.113.9", 30_001)
    for word in (
        b"ice-",
        b"candidate",
        b"fingerprint",
        b"setup",
        b"BUNDLE",
        b"mid:",
        b"ssrc:",
        b"rtcp-fb",
        b"extmap",
    ):
        assert word not in text
    assert b"a=fmtp:111 minptime=10;useinbandfec=1\r\n" in text


def test_two_browsers_keep_what_both_understand() -> None:
    local = Local(offering("browser"), SENDRECV, "203.0.113.9", 30_000, 30_000, NAMES, OURS, mid=b"0")
    text, seen = rewritten(BROWSER, local)
    assert b"a=rtcp-fb:111 transport-cc\r\n" in text
    assert b"a=msid:6d1f2b1e 1c2d3e4f\r\n" in text
    assert b"a=extmap:1 " in text
    assert seen.fingerprints == (OURS,)
    assert b"Qx7b" not in text


def test_keys_of_one_side_are_not_told_to_the_other() -> None:
    text, seen = rewritten(SDES, Local(PROFILES["srtp"], SENDRECV, "203.0.113.9", 30_000, 30_001, crypto=(KEY,)))
    assert seen.crypto == (KEY,)
    assert b"ywVk5uITslxveKrrlYM4TVyMqhxjBiiLuXOsVY" not in text
    plain, _ = rewritten(SDES, Local(PROFILES["rtp"], SENDRECV, "203.0.113.9", 30_000, 30_001))
    assert b"crypto" not in plain


def test_an_old_hold_is_told_in_the_new_way() -> None:
    held = BARESIP.replace(b"c=IN IP4 192.168.1.15", b"c=IN IP4 0.0.0.0")
    text, seen = rewritten(held, Local(PROFILES["rtp"], read(held).direction, "203.0.113.9", 30_000, 30_001))
    assert seen.direction == SENDONLY
    assert text.count(b"a=sendonly\r\n") == 1
    assert b"a=sendrecv" not in text


def test_without_multiplexing_ice_has_two_components() -> None:
    local = Local(PROFILES["webrtc"], SENDRECV, "2001:db8::9", 30_000, 30_001, NAMES, OURS)
    _, seen = rewritten(BROWSER_ANSWER, local)
    assert [(candidate.component, candidate.port) for candidate in seen.candidates] == [(1, 30_000), (2, 30_001)]


@pytest.mark.parametrize(
    ("offered", "standing", "answer"),
    [
        ("actpass", None, "active"),
        ("active", None, "passive"),
        ("passive", None, "active"),
        ("actpass", "passive", "passive"),  # RFC 8842 §5.3: an association that stands keeps its parts
        ("actpass", "active", "active"),
        ("active", "active", "passive"),
        ("holdconn", None, "holdconn"),
    ],
)
def test_the_part_in_dtls_is_answered(offered: str, standing: str | None, answer: str) -> None:
    assert answer_setup(offered, standing) == answer  # type: ignore[arg-type]


def test_the_part_in_dtls_follows_the_answer_to_our_offer() -> None:
    assert our_part(read(BROWSER_ANSWER).setup) == "passive"
    assert our_part("passive") == "active"


def test_a_foreign_certificate_does_not_fit() -> None:
    certificate = b"certificate in DER"
    known = tuple(
        Fingerprint(name, new_hash(name.decode().replace("-", ""), certificate).digest())
        for name in (b"sha-512", b"sha-256")
    )
    assert certificate_fits(known, certificate)
    assert not certificate_fits(known, b"another")
    assert not certificate_fits((), certificate)


def test_only_rtp_is_relayed() -> None:
    assert relayable(b"RTP/SAVPF")
    assert not relayable(b"UDP/DTLS/SCTP")
