"""Session descriptions are read leniently, edited in place, and otherwise kept byte for byte (RFC 8866)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.sdp import Limits, SdpError, parse
from engine.media.sdp.fields import Connection, MediaLine, Origin
from tests.engine.media.written import BARESIP, BROWSER, CLIENTS, FIREFOX, LINPHONE, recorded
from tests.engine.sip.written_at_random import calm

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_wrote_comes_out_as_it_went_in(client: str) -> None:
    assert bytes(parse(CLIENTS[client])) == CLIENTS[client]


def test_what_freeswitch_wrote_comes_out_as_it_went_in() -> None:
    descriptions = recorded()
    assert len(descriptions) > 50
    for text in descriptions:
        assert bytes(parse(text)) == text


def test_fields_are_read() -> None:
    description = parse(BARESIP)
    (audio,) = description.media
    assert description.origin == Origin(b"-", 1140145081, 1649997976, b"IP4", b"192.168.1.15")
    assert audio.media == MediaLine(b"audio", 16906, 1, b"RTP/AVP", (b"0", b"8", b"101"))
    assert description.connection_of(audio) == Connection("192.168.1.15")
    assert audio.attribute(b"ptime") == b"20"
    assert audio.attribute(b"sendrecv") == b""
    assert audio.attribute(b"rtcp-mux") is None
    assert audio.attributes(b"rtpmap") == [b"0 PCMU/8000", b"8 PCMA/8000", b"101 telephone-event/8000"]


def test_a_name_is_not_taken_for_a_longer_one() -> None:
    (audio,) = parse(BARESIP).media
    assert audio.attribute(b"rtcp") == b"16907"  # not rtcp-rsize


def test_what_stands_above_the_media_holds_for_them_unless_they_say_otherwise() -> None:
    description = parse(FIREFOX)
    (audio,) = description.media
    assert audio.attribute(b"fingerprint") is None
    assert (description.attribute_of(audio, b"fingerprint") or b"").startswith(b"sha-256 98:BF")
    assert description.attributes_of(audio, b"ice-pwd") == [b"5f3c0a7d9b1e2c4f6a8d0b2e4c6f8a1d"]
    assert description.connection_of(audio) == Connection("0.0.0.0")


def test_editing_touches_the_named_lines_alone() -> None:
    description = parse(BARESIP)
    edited = description.copy()
    (audio,) = edited.media
    audio.retarget(audio.media._replace(port=40_000))
    audio.drop({b"rtcp", b"ssrc"})
    audio.add(b"rtcp-mux")
    edited.session.connect(Connection("203.0.113.9"))
    edited.sign(Origin(b"-", 5, 6, b"IP4", b"203.0.113.9"))
    assert bytes(edited) == (
        BARESIP.replace(b"m=audio 16906", b"m=audio 40000")
        .replace(b"a=rtcp:16907\r\n", b"")
        .replace(b"a=ssrc:1613256890 cname:sip:1000@lab.test\r\n", b"")
        .replace(b"c=IN IP4 192.168.1.15", b"c=IN IP4 203.0.113.9")
        .replace(b"o=- 1140145081 1649997976 IN IP4 192.168.1.15", b"o=- 5 6 IN IP4 203.0.113.9")
        + b"a=rtcp-mux\r\n"
    )
    assert bytes(description) == BARESIP


def test_connection_data_go_where_the_order_of_lines_has_them() -> None:
    description = parse(HEAD + b"m=audio 9 RTP/AVP 0\r\ni=title\r\na=sendrecv\r\n")
    description.session.connect(Connection("192.0.2.1"))
    description.media[0].connect(Connection("2001:db8::1"))
    assert bytes(description) == (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 9 RTP/AVP 0\r\ni=title\r\nc=IN IP6 2001:db8::1\r\na=sendrecv\r\n"
    )


def test_a_rejected_stream_keeps_its_place_and_its_name() -> None:
    description = parse(BROWSER)
    description.media[0].reject()
    (audio,) = parse(bytes(description)).media
    assert audio.rejected
    assert audio.lines == [b"m=audio 0 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", b"a=mid:0"]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\r\n\r\n"])
def test_any_line_end_is_read_and_crlf_is_written(end: bytes, last: bytes) -> None:
    text = BARESIP.rstrip().replace(b"\r\n", end) + last
    assert bytes(parse(text)) == BARESIP


@pytest.mark.parametrize(
    "text",
    {
        "empty": b"",
        "blank": b"\r\n\r\n",
        "no version": b"o=- 1 1 IN IP4 192.0.2.1\r\n",
        "other version": HEAD.replace(b"v=0", b"v=1"),
        "second version": HEAD + b"v=0\r\n",
        "no origin": b"v=0\r\ns=-\r\n",
        "origin without numbers": b"v=0\r\no=- a b IN IP4 192.0.2.1\r\n",
        "origin with endless numbers": b"v=0\r\no=- %s 1 IN IP4 192.0.2.1\r\n" % (b"9" * 31),
        "bandwidth without colon": HEAD + b"b=AS\r\n",
        "bandwidth without number": HEAD + b"b=AS:\r\n",
        "bandwidth without colon in media": HEAD + b"m=audio 9 RTP/AVP 0\r\nb=128\r\n",
        "line without equal sign": HEAD + b"a\r\n",
        "line of one letter and more": HEAD + b"a sendrecv\r\n",
        "unknown letter": HEAD + b"x=1\r\n",
        "session line in media": HEAD + b"m=audio 9 RTP/AVP 0\r\nt=0 0\r\n",
        "media without format": HEAD + b"m=audio 9 RTP/AVP\r\n",
        "media with a port that is none": HEAD + b"m=audio 65536 RTP/AVP 0\r\n",
        "media with a negative port": HEAD + b"m=audio -1 RTP/AVP 0\r\n",
        "connection without address": HEAD + b"c=IN IP4\r\n",
        "connection in another net": HEAD + b"c=ATM NSAP 47\r\n",
        "NUL": HEAD + b"a=x\x00y\r\n",
        "10,000 lines": HEAD + b"a=x\r\n" * 10_000,
        "100 media": HEAD + b"m=audio 9 RTP/AVP 0\r\n" * 100,
        "65 formats": HEAD + b"m=audio 9 RTP/AVP" + b" 0" * 65 + b"\r\n",
        "oversized crypto": HEAD + b"m=audio 9 RTP/SAVP 0\r\na=crypto:1 AES inline:" + b"A" * 5_000 + b"\r\n",
        "too long": HEAD + b"".join(b"a=%s\r\n" % (b"x" * 4_000) for _ in range(9)),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_broken_description_is_refused_with_400(text: tuple[str, bytes]) -> None:
    with pytest.raises(SdpError) as refused:
        parse(text[1])
    assert refused.value.status == 400
    assert refused.value.why


def test_limits_can_be_set() -> None:
    with pytest.raises(SdpError):
        parse(LINPHONE, Limits(lines=10))


@calm
@given(st.binary(max_size=400))
def test_bytes_at_random_are_read_or_refused_and_nothing_else(noise: bytes) -> None:
    for text in (noise, HEAD + noise, BARESIP + noise, BARESIP[:200] + noise):
        try:
            description = parse(text)
        except SdpError:
            continue
        for section in description.media:
            _ = description.connection_of(section)
        assert bytes(parse(bytes(description))) == bytes(description)


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=30).map(str.encode)


@calm
@given(session=st.lists(VALUES, max_size=5), media=st.lists(st.lists(VALUES, max_size=5), max_size=4))
def test_unknown_attributes_survive_reading_and_writing(session: list[bytes], media: list[list[bytes]]) -> None:
    text = HEAD + b"".join(b"a=x-%s\r\n" % value for value in session)
    for values in media:
        text += b"m=audio 9 RTP/AVP 0\r\n" + b"".join(b"a=x-%s\r\n" % value for value in values)
    assert bytes(parse(text)) == text
    assert bytes(parse(text.replace(b"\r\n", b"\n").rstrip(b"\n"))) == text
