"""Reasonable syntax (RFC 3261 §16.3 step 1), and bad input that broke other proxies."""

from __future__ import annotations

import pytest

from engine.sip.errors import SipError
from engine.sip.message import Request
from engine.sip.validate import validate_request, validate_response
from tests.engine.sip.written import Lines, request, response


def refusal(message: Request) -> int | None:
    """The status that answers this request, None where it is fit to be worked on."""
    try:
        validate_request(message)
    except SipError as error:
        return error.status
    return None


def test_the_usual_request_and_response_pass() -> None:
    assert refusal(request(body=b"v=0\r\n")) is None
    validate_response(response())


@pytest.mark.parametrize("name", ["via", "to", "from", "call-id", "cseq"])
def test_a_message_needs_these_headers(name: str) -> None:
    assert refusal(request(but={name: None})) == 400
    with pytest.raises(SipError, match=f"{name} missing"):
        validate_response(response(but={name: None}))


@pytest.mark.parametrize(
    "line", [b"To: <sip:b@h>", b"t: <sip:b@h>;tag=x", b"From: <sip:b@h>;tag=x", b"i: 2", b"CSeq: 314159 INVITE"]
)
def test_a_message_has_each_of_these_headers_once(line: bytes) -> None:
    assert refusal(request(line)) == 400
    with pytest.raises(SipError, match="repeated"):
        validate_response(response(line))


@pytest.mark.parametrize("line", [b"Max-Forwards: 70", b"Content-Length: 0", b"l: 0"])
def test_a_request_has_each_of_these_headers_at_most_once(line: bytes) -> None:
    assert refusal(request(line)) == 400


def test_max_forwards_may_be_missing() -> None:
    assert refusal(request(but={"max-forwards": None})) is None


@pytest.mark.parametrize(
    "but",
    [
        {"via": b"Via: SIP/2.0/UDP 192.0.2.15;;,;,,"},
        {"via": b"Via:"},
        {"to": b"To: <sip:b@h"},
        {"from": b"From: Bell, Alexander <sip:a@h>;tag=1"},
        {"call-id": b"Call-ID:"},
        {"call-id": b"Call-ID: two words"},
        {"call-id": b"Call-ID: nul\x00"},
        {"cseq": b"CSeq: 2147483648 INVITE"},
        {"max-forwards": b"Max-Forwards: -1"},
        {"max-forwards": b"Max-Forwards: 256"},
        {"max-forwards": b"Max-Forwards:"},
        {"contact": b"Contact: sip:a@h?Route=%3Csip:b%3E"},
        {"contact": b'Contact: "Joe" <sip:joe@h>;;;;'},
        {"contact": b"Contact: <sip:a@h>;expires=4294967296"},
        {"contact": b"Contact: <sip:a@h>;expires=" + b"9" * 5_000},
        {"contact": b"Contact: *"},
        {"contact": b"Contact: <sip:a@h>\r\nExpires: 4294967296"},
        {"contact": b"Contact: <sip:a@h>\r\nExpires:"},
        {"contact": b"Route:"},
        {"contact": b"Route: broken"},
        {"contact": b"Route: <sip:a;lr>,"},
        {"contact": b"Route: <sip:a;lr>\r\nRoute: ,"},
        {"contact": b"A line without a colon"},
        {"contact": b": a line without a name"},
        {"contact": b"Subject"},
    ],
)
def test_a_malformed_header_that_is_relied_on_is_a_bad_request(but: Lines) -> None:
    assert refusal(request(but=but)) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"Date: yesterday", b"Warning: 1812 overture", b"X-Odd: ;;,,;;,;", b"Subject:", b"Retry-After: x",
        b'Authorization: NoOneKnowsThisScheme "', b"Content-Type: multipart/mixed", "Organization: Ж".encode(),
    ],
)  # fmt: skip
def test_a_malformed_header_that_is_another_elements_business_passes(line: bytes) -> None:
    assert refusal(request(line)) is None


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"INVITE <sip:a@h> SIP/2.0", 400),
        (b"INVITE sip:a@h?Subject=x SIP/2.0", 400),
        (b"INVITE sip:2001:db8::10 SIP/2.0", 400),
        (b"INVITE tel:+1 SIP/2.0", 416),
        (b"INVITE sip:a@h SIP/3.0", 505),
        (b"INVITE sip:a@h  SIP/2.0", 400),
    ],
)
def test_a_wrong_start_line_has_its_own_answer(start: bytes, status: int) -> None:
    assert refusal(request(start=start)) == status


@pytest.mark.parametrize(
    ("method", "cseq", "status"),
    [
        (b"OPTIONS", b"CSeq: 8 INVITE", 400),
        (b"NEWMETHOD", b"CSeq: 8 INVITE", 501),  # RFC 4475 §3.1.2.18
        (b"NEWMETHOD", b"CSeq: 8 NEWMETHOD", None),
        (b"invite", b"CSeq: 8 INVITE", 501),  # §7.1: methods are case-sensitive
    ],
)
def test_the_cseq_names_the_method(method: bytes, cseq: bytes, status: int | None) -> None:
    assert refusal(request(start=method + b" sip:a@h SIP/2.0", but={"cseq": cseq})) == status


def test_a_register_may_have_any_number_of_contacts_or_a_star() -> None:
    register: dict[str, bytes | None] = {"cseq": b"CSeq: 1 REGISTER"}
    start = b"REGISTER sip:h SIP/2.0"
    for contact in (None, b"Contact: *\r\nExpires: 0", b"m: <sip:a@h>;expires=60, <sip:b@h>;q=0.5\r\nm: sip:c@h"):
        assert refusal(request(start=start, but={**register, "contact": contact})) is None


def test_a_contact_of_other_methods_is_not_looked_at() -> None:
    subscribe: dict[str, bytes | None] = {"cseq": b"CSeq: 1 SUBSCRIBE", "contact": b"Contact: odd"}
    assert refusal(request(start=b"SUBSCRIBE sip:h SIP/2.0", but=subscribe)) is None


# --- bad input that broke others, by the row of the list of such


@pytest.mark.parametrize("gap", [b"\x00", b"\x0b", b"\x0c", b"\x1f", b" \x00", b"\x7f", b"\xa0", b" x"])
@pytest.mark.parametrize("name", [b"To", b"Subject", b"X-Any", b"l"])
def test_1_a_control_byte_before_the_colon_is_refused(name: bytes, gap: bytes) -> None:
    assert refusal(request(name + gap + b": <sip:a@h>")) == 400


@pytest.mark.parametrize("gap", [b" ", b"\t", b"  \t "])
def test_1_blanks_before_the_colon_hide_no_header(gap: bytes) -> None:
    assert refusal(request(b"To" + gap + b": <sip:second@h>")) == 400
    assert request(b"Proxy-Require" + gap + b": foo").values("proxy-require") == [b"foo"]


@pytest.mark.parametrize("separator", [b"\n", b"\r", b"\n ", b"\r\r\n", b"\n\r\n", b"\r "])
def test_1_a_cr_or_lf_alone_hides_no_header(separator: bytes) -> None:
    assert refusal(request(b"Subject: x" + separator + b"Route: <sip:hidden>")) == 400


@pytest.mark.parametrize("to", [b"To: <sip:a@h>;tag", b"To: <sip:a@h>;tag=", b"To: <sip:a@h>;tag=;tag=1"])
def test_2_an_empty_tag_is_refused(to: bytes) -> None:
    assert refusal(request(but={"to": to})) == 400


def test_2_a_repeated_header_is_refused_however_long_its_tag() -> None:
    assert refusal(request(b"f: <sip:a@h>;tag=" + b"t" * 50_000)) == 400
    assert refusal(request(but={"from": b"From: <sip:a@h>;tag=" + b"t" * 50_000})) is None


@pytest.mark.parametrize(
    "via", [b"SIP/2.0/UDP", b"SIP/2.0", b"/", b"SIP/2.0/UDP \x00", b"SIP/2.0/UDP h:99999999", b","]
)
def test_3_an_odd_via_is_refused(via: bytes) -> None:
    assert refusal(request(but={"via": b"Via: " + via})) == 400


def test_3_an_overlong_request_uri_is_read_or_refused_like_a_short_one() -> None:
    assert refusal(request(start=b"INVITE sip:" + b"u" * 60_000 + b"@h SIP/2.0")) is None
    assert refusal(request(start=b"INVITE " + b"u" * 60_000 + b" SIP/2.0")) == 400


@pytest.mark.parametrize(
    "body", [b"--", b"--b\r\n\r\n", b"--b\r\nContent-Length: 99\r\n\r\n--b--", b"\x00\r\n\r\n\xff"]
)
def test_7_a_malformed_multipart_passes_byte_for_byte(body: bytes) -> None:
    message = request(b"Content-Type: multipart/mixed;boundary=b", body=body)
    assert refusal(message) is None
    assert bytes(message).endswith(b"\r\n\r\n" + body)


def test_what_passed_can_be_read_without_errors() -> None:
    message = request()
    validate_request(message)
    assert (message.via.host, message.from_.uri, message.to.uri) == (
        b"192.0.2.1", b"sip:alice@atlanta.example.com", b"sip:bob@biloxi.example.com",
    )  # fmt: skip
