"""The torture tests of RFC 4475 and RFC 5118, as far as reading and checking decide their outcome.

The messages are not part of this repository; they are looked for beside it.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from engine.sip.errors import SipError
from engine.sip.framing import BoundaryLostError, StreamFramer, parse_datagram
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request, Response
from engine.sip.uri import parse_uri, unescape
from engine.sip.validate import validate_request, validate_response

TORTURE = (Path(__file__).resolve().parents[3] / "../shared/torture").resolve()
RFC5118 = TORTURE / "rfc5118"

pytestmark = pytest.mark.skipif(not TORTURE.is_dir(), reason="no folder ../shared/torture beside the checkout")

# What is refused; all the rest is fit to be worked on.
REFUSED = {
    "badinv01": 400, "clerr": 400, "ncl": 400, "scalar02": 400, "quotbal": 400, "ltgtruri": 400, "lwsruri": 400,
    "lwsstart": 400, "trws": 400, "escruri": 400, "regbadct": 400, "badaspec": 400, "baddn": 400, "badvers": 505,
    "mismatch01": 400, "mismatch02": 501, "insuf": 400, "unkscm": 416, "novelsc": 416, "multi01": 400,
    "mcl01": 400, "ipv6-bad": 400,
}  # fmt: skip
DROPPED = {"scalarlg", "bigcode"}  # malformed responses
NAMES = sorted(path.stem for folder in (TORTURE, RFC5118) for path in folder.glob("*.dat"))
# Content-Length of these is not that of their body, though RFC 5118 means them to be valid.
MISCOUNTED = {"ipv6-in-sdp", "mult-ip-in-sdp", "ipv4-mapped-ipv6"}


def octets(name: str) -> bytes:
    path = TORTURE / f"{name}.dat"
    return (path if path.exists() else RFC5118 / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse_datagram(octets(name))
    assert isinstance(message, Request)
    validate_request(message)
    return message


def outcome(name: str) -> str:
    """``D`` for a message that is dropped, a status that answers it, or ``F`` if it goes on to be forwarded."""
    try:
        message = parse_datagram(octets(name))
    except SipError:
        return "D"
    try:
        if isinstance(message, Response):
            validate_response(message)
        elif message is not None:
            validate_request(message)
    except SipError as error:
        return "D" if isinstance(message, Response) else str(error.status)
    return "F"


@cache
def permitted() -> dict[str, set[str]]:
    """By name, what the RFCs permit."""
    found: dict[str, set[str]] = {}
    for index in (TORTURE / "index.csv", RFC5118 / "index.csv"):
        with index.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                words = row.get("allowed") or f"{row['should_outcome']} {row['tolerable']}"
                found[row["name"]] = set(words.split())
    return found


def test_all_messages_are_there() -> None:
    assert len(NAMES) == 49 + 12
    assert set(NAMES) == set(permitted())


@pytest.mark.parametrize("name", NAMES)
def test_a_torture_message_has_its_outcome(name: str) -> None:
    expected = "D" if name in DROPPED else str(REFUSED.get(name, "F"))
    assert outcome(name) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_outcome_is_one_that_the_rfc_permits(name: str) -> None:
    later = {"420", "483", "D"}  # what passes here may yet be refused (Proxy-Require, hops) or match nothing
    found = outcome(name)
    assert found in permitted()[name] or (found == "F" and permitted()[name] & later)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED and name not in DROPPED])
def test_a_good_message_is_written_as_it_was_read(name: str) -> None:
    data = octets(name)
    message = parse_datagram(data)
    assert data.startswith(bytes(message or b""))
    assert len(data) == len(bytes(message or b"")) or name == "dblreq" or name in MISCOUNTED


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_gives_what_a_datagram_gives(name: str) -> None:
    message = parse_datagram(octets(name)) if name not in DROPPED else None
    data = bytes(message or b"") if name in MISCOUNTED | {"baddn", "dblreq"} else octets(name)
    found: list[Request | Response] = []
    lost = False
    try:
        found += StreamFramer().feed(data)
    except BoundaryLostError:
        lost = True
    assert lost == (
        name in {"mcl01", "ncl", "inv2543", "bigcode"}
    )  # no one can tell where the next message begins
    if name == "clerr":
        assert found == []  # the rest of its body may yet come
    elif not lost and message is not None:
        assert [bytes(one) for one in found] == [bytes(message)]


def test_the_second_request_of_dblreq_is_another_message_on_a_stream() -> None:
    with pytest.raises(BoundaryLostError) as raised:  # for octets are left over
        StreamFramer().feed(octets("dblreq"))
    assert [message.call_id[:10] for message in raised.value.messages] == [b"dblreq.0ha", b"dblreq.0ha"]


# --- what the RFCs say about single messages


def test_wsinv_has_three_vias_and_odd_headers_unharmed() -> None:
    message = request("wsinv")
    assert len(message.values("via")) == 3
    assert (message.via.host, message.via.branch) == (b"192.0.2.2", b"390skdjuw")
    assert (message.cseq.number, message.to.tag, message.from_.tag) == (9, b"1918181833n", b"98asjd8")
    assert message.get("unknownheaderwithunusualvalue") == b";;,,;;,;"
    assert parse_name_addr(message.values("contact")[0]).params[b"q"] == b"0.33"


def test_intmeth_and_esc02_keep_the_percent_of_their_methods() -> None:
    assert request("intmeth").method == b"!interesting-Method0123456789_*+`.%indeed'~"
    assert request("esc02").method == b"RE%47IST%45R"
    assert len(request("esc02").values("contact")) == 2


def test_escnull_has_two_contacts_that_differ() -> None:
    users = [parse_uri(parse_name_addr(value).uri).user for value in request("escnull").values("contact")]
    assert [unescape(user or b"") for user in users] == [b"\x00", b"\x00\x00"]


def test_dblreq_is_one_request() -> None:
    message = request("dblreq")
    assert (message.method, message.body, message.call_id[:6]) == (b"REGISTER", b"", b"dblreq")


def test_semiuri_has_a_user_with_a_semicolon() -> None:
    assert parse_uri(request("semiuri").uri).user == b"user;par=u%40example.net"


def test_cparam_belongs_to_the_header_or_to_the_uri() -> None:
    outside = parse_name_addr(request("cparam01").values("contact")[0])
    inside = parse_name_addr(request("cparam02").values("contact")[0])
    assert (b"unknownparam" in outside.params, b"unknownparam" in parse_uri(outside.uri).params) == (True, False)
    assert (b"unknownparam" in inside.params, b"unknownparam" in parse_uri(inside.uri).params) == (False, True)


def test_badbranch_has_a_branch_that_is_the_cookie_alone() -> None:
    assert request("badbranch").via.branch == b"z9hG4bK"


def test_badvers_can_be_answered_along_its_via() -> None:
    message = parse_datagram(octets("badvers"))
    assert message is not None
    assert (message.via.host, message.via.branch) == (b"c.example.com", b"z9hG4bKkdjuw")


def test_a_port_is_told_from_an_ipv6_address_by_the_brackets() -> None:
    ambiguous, plain = parse_uri(request("port-ambiguous").uri), parse_uri(request("port-unambiguous").uri)
    assert (ambiguous.host, ambiguous.port) == (b"[2001:db8::10:5070]", None)
    assert (plain.host, plain.port) == (b"[2001:db8::10]", 5070)


def test_received_is_an_ipv6_address_with_or_without_brackets() -> None:
    assert request("via-received-param-with-delim").via.params[b"received"] == b"[2001:db8::9:255]"
    assert request("via-received-param-no-delim").via.params[b"received"] == b"2001:db8::9:255"
