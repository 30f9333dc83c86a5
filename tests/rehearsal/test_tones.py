"""Speakers are known again by their pitch, whatever codec their tone has gone through."""

from __future__ import annotations

import numpy as np
import pytest

from lab.rehearsal.speech import SOUND, Names
from lab.rehearsal.tones import Tones, producible

SPEAKERS = [str(number) for number in range(1000, 1017)]
NUMBER = 96


@pytest.mark.parametrize("codec", ["pcmu", "pcma", "g722", "opus"])
@pytest.mark.parametrize("speaker", [SPEAKERS[0], SPEAKERS[8], SPEAKERS[-1]])
def test_a_tone_survives_its_codec(codec: str, speaker: str) -> None:
    if codec.encode() not in producible():
        pytest.skip("FFmpeg is not installed")
    tones = Tones(SPEAKERS)
    mouth, ear = tones.voice(codec, NUMBER), tones.voice(codec, NUMBER)
    heard = [ear.recognise(NUMBER, payload) for number in range(50) for payload in mouth.say(speaker, number)]
    assert heard[5:] == [speaker] * 45  # a codec may need some packets to find its voice


@pytest.mark.parametrize(("payload_type", "codec"), [(0, "pcmu"), (8, "pcma")])
def test_who_is_sent_the_other_law_hears_it_all_the_same(payload_type: int, codec: str) -> None:
    tones = Tones(SPEAKERS)
    (payload,) = tones.voice(codec, payload_type).say("1003", 5)
    assert tones.voice("opus", NUMBER).recognise(payload_type, payload) == "1003"


def test_silence_is_nobody_and_other_sound_is_no_speaker() -> None:
    voice = Tones(SPEAKERS).voice("pcmu", 0)
    assert voice.recognise(0, b"\xff" * 160) == ""
    assert voice.recognise(0, b"") == ""
    assert voice.recognise(13, b"\x40") == ""  # comfort noise
    assert voice.recognise(0, np.random.default_rng(5).bytes(160)) == SOUND
    (payload,) = voice.say("a node", 3)
    assert voice.recognise(0, payload) == SOUND


def test_two_at_once_are_no_one() -> None:
    tones = Tones(SPEAKERS)
    both = (tones.samples("1000", 7) + tones.samples("1009", 7)) / 2
    assert tones.recognise(both) == SOUND


@pytest.mark.parametrize(
    ("codec", "octet", "value"),
    [
        ("pcmu", 0xFF, 0),
        ("pcmu", 0x80, 32_124),
        ("pcmu", 0x00, -32_124),
        ("pcmu", 0xEF, 132),
        ("pcma", 0xD5, 8),
        ("pcma", 0x55, -8),
        ("pcma", 0xAA, 32_256),
        ("pcma", 0x2A, -32_256),
        ("pcma", 0xC5, 264),
    ],
)
def test_the_laws_are_those_of_g711(codec: str, octet: int, value: int) -> None:
    from lab.rehearsal import tones

    encode, decode = tones._G711[codec]
    assert decode(bytes((octet,)))[0] * 32_768 == value
    assert encode(np.array([value / 32_767])) == bytes((octet,))


def test_names_are_read_off_each_packet() -> None:
    voice = Names().voice("pcmu", 0)
    (payload,) = voice.say("1000", 0)
    assert voice.recognise(0, payload) == "1000"
    assert voice.recognise(0, b"\xd5" * 160) == SOUND
    assert voice.recognise(0, b"siptwin:1000") == ""
