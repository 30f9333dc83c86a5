"""A description is found in its body, alone or as a part, and replaced without touching the other parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.media.sdp import SdpError, find_sdp
from tests.engine.sip.written_at_random import calm

MULTIPART = b"multipart/mixed;boundary=edge7"
BODY = (
    b"preamble\r\n"
    b"--edge7\r\n"
    b"Content-Type: application/pidf+xml\r\n"
    b"\r\n"
    b"<presence/>\r\n"
    b"--edge7\r\n"
    b"content-type:Application/SDP\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
    b"\r\n--edge7--\r\n"
    b"epilogue"
)


def test_a_body_of_its_own_type_is_the_description() -> None:
    found = find_sdp(b"Application/SDP; charset=utf-8", b"v=0\r\n")
    assert found is not None
    assert found.replaced(b"v=1\r\n") == b"v=1\r\n"


@pytest.mark.parametrize(
    "content_type", [b"application/dtmf-relay", b"text/plain", b"", b"sdp", b"application/sdp;;"]
)
def test_a_body_of_another_type_holds_none(content_type: bytes) -> None:
    assert find_sdp(content_type, b"v=0\r\n") is None


def test_a_part_is_replaced_and_the_others_stay() -> None:
    found = find_sdp(MULTIPART, BODY)
    assert found is not None
    assert found.sdp == b"v=0\r\n"
    assert found.replaced(b"v=0\r\no=new\r\n") == BODY.replace(b"v=0\r\n", b"v=0\r\no=new\r\n").replace(
        b"Content-Length: 5", b"Content-Length: 12"
    )


def test_a_multipart_without_description_holds_none() -> None:
    assert find_sdp(MULTIPART, BODY.replace(b"Application/SDP", b"text/plain")) is None


def test_a_part_may_be_multipart_itself() -> None:
    inner = b'multipart/alternative; boundary="in ner"'
    body = (
        b"--out\r\nContent-Type: "
        + inner
        + b"\r\n\r\n--in ner\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--in ner--\r\n--out--"
    )
    found = find_sdp(b"multipart/mixed; boundary=out", body)
    assert found is not None
    assert found.sdp == b"v=0"
    assert found.replaced(b"v=0") == body


def nested(depth: int) -> tuple[bytes, bytes]:
    kind, body = b"application/sdp", b"v=0"
    for level in range(depth):
        body = b"--b%d\r\nContent-Type: %s\r\n\r\n%s\r\n--b%d--" % (level, kind, body, level)
        kind = b"multipart/mixed;boundary=b%d" % level
    return kind, body


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"multipart/mixed", BODY),
        (b"multipart/mixed;boundary=", BODY),
        (b'multipart/mixed;boundary=""', BODY),
        (b"multipart/mixed;boundary=" + b"x" * 71, BODY),
        (MULTIPART, b""),
        (MULTIPART, BODY[: BODY.index(b"--edge7--")]),
        (MULTIPART, b"--edge7\r\n\r\nx\r\n" * 20 + b"--edge7--"),
        (MULTIPART, b"\r\n" * 40_000),
        nested(5),
    ],
)
def test_a_malformed_multipart_is_refused_with_400(content_type: bytes, body: bytes) -> None:
    with pytest.raises(SdpError) as refused:
        find_sdp(content_type, body)
    assert refused.value.status == 400


@calm
@given(
    st.lists(st.sampled_from([b"--edge7", b"--", b"\r\n", b"\n", b"Content-Type: application/sdp", b"v=0", b"x"]))
)
def test_parts_at_random_are_found_or_refused_and_nothing_is_lost(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    try:
        found = find_sdp(MULTIPART, body)
    except SdpError:
        return
    if found is not None:
        assert found.before + found.sdp + found.after == body
