"""Messages: read where touched, written back byte for byte, changed line by line (RFC 3261 §7, §8.2.6, §16.6)."""

from __future__ import annotations

import pytest

from engine.sip.errors import SipError
from engine.sip.layout import canonical_name
from engine.sip.message import Request, Response, is_token, parse_head, respond
from tests.engine.sip.written import INVITE, USUAL, head, request, response

FOLDED = b"Subject: I know you're there,\r\n \tpick up the phone\r\n and answer!"


# --- names


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"Via", "via"), (b"v", "via"), (b"V", "via"), (b"vIa", "via"), (b"Via  \t", "via"), (b"v ", "via"),
        (b"i", "call-id"), (b"CALL-ID", "call-id"), (b"Call-Id", "call-id"), (b"l", "content-length"),
        (b"m", "contact"), (b"f", "from"), (b"t", "to"), (b"k", "supported"), (b"x", "session-expires"),
        (b"X-Unknown", "x-unknown"), (b"x-UNKNOWN ", "x-unknown"),
    ],
)  # fmt: skip
def test_a_header_has_one_name_however_it_is_spelled(raw: bytes, name: str) -> None:
    assert canonical_name(raw) == name


@pytest.mark.parametrize("raw", [b"To\x00", b"To\x0b", b"T o", b"", "Tö".encode(), b"To\x1f"])
def test_a_malformed_name_is_never_taken_for_a_good_one(raw: bytes) -> None:
    assert not is_token(canonical_name(raw).encode("latin-1"))


# --- reading


def test_the_parts_of_a_request() -> None:
    message = request()
    assert (message.method, message.uri, message.defect) == (b"INVITE", b"sip:bob@biloxi.example.com", None)
    assert message.call_id == b"a84b4c76e66710@pc33.atlanta.example.com"
    assert (message.cseq.number, message.cseq.method) == (314159, b"INVITE")
    assert (message.from_.tag, message.to.tag, message.via.branch) == (b"1928301774", b"", b"z9hG4bK776asdhds")


def test_the_parts_of_a_response() -> None:
    message = response(status=b"486 Busy Here")
    assert (message.status, message.reason, message.cseq.method) == (486, b"Busy Here", b"INVITE")


@pytest.mark.parametrize(
    ("status_line", "status", "reason"),
    [
        (b"SIP/2.0 100 ", 100, b""),
        (b"SIP/2.0 100", 100, b""),
        (b"sip/2.0 200 OK", 200, b"OK"),
        ("SIP/2.0 200 Хорошо".encode(), 200, "Хорошо".encode()),
        (b"SIP/2.0 699 = 2**3 * 5**2", 699, b"= 2**3 * 5**2"),
    ],
)
def test_a_reason_may_be_anything_or_nothing(status_line: bytes, status: int, reason: bytes) -> None:
    message = parse_head(status_line)
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


@pytest.mark.parametrize(
    "start",
    [b"SIP/2.0 4294967301 big", b"SIP/2.0 99 low", b"SIP/2.0 700 high", b"SIP/2.0 2000 OK", b"SIP/2.0 20",
     b"SIP/2.0", b"SIP/3.0 200 OK", b"SIP/2.0  200 OK", b"HTTP/1.1 200 OK", b"GET / HTTP/1.1", b"INVITE", b"jaK",
     b"\x80\x01", b""],
)  # fmt: skip
def test_what_is_no_sip_message_is_refused(start: bytes) -> None:
    with pytest.raises(SipError):
        parse_head(head(start=start)[:-4])


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"INVITE  sip:a@h  SIP/2.0", 400),
        (b"INVITE sip:a@h; lr SIP/2.0", 400),
        (b"INVITE sip:a@h SIP/2.0  ", 400),
        (b" INVITE sip:a@h SIP/2.0", 400),
        (b"INVITE\tsip:a@h SIP/2.0", 400),
        (b"INVITE sip:a@h SIP/7.0", 505),
        (b"INVITE sip:a@h\x0b SIP/x", 400),
        (b"INVITE sip:a@h SIP/2.0\n", 400),
    ],
)
def test_a_request_with_a_wrong_start_line_can_still_be_answered(start: bytes, status: int) -> None:
    message = parse_head(head(start=start)[:-4])
    assert isinstance(message, Request)
    assert message.method == b"INVITE"
    assert message.defect is not None
    assert message.defect.status == status
    assert bytes(respond(message, status)).count(USUAL["via"] or b"?") == 1


def test_a_start_line_cannot_be_folded() -> None:
    message = parse_head(INVITE + b"\r\n folded: start")
    assert isinstance(message, Request)
    assert message.defect is not None


def test_compact_and_folded_headers_are_read_like_any_other() -> None:
    message = request(
        FOLDED,
        but={
            "via": b"v:  SIP  / 2.0  / TCP     h   ;\r\n  branch  =   b  ,\r\n SIP  / 2.0 / UDP i",
            "to": b"TO :\r\n sip:vivekg@h ;   tag    = 1918181833n",
            "from": b'f   : "J \\\\\\""       <sip:j@h>\r\n  ;\r\n  tag = 98asjd8',
            "cseq": b"cseq: 0009\r\n  INVITE",
            "call-id": b"i:x",
        },
    )
    assert (message.via.transport, message.via.branch, len(message.values("via"))) == (b"TCP", b"b", 2)
    assert (message.to.tag, message.from_.tag) == (b"1918181833n", b"98asjd8")
    assert (message.cseq.number, message.cseq.method) == (9, b"INVITE")
    assert (message.call_id, message.count("subject")) == (b"x", 1)
    assert message.get("subject") == b"I know you're there, pick up the phone and answer!"


def test_the_values_of_a_header_are_joined_over_its_lines_in_order() -> None:
    message = request(
        b"Route: <sip:a;lr>, <sip:b;lr>", b"Subject: x", b"route: <sip:c,d;lr>", b"ROUTE: , ,<sip:e;lr>,"
    )
    assert message.values("route") == [b"<sip:a;lr>", b"<sip:b;lr>", b"<sip:c,d;lr>", b"<sip:e;lr>"]
    assert message.all("route") == [b"<sip:a;lr>, <sip:b;lr>", b"<sip:c,d;lr>", b", ,<sip:e;lr>,"]
    assert message.get("route") == b"<sip:a;lr>, <sip:b;lr>"


def test_a_header_that_is_not_there_has_no_value() -> None:
    message = request(b"Route:", but={"call-id": None})
    assert (message.get("path"), message.all("path"), message.values("path"), message.count("path")) == (
        None,
        [],
        [],
        0,
    )
    assert (message.get("route"), message.all("route"), message.values("route")) == (b"", [b""], [])
    assert message.call_id == b""


@pytest.mark.parametrize("name", ["via", "cseq", "from", "to"])
def test_reading_what_is_missing_or_malformed_is_an_error_of_the_message(name: str) -> None:
    for line in (None, name.encode() + b": ;;"):
        with pytest.raises(SipError):
            getattr(request(but={name: line}), "from_" if name == "from" else name)


# --- writing


def test_what_no_one_touches_goes_out_as_it_came_in() -> None:
    text = head(
        FOLDED,
        b"t  :  odd",
        b"UnknownHeaderWithUnusualValue: ;;,,;;,;",
        b"NewFangledHeader:   newfangled value\r\n continued newfangled value  ",
        "Organization: Болт и гайка".encode(),
        b"l:0",
    )
    message = parse_head(text[:-4])
    assert bytes(message) == text
    assert bytes(message.copy()) == text


def test_a_copy_changes_without_its_original() -> None:
    original = request(b"Route: <sip:a;lr>", body=b"v=0\r\n")
    before = bytes(original)
    copy = original.copy()
    copy.uri = b"sip:other"
    copy.remove("route")
    copy.add_first("via", b"Via: SIP/2.0/UDP edge;branch=z9hG4bKedge")
    copy.body = b""
    assert bytes(original) == before
    assert (original.via.branch, copy.via.branch) == (b"z9hG4bK776asdhds", b"z9hG4bKedge")


def test_a_built_request_knows_its_headers_and_its_length() -> None:
    built = Request.build(b"OPTIONS", b"sip:h", b"v: SIP/2.0/UDP e;branch=b", b"CSeq: 1 OPTIONS", body=b"abc")
    assert (built.via.branch, built.cseq.number, built.get("content-length")) == (b"b", 1, b"3")
    assert bytes(built) == (
        b"OPTIONS sip:h SIP/2.0\r\nv: SIP/2.0/UDP e;branch=b\r\nCSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nabc"
    )


# --- changing


def changed(before: Request, after: Request) -> tuple[list[bytes], list[bytes]]:
    """The lines that went and those that came."""
    return (
        [line for line in before.lines if line not in after.lines],
        [line for line in after.lines if line not in before.lines],
    )


def test_set_replaces_the_first_and_drops_the_rest() -> None:
    message = request(b"Expires: 1", FOLDED, b"expires: 2")
    after = message.copy()
    after.set("expires", b"Expires: 60")
    assert changed(message, after) == ([b"Expires: 1", b"expires: 2"], [b"Expires: 60"])
    assert after.names.index("expires") == message.names.index("expires")


def test_set_of_a_new_header_puts_it_last() -> None:
    message = request()
    message.set("expires", b"Expires: 60")
    assert (message.names[-1], message.lines[-1]) == ("expires", b"Expires: 60")


def test_add_first_puts_a_line_before_its_like_or_behind_the_vias() -> None:
    message = request(
        b"Route: <sip:a;lr>", but={"via": b"Via: SIP/2.0/UDP h;branch=1\r\nv: SIP/2.0/UDP i;branch=2"}
    )
    message.add_first("route", b"Route: <sip:first;lr>")
    message.add_first("record-route", b"Record-Route: <sip:edge;lr>")
    message.add_first("via", b"Via: SIP/2.0/UDP edge;branch=0")
    assert message.names[:4] == ["via", "via", "via", "record-route"]
    assert message.values("route") == [b"<sip:first;lr>", b"<sip:a;lr>"]
    assert message.via.branch == b"0"


@pytest.mark.parametrize(
    ("lines", "after"),
    [
        ([b"Route: <sip:a>"], []),
        ([b"Route: <sip:a>, <sip:b>"], [b"Route: <sip:b>"]),
        ([b"Route: <sip:a>", b"Route: <sip:b>"], [b"Route: <sip:b>"]),
        ([b"route : <sip:a,x>,\r\n <sip:b>", b"Route: <sip:c>"], [b"route : <sip:b>", b"Route: <sip:c>"]),
        ([b"Route: <sip:a,x>"], []),
        ([b"Route: , <sip:a>, <sip:b>"], [b"Route: <sip:b>"]),
        ([b"Route:", b"Route: ,", b"Route: <sip:a>", b"Route: <sip:b>"], [b"Route: <sip:b>"]),
        ([], []),
    ],
)
def test_pop_value_drops_the_first_value_and_no_other(lines: list[bytes], after: list[bytes]) -> None:
    message = request(*lines)
    values = message.values("route")
    message.pop_value("route")
    assert message.values("route") == values[1:]
    assert [line for line in message.lines if line.lower().startswith(b"route")] == after


def test_the_top_via_is_replaced_and_the_others_stay() -> None:
    message = request(
        but={"via": b"v: SIP/2.0/UDP h;branch=1, SIP/2.0/UDP i;branch=2\r\nVia: SIP/2.0/UDP j;branch=3"}
    )
    assert message.via.branch == b"1"
    message.replace_top_via(b"SIP/2.0/UDP h;branch=1;received=192.0.2.9")
    assert message.values("via") == [
        b"SIP/2.0/UDP h;branch=1;received=192.0.2.9", b"SIP/2.0/UDP i;branch=2", b"SIP/2.0/UDP j;branch=3",
    ]  # fmt: skip
    assert message.via.params == {b"branch": b"1", b"received": b"192.0.2.9"}


def test_a_top_via_with_a_fold_is_read_without_it() -> None:
    message = request()
    message.replace_top_via(b"SIP/2.0/UDP h;\r\n branch=1")
    assert message.via.branch == b"1"


def test_a_changed_header_is_read_anew() -> None:
    message = request()
    _ = message.via, message.to, message.from_, message.cseq, message.call_id
    message.set("to", b"To: <sip:new@h>;tag=t")
    message.set("from", b"From: <sip:new@h>;tag=f")
    message.set("cseq", b"CSeq: 7 INVITE")
    message.set("call-id", b"Call-ID: new")
    message.pop_value("via")
    message.add_first("via", b"Via: SIP/2.0/UDP new;branch=b")
    assert (message.to.tag, message.from_.tag, message.cseq.number) == (b"t", b"f", 7)
    assert (message.call_id, message.via.host) == (b"new", b"new")


# --- responding


def test_a_response_copies_what_identifies_its_request() -> None:
    asked = request(b"Via: SIP/2.0/UDP second;branch=2", b"Record-Route: <sip:r;lr>", FOLDED, body=b"v=0\r\n")
    assert bytes(respond(asked, 486)) == b"\r\n".join(
        [
            b"SIP/2.0 486 Busy Here", USUAL["via"] or b"", USUAL["to"] or b"", USUAL["from"] or b"",
            USUAL["call-id"] or b"", USUAL["cseq"] or b"", b"Via: SIP/2.0/UDP second;branch=2",
            b"Content-Length: 0",
            b"", b"",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("to", "answered"),
    [
        (b"To: <sip:a@h>", b"To: <sip:a@h>;tag=new"),
        (b"To: sip:vintage@tagged.example.com", b"To: sip:vintage@tagged.example.com;tag=new"),
        (b"To: <sip:a@h;tag=uri>", b"To: <sip:a@h;tag=uri>;tag=new"),
        (b"To: <sip:a@h>;x-stage=1", b"To: <sip:a@h>;x-stage=1;tag=new"),
        (b't:"tag=1"\r\n <sip:a@h>', b't:"tag=1"\r\n <sip:a@h>;tag=new'),
        (b"To: <sip:a@h> ; TAG = old", b"To: <sip:a@h> ; TAG = old"),
        (b"To: sip:a@h;tag=old", b"To: sip:a@h;tag=old"),
        (b'To: "unbalanced <sip:a@h>', b'To: "unbalanced <sip:a@h>'),
    ],
)
def test_a_to_without_tag_gets_one(to: bytes, answered: bytes) -> None:
    assert answered in respond(request(but={"to": to}), 404, b"", b"new").lines


def test_a_trying_copies_the_timestamp() -> None:
    asked = request(b"Timestamp: 54.21")
    assert b"Timestamp: 54.21" in respond(asked, 100).lines
    assert b"Timestamp: 54.21" not in respond(asked, 200).lines


def test_a_response_may_have_other_words_and_more_headers() -> None:
    answer = respond(request(), 420, b"No Such", b"", b"Unsupported: foo")
    assert (answer.reason, answer.get("unsupported")) == (b"No Such", b"foo")
    assert respond(request(), 499).reason == b"Unknown"


def test_what_was_read_before_does_not_change_what_is_read_now() -> None:
    """Layouts are remembered by shape; these all have as many lines and begin alike."""
    heads = [
        b"INVITE sip:h SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: t",
        b"INVITE sip:h SIP/2.0\r\nVia: v\r\nTo: t\r\nFrom: f",
        b"INVITE sip:h SIP/2.0\r\nVia:v\r\nTo:  t\r\nFrom:\tf ",
        b"INVITE sip:h SIP/2.0\r\nv: v\r\nf: f\r\nt: t",
        b"INVITE sip:h SIP/2.0\r\nVia : v\r\nFROM: f\r\nTO:t",
    ]
    for text in [*heads, *reversed(heads)]:
        message = parse_head(text)
        assert (message.get("via"), message.get("from"), message.get("to")) == (b"v", b"f", b"t"), text
    folded = parse_head(b"INVITE sip:h SIP/2.0\r\nVia: v\r\n From: f\r\nTo: t")
    assert (folded.get("via"), folded.get("from"), folded.get("to")) == (b"v From: f", None, b"t")
    nameless = parse_head(b"INVITE sip:h SIP/2.0\r\nVia: v\r\nFrom\r\nTo: t")
    assert (nameless.names, nameless.get("to")) == (["via", "", "to"], b"t")
