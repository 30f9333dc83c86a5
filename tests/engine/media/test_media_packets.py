"""A datagram on a media port is told by its first octets (RFC 7983)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.packets import is_expected_rtp, packet_kind
from tests.engine.sip.written_at_random import calm

RTP = bytes.fromhex("80000001000000a0cafebabe") + bytes(160)
STUN = bytes.fromhex("000100002112a442") + b"transaction!"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (RTP, "rtp"),
        (RTP[:12], "rtp"),
        (RTP[:11], "other"),
        (b"\x80\x80" + RTP[2:], "rtp"),  # marker
        (b"\x80\xc8" + bytes(26), "rtcp"),
        (b"\x80\xc8" + bytes(5), "other"),
        (b"\x80\xc9" + bytes(6), "rtcp"),
        (STUN, "stun"),
        (STUN[:4] + b"xxxx" + STUN[8:], "other"),  # without the cookie
        (STUN[:19], "other"),
        (b"\x16\xfe\xff" + bytes(10), "dtls"),
        (b"\x16\xfe\xff", "other"),
        (b"\x40" + bytes(40), "other"),  # TURN channel
        (b"\xff\xff\xff\xff", "other"),  # FreeSWITCH's farewell to itself
        (b"", "other"),
    ],
)
def test_the_first_octets_tell_the_protocol(data: bytes, kind: str) -> None:
    assert packet_kind(data) == kind


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (RTP, True),
        (b"\x80\x80" + RTP[2:], True),
        (b"\x80\x08" + RTP[2:], False),  # not negotiated
        (b"\x81" + RTP[1:12], False),  # one contributing source, which isn't there
        (b"\x81" + RTP[1:16], True),
        (b"\x90" + RTP[1:12], False),
        (b"\x90" + RTP[1:12] + b"\xbe\xde\x00\x02" + bytes(7), False),
        (b"\x90" + RTP[1:12] + b"\xbe\xde\x00\x02" + bytes(8), True),
        (b"\x80\xc8" + bytes(26), False),
    ],
)
def test_rtp_has_a_whole_header_and_a_negotiated_payload_type(data: bytes, expected: bool) -> None:
    assert is_expected_rtp(data, {0, 101}) is expected


@calm
@given(st.binary(max_size=60))
def test_any_datagram_is_something(data: bytes) -> None:
    kind = packet_kind(data)
    assert not is_expected_rtp(data, range(128)) or kind == "rtp"
