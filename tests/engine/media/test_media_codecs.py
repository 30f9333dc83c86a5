"""Codecs pass through, are renumbered or transcoded, as the two sides and policy have it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.codecs import Codec, CodecPolicy, PayloadRule, plan, read_codecs, to_offer, write_codecs
from engine.media.sdp import SdpError, parse
from tests.engine.media.written import BARESIP, BROWSER, FIREFOX, LINPHONE, freeswitch
from tests.engine.sip.written_at_random import calm

PCMU, PCMA, G722 = Codec(0, b"PCMU", 8000), Codec(8, b"PCMA", 8000), Codec(9, b"G722", 8000)
OPUS = Codec(111, b"opus", 48_000, 2, b"minptime=10;useinbandfec=1")
EVENT, EVENT_48 = Codec(101, b"telephone-event", 8000, 1, b"0-15"), Codec(110, b"telephone-event", 48_000)
G729 = Codec(18, b"G729", 8000)
ANY = CodecPolicy()


def names(codecs: tuple[Codec, ...]) -> list[bytes]:
    return [codec.name for codec in codecs]


def passes(number: int, clock_hz: int = 8000, to: int | None = None) -> dict[int, PayloadRule]:
    return {number: PayloadRule(number if to is None else to, clock_hz, clock_hz)}


def codecs_of(text: bytes) -> tuple[Codec, ...]:
    return read_codecs(parse(text).media[0])


def test_payload_types_are_read_in_order() -> None:
    assert codecs_of(BARESIP) == (PCMU, PCMA, EVENT)
    assert names(codecs_of(BROWSER)) == [
        b"opus", b"red", b"G722", b"PCMU", b"PCMA", b"CN", b"telephone-event", b"telephone-event",
    ]  # fmt: skip
    assert codecs_of(BROWSER)[0] == OPUS


def test_static_numbers_need_no_mapping() -> None:
    bare = BARESIP.replace(b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n", b"").replace(
        b"0 8 101", b"0 8 9 18"
    )
    assert codecs_of(bare) == (PCMU, PCMA, G722, G729)


def test_a_channel_said_or_not_is_the_same_codec() -> None:
    assert codecs_of(FIREFOX)[-1].key == EVENT.key


def test_repeated_and_unmapped_codecs_count_once_or_not_at_all() -> None:
    text = (
        BARESIP.replace(b"0 8 101\r\n", b"0 0 8 101 0 8 99\r\n") + b"a=rtpmap:0 G722/8000\r\na=rtpmap:99 x/0\r\n"
    )
    assert codecs_of(text) == (PCMU, PCMA, EVENT)


@pytest.mark.parametrize("formats", [b"*", b"128", b"0 x", b"0 99999999999", b"-1"])
def test_a_format_that_is_no_payload_type_is_refused(formats: bytes) -> None:
    with pytest.raises(SdpError) as refused:
        codecs_of(BARESIP.replace(b"RTP/AVP 0 8 101", b"RTP/AVP " + formats))
    assert refused.value.status == 400


def test_writing_the_same_codecs_changes_nothing() -> None:
    for text in (BARESIP, LINPHONE, BROWSER):
        description = parse(text)
        write_codecs(description.media[0], read_codecs(description.media[0]))
        assert bytes(description) == text


def test_writing_fewer_and_others_keeps_the_lines_of_those_that_stay() -> None:
    description = parse(BROWSER)
    audio = description.media[0]
    write_codecs(audio, (PCMA, OPUS, EVENT))
    assert audio.media.formats == (b"8", b"111", b"101")
    assert audio.attributes(b"rtcp-fb") == [b"111 transport-cc"]
    assert audio.attributes(b"fmtp") == [b"111 minptime=10;useinbandfec=1", b"101 0-15"]
    assert read_codecs(audio) == (PCMA, OPUS, EVENT)


def test_a_number_that_changes_its_meaning_loses_its_old_lines() -> None:
    description = parse(LINPHONE)
    audio = description.media[0]
    write_codecs(audio, (Codec(96, b"G729", 8000),))
    assert audio.attributes(b"rtpmap") == [b"96 G729/8000"]
    assert audio.attributes(b"fmtp") == []


# --- what is offered ---


@pytest.mark.parametrize("kind", ["browser", "softphone", "node"])
def test_an_offer_that_the_other_side_understands_is_left_alone(kind: str) -> None:
    for text in (BARESIP, LINPHONE, BROWSER, freeswitch("34_originate_webrtc_offer")):
        assert to_offer(codecs_of(text), kind, ANY) == codecs_of(text)  # type: ignore[arg-type]


def test_codecs_are_added_where_the_other_side_may_know_none() -> None:
    offered = to_offer((OPUS, EVENT_48), "softphone", ANY)
    assert offered[1:5] == (G722, PCMU, PCMA, EVENT_48)
    assert (offered[0], *offered[5:]) == (OPUS, EVENT)


def test_codecs_that_can_not_be_made_are_not_added() -> None:
    assert to_offer((G729, EVENT), "softphone", ANY) == (G729, EVENT)


def test_a_taken_number_is_not_given_again() -> None:
    offered = (Codec(0, b"opus", 48_000, 2), Codec(101, b"speex", 8000), EVENT_48)
    numbers = [codec.payload_type for codec in to_offer(offered, "node", ANY)]
    assert len(set(numbers)) == len(numbers)


def test_policy_forbids_forces_and_orders() -> None:
    browser = codecs_of(BROWSER)
    assert b"G722" not in names(to_offer(browser, "node", CodecPolicy(forbid=frozenset({"g722"}))))
    assert names(to_offer(browser, "node", CodecPolicy(order=("pcma", "pcmu"))))[:3] == [b"PCMA", b"PCMU", b"opus"]
    forced = to_offer(browser, "node", CodecPolicy(force=("pcma",)))
    assert [codec.name for codec in forced if codec.is_speech] == [b"PCMA"]
    assert names(to_offer((PCMU,), "node", CodecPolicy(force=("opus",)))) == [b"opus"]


def test_redundancy_goes_with_what_it_repeats() -> None:
    assert b"red" in names(to_offer(codecs_of(BROWSER), "browser", ANY))
    assert b"red" not in names(to_offer(codecs_of(BROWSER), "browser", CodecPolicy(forbid=frozenset({"opus"}))))


def test_never_means_never() -> None:
    assert to_offer((OPUS,), "softphone", CodecPolicy(transcode="never")) == (OPUS,)
    with pytest.raises(SdpError) as refused:
        to_offer((PCMU, EVENT), "node", CodecPolicy(force=("opus",), transcode="never"))
    assert refused.value.status == 488


# --- what comes of the answer ---


def test_common_codecs_pass() -> None:
    outcome = plan((PCMU, PCMA, EVENT), (PCMU, PCMA, EVENT), (PCMA, EVENT))
    assert outcome.told == (PCMA, EVENT)
    assert outcome.from_offerer == outcome.from_answerer == passes(8) | passes(101)
    assert not outcome.transcodes


def test_an_answer_in_other_numbers_is_renumbered() -> None:
    offered = (Codec(96, b"opus", 48_000, 2), PCMU, Codec(97, b"telephone-event", 8000))
    outcome = plan(offered, offered, (Codec(102, b"OPUS", 48_000, 2), EVENT))
    assert outcome.told == (offered[0], offered[2]._replace(parameters=b"0-15"))
    assert outcome.from_offerer == passes(96, 48_000, 102) | passes(97, to=101)
    # It may send under its own numbers, and under those that it was offered (RFC 3264 §5.1).
    own, offered_ones = passes(102, 48_000, 96) | passes(101, to=97), passes(96, 48_000) | passes(97)
    assert outcome.from_answerer == own | offered_ones


def test_without_a_common_codec_speech_is_transcoded_and_digits_change_their_clock() -> None:
    offered = (OPUS, EVENT_48)
    outcome = plan(offered, to_offer(offered, "softphone", ANY), (PCMA, EVENT))
    assert outcome.told == offered
    assert outcome.transcodes
    assert outcome.from_offerer == {
        111: PayloadRule(8, 48_000, 8_000, b"opus", b"pcma"),
        110: PayloadRule(101, 48_000, 8_000),
    }
    assert outcome.from_answerer == {
        8: PayloadRule(111, 8_000, 48_000, b"pcma", b"opus"),
        101: PayloadRule(110, 8_000, 48_000),
    }


def test_g722_keeps_the_clock_that_it_is_told_with() -> None:
    outcome = plan((G722,), to_offer((G722,), "softphone", ANY), (PCMU,))
    assert outcome.from_offerer[9] == PayloadRule(0, 8_000, 8_000, b"g722", b"pcmu")


def test_whatever_was_answered_may_come_though_a_common_codec_goes_before() -> None:
    offered = (OPUS,)
    told = to_offer(offered, "softphone", ANY)
    outcome = plan(offered, told, (PCMU, OPUS))
    assert outcome.told == (OPUS,)
    assert outcome.from_offerer == passes(111, 48_000)
    assert outcome.from_answerer[0] == PayloadRule(111, 8_000, 48_000, b"pcmu", b"opus")


def test_an_answer_can_not_add_what_it_was_not_offered() -> None:
    outcome = plan((PCMU, PCMA), (PCMU,), (PCMU, PCMA, G729))
    assert outcome.told == (PCMU,)
    assert set(outcome.from_answerer) == {0}


@pytest.mark.parametrize(
    ("offered", "answered"), [((G729,), (PCMU,)), ((PCMU,), (G729,)), ((PCMU,), ()), ((PCMU, EVENT), (EVENT,))]
)
def test_no_codec_left_is_488(offered: tuple[Codec, ...], answered: tuple[Codec, ...]) -> None:
    with pytest.raises(SdpError) as refused:
        plan(offered, offered, answered)
    assert refused.value.status == 488


def test_codecs_of_one_name_are_told_apart_by_number() -> None:
    wide, narrow = (
        Codec(115, b"G7221", 16_000, 1, b"bitrate=32000"),
        Codec(116, b"G7221", 16_000, 1, b"bitrate=24000"),
    )
    assert plan((wide, narrow), (wide, narrow), (narrow,)).told == (narrow,)


SPEECH = st.sampled_from([PCMU, PCMA, G722, OPUS, G729])
OFFERS = st.lists(SPEECH, min_size=1, unique=True).map(tuple)


@calm
@given(offered=OFFERS, answered=OFFERS, events=st.tuples(st.booleans(), st.booleans()))
def test_every_payload_leads_to_one_that_the_other_side_knows(
    offered: tuple[Codec, ...], answered: tuple[Codec, ...], events: tuple[bool, bool]
) -> None:
    offered += (EVENT,) * events[0]
    answered += (EVENT,) * events[1]
    told = to_offer(offered, "softphone", ANY)
    try:
        outcome = plan(offered, told, answered)
    except SdpError:
        return
    assert set(outcome.told) <= set(offered)
    assert any(codec.is_speech for codec in outcome.told)
    assert set(outcome.from_offerer) == {codec.payload_type for codec in outcome.told}
    there = {codec.payload_type for codec in answered}
    assert {rule.payload_type for rule in outcome.from_offerer.values()} <= there
    assert {rule.payload_type for rule in outcome.from_answerer.values()} <= set(outcome.from_offerer)
