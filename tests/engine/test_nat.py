"""Signs of a NAT in a request: each alone, none for an agent that can be reached where it says."""

from __future__ import annotations

import pytest

from engine.boundary import Flow, Transport
from engine.nat import TRANSLATED, NatSign, is_private, nat_signs, words
from engine.sip.framing import parse_datagram
from engine.sip.message import Request
from tests.engine.wire import message

PUBLIC = "198.51.100.20"


def signs(
    *,
    via: str = f"{PUBLIC}:5060",
    contact: str | None = f"<sip:1000@{PUBLIC}:5060>",
    source: tuple[str, int] = (PUBLIC, 5060),
    transport: Transport = "udp",
    body: str = "",
) -> NatSign:
    data = message(
        "REGISTER sip:example.org SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {via};branch=z9hG4bKx;rport",
        "From: <sip:1000@example.org>;tag=1",
        "To: <sip:1000@example.org>",
        "Call-ID: 1",
        "CSeq: 1 REGISTER",
        f"Contact: {contact}" if contact else "",
        body=body,
    )
    request = parse_datagram(data)
    assert isinstance(request, Request)
    return nat_signs(request, Flow("outside", source), transport)


def sdp(address: str, media_address: str = "") -> str:
    lines = ["v=0", f"c=IN IP4 {address}", "m=audio 4000 RTP/AVP 0"]
    return "\r\n".join(lines + ([f"c=IN IP4 {media_address}"] if media_address else [])) + "\r\n"


def test_an_agent_that_is_where_it_says_shows_none() -> None:
    assert signs() == NatSign(0)
    assert signs(body=sdp(PUBLIC)) == NatSign(0)
    assert signs(via=PUBLIC, contact=f"<sip:1000@{PUBLIC}>") == NatSign(0)  # the default port
    assert signs(contact="*") == signs(contact=None) == NatSign(0)


def test_nor_does_one_in_our_own_private_network_show_a_translation() -> None:
    here = signs(via="10.0.0.7:5060", contact="<sip:1000@10.0.0.7:5060>", source=("10.0.0.7", 5060))
    assert here == NatSign.VIA_PRIVATE | NatSign.CONTACT_PRIVATE
    assert not here & TRANSLATED


def test_a_phone_behind_a_home_gateway() -> None:
    found = signs(via="192.168.1.7:5060", contact="<sip:1000@192.168.1.7:5060>", source=(PUBLIC, 40_001))
    assert found & TRANSLATED
    assert words(found) == (
        "Contact is a private address",
        "came from another address than its Via says",
        "Via is a private address",
        "came from another port than its Via says",
        "Contact is not where it came from",
    )


@pytest.mark.parametrize(
    ("parts", "sign"),
    [
        ({"via": "203.0.113.9:5060"}, NatSign.RECEIVED_ELSEWHERE),
        ({"via": "host.invalid:5060"}, NatSign.RECEIVED_ELSEWHERE),
        ({"via": f"{PUBLIC}:5070"}, NatSign.SOURCE_PORT),
        ({"contact": f"<sip:1000@{PUBLIC}:5070>"}, NatSign.CONTACT_ELSEWHERE),
        ({"contact": "<sip:1000@phone.example.org:5060>"}, NatSign.CONTACT_ELSEWHERE),
        ({"contact": f"sip:1000@{PUBLIC};expires=60"}, NatSign(0)),
        ({"body": sdp("10.1.2.3")}, NatSign.SDP_PRIVATE),
        ({"body": sdp(PUBLIC, "192.168.0.4")}, NatSign.SDP_PRIVATE),
        ({"transport": "ws", "source": (PUBLIC, 40_001)}, NatSign.WEBSOCKET),
        ({"transport": "tcp", "source": (PUBLIC, 40_001)}, NatSign(0)),
        ({"contact": "<http://example.org>"}, NatSign(0)),
        ({"contact": "<<<"}, NatSign(0)),
    ],
)
def test_each_sign_alone(parts: dict[str, object], sign: NatSign) -> None:
    assert signs(**parts) == sign  # type: ignore[arg-type]  # the parts are written by name above


def test_ipv6_is_compared_without_its_brackets() -> None:
    source = ("2001:db8::7", 5060)
    assert signs(via="[2001:db8::7]:5060", contact="<sip:1000@[2001:db8::7]>", source=source) == NatSign(0)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.255.255.255", True),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.1", False),
        ("192.168.0.1", True),
        ("192.169.0.1", False),
        ("100.64.0.1", True),
        ("100.127.255.255", True),
        ("100.128.0.1", False),
        ("169.254.1.1", True),
        ("0.0.0.0", False),
        ("fd00::1", True),
        ("fe80::1", True),
        ("2001:db8::1", False),
        ("example.org", False),
        ("10.example.org", False),
        ("", False),
    ],
)
def test_private_addresses(host: str, private: bool) -> None:
    assert is_private(host) is private


def test_every_sign_has_words() -> None:
    for sign in NatSign:
        assert len(words(sign)) == 1
