"""STUN on the SIP port (RFC 5626 §4.4.2, RFC 8489), with the test vectors of RFC 5769."""

from __future__ import annotations

import zlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.boundary import Datagram, Flow
from engine.notes import MessageDropped, StunDropped
from engine.stun import USERNAME, StunError, is_stun, read_stun, stun_answer, stun_error, stun_success
from tests.engine.harness import EDGE, Exchange, World

COOKIE = bytes.fromhex("2112a442")
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")  # that of RFC 5769
SOURCE = ("192.0.2.1", 32853)
XOR_IPV4 = bytes.fromhex("00200008 0001a147 e112a643")  # RFC 5769 §2.2
XOR_IPV6 = bytes.fromhex("00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9")  # RFC 5769 §2.3
# RFC 5769 §2.1: SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY, FINGERPRINT
SAMPLE_REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74"
    "00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020"
    "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf"
)


def attribute(kind: int, value: bytes = b"") -> bytes:
    return kind.to_bytes(2) + len(value).to_bytes(2) + value + bytes(-len(value) % 4)


def stun(*attributes: bytes, kind: int = 0x0001, transaction: bytes = TRANSACTION) -> bytes:
    body = b"".join(attributes)
    return kind.to_bytes(2) + len(body).to_bytes(2) + COOKIE + transaction + body


def with_fingerprint(message: bytes) -> bytes:
    message = message[:2] + (len(message) - 20 + 8).to_bytes(2) + message[4:]
    return message + attribute(0x8028, (zlib.crc32(message) ^ 0x5354554E).to_bytes(4))


def attributes(message: bytes) -> dict[int, bytes]:
    """What an answer says, read strictly."""
    assert message[4:8] == COOKIE
    assert int.from_bytes(message[2:4]) == len(message) - 20
    found = {}
    rest = message[20:]
    while rest:
        kind, length = int.from_bytes(rest[:2]), int.from_bytes(rest[2:4])
        found[kind] = rest[4 : 4 + length]
        assert len(found[kind]) == length
        rest = rest[4 + length + -length % 4 :]
    return found


# --- the machine


def test_a_binding_request_is_answered_where_it_came_from() -> None:
    world = World()
    phone = world.peer("198.51.100.20", 40_001)
    phone.sends(stun())
    (wire,) = world.sent
    assert wire.flow == phone.flow
    assert wire.data[:2] == b"\x01\x01"
    assert wire.data[8:20] == TRANSACTION
    value = attributes(wire.data)[0x0020]
    assert int.from_bytes(value[2:4]) ^ 0x2112 == 40_001
    assert ip_address(int.from_bytes(value[4:]) ^ 0x2112A442) == ip_address("198.51.100.20")


def test_malformed_ones_are_counted_not_told_one_by_one() -> None:
    world = World()
    phone = world.peer("198.51.100.20", 40_001)
    for _ in range(1000):
        phone.sends(stun() + b"....")
    phone.sends(stun(kind=0x0101))
    world.advance(1.5)
    assert world.sent == []
    assert world.told(StunDropped) == [
        StunDropped("outside", "length that does not fit", 1000),
        StunDropped("outside", "no Binding request", 1),
    ]


@pytest.mark.parametrize("keepalive", [b"\x00\x00\x00\x00", b"\x00", b"\x00" * 40, b"\r\n\r\n", b""])
def test_keep_alives_that_begin_like_stun_are_none(keepalive: bytes) -> None:
    world = World()
    world.caller.sends(keepalive)
    world.advance(1.5)
    assert world.sent == []
    assert world.told(StunDropped) == world.told(MessageDropped) == []


def test_sip_is_served_on_the_same_port() -> None:
    world = World()
    world.caller.sends(stun())
    world.caller.sends(Exchange(world.caller, "OPTIONS", f"sip:{EDGE}").data())
    assert world.sent[1].status == 200


@given(
    st.binary(max_size=60)
    | st.binary(max_size=60).map(lambda tail: stun() + tail)
    | st.binary(max_size=60).map(stun)
)
def test_no_octets_whatever_break_the_edge(data: bytes) -> None:
    world = World()
    flow = Flow("outside", ("198.51.100.20", 40_001))
    world.happen(Datagram(flow, b"\x00\x01" + data))
    world.happen(Datagram(flow, data))
    world.advance(2.0)
    assert all(wire.data[:1] == b"\x01" or wire.data[:3] == b"SIP" for wire in world.sent)


# --- the messages


def test_the_addresses_of_rfc_5769() -> None:
    assert stun_answer(stun(), SOURCE)[20:] == XOR_IPV4
    assert stun_answer(stun(), ("2001:db8:1234:5678:11:2233:4455:6677", 32853))[20:] == XOR_IPV6


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_every_address_can_be_read_from_its_answer(address: object, port: int, transaction: bytes) -> None:
    value = attributes(stun_answer(stun(transaction=transaction), (str(address), port)))[0x0020]
    mask = int.from_bytes((COOKIE + transaction)[: len(value) - 4])
    read = ip_address((int.from_bytes(value[4:]) ^ mask).to_bytes(len(value) - 4))
    assert value[1] == (1 if read.version == 4 else 2)
    assert read == (getattr(address, "ipv4_mapped", None) or address)
    assert int.from_bytes(value[2:4]) ^ 0x2112 == port


def test_an_address_of_a_socket_for_both_families_is_told_as_ipv4() -> None:
    assert stun_answer(stun(), ("::ffff:192.0.2.1", 32853))[20:] == XOR_IPV4


def test_a_link_local_address_may_name_its_interface() -> None:
    assert attributes(stun_answer(stun(), ("fe80::1%eth0", 5060)))[0x0020][1] == 2


def test_a_fingerprint_is_answered_with_one() -> None:
    reply = stun_answer(with_fingerprint(stun()), SOURCE)
    assert reply == with_fingerprint(reply[:-8])
    assert list(attributes(reply)) == [0x0020, 0x8028]


def test_without_one_there_is_none() -> None:
    assert list(attributes(stun_answer(stun(), SOURCE))) == [0x0020]


@pytest.mark.parametrize("octet", range(-4, 0))
def test_a_wrong_fingerprint_is_refused(octet: int) -> None:
    message = bytearray(with_fingerprint(stun()))
    message[octet] ^= 1
    with pytest.raises(StunError, match="wrong FINGERPRINT"):
        stun_answer(bytes(message), SOURCE)


def test_nothing_may_stand_behind_a_fingerprint() -> None:
    message = with_fingerprint(stun(attribute(0x8022, b"x")))
    behind = message[:2] + (len(message) - 20 + 4).to_bytes(2) + message[4:] + attribute(0x8022)
    with pytest.raises(StunError):
        stun_answer(behind, SOURCE)


def test_unknown_attributes_that_must_be_understood_are_refused_with_420() -> None:
    reply = stun_answer(stun(attribute(0x0003, bytes(4)), attribute(0x7FFF, b"xyz")), SOURCE)
    found = attributes(reply)
    assert reply[:2] == b"\x01\x11"
    assert found[0x0009] == b"\x00\x00\x04\x14Unknown Attribute"
    assert found[0x000A] == b"\x00\x03\x7f\xff"


def test_a_request_of_ice_is_refused_for_what_belongs_to_media() -> None:
    found = attributes(stun_answer(SAMPLE_REQUEST, SOURCE))
    assert found[0x000A] == b"\x00\x24"  # PRIORITY
    assert 0x8028 in found


def test_unknown_optional_attributes_and_credentials_are_passed_over() -> None:
    message = stun(attribute(0x8022, b"phone"), attribute(0x0006, b"me"), attribute(0x0008, bytes(20)))
    assert stun_answer(message, SOURCE)[:2] == b"\x01\x01"


def test_an_indication_gets_no_answer() -> None:
    assert stun_answer(stun(kind=0x0011), SOURCE) == b""


@pytest.mark.parametrize("kind", [0x0101, 0x0111, 0x0003, 0x0100], ids=["success", "error", "Allocate", "unknown"])
def test_what_is_no_binding_request_is_refused(kind: int) -> None:
    with pytest.raises(StunError, match="no Binding request"):
        stun_answer(stun(kind=kind), SOURCE)


@pytest.mark.parametrize(
    "message",
    [
        stun() + b"\x00" * 4,
        stun(b"\x80\x22\x00\x05abcd"),
        stun(b"\x80\x22\xff\xff"),
        stun(attribute(0x8022, b"abcd"))[:-2],
        stun(b"\x80"),
    ],
    ids=["octets behind", "attribute too long", "attribute far too long", "cut off", "odd length"],
)
def test_lengths_that_do_not_fit_are_refused(message: bytes) -> None:
    assert is_stun(message)
    with pytest.raises(StunError):
        stun_answer(message, SOURCE)


def test_an_answer_is_hardly_longer_than_its_question() -> None:
    for message in (stun(), stun(*[attribute(0x7F00 + number) for number in range(200)])):
        assert len(stun_answer(message, ("2001:db8::1", 5060))) < len(message) + 40


def test_without_the_cookie_it_is_not_ours() -> None:
    assert not is_stun(b"\x00\x01\x00\x00" + bytes(16))  # as in RFC 3489, obsolete since 2008
    assert not is_stun(stun()[:19])


# --- credentials

PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"  # that of RFC 5769


def test_the_sample_request_proves_its_password_and_no_other() -> None:
    request = read_stun(SAMPLE_REQUEST)
    assert request.attributes[USERNAME] == b"evtj:h6vY"
    assert request.proves(PASSWORD)
    assert not request.proves(b"another")
    assert not read_stun(stun()).proves(PASSWORD)


def test_no_octet_of_a_proven_message_can_be_changed() -> None:
    proven = SAMPLE_REQUEST[:-8]  # without FINGERPRINT, whose check comes first
    proven = proven[:2] + (len(proven) - 20).to_bytes(2) + proven[4:]
    assert read_stun(proven).proves(PASSWORD)
    for index in (0, 1, 8, 19, 24, 40, len(proven) - 1):
        forged = bytearray(proven)
        forged[index] ^= 1
        assert not read_stun(bytes(forged)).proves(PASSWORD)


def test_what_follows_the_proof_is_passed_over() -> None:
    username = attribute(USERNAME, b"late")
    message = stun(attribute(0x0008, bytes(20)), username, attribute(0x0025))
    assert USERNAME not in read_stun(message).attributes
    assert read_stun(message).unknown == ()


def test_a_proof_cut_short_proves_nothing() -> None:
    for size in (0, 4, 16, 19, 24):
        assert not read_stun(stun(attribute(0x0008, bytes(size)))).proves(PASSWORD)


def test_answers_are_proven_as_requests_are() -> None:
    request = read_stun(SAMPLE_REQUEST)
    for answer in (stun_success(request, SOURCE, PASSWORD), stun_error(request, 487, PASSWORD)):
        assert read_stun(answer).proves(PASSWORD)
        assert read_stun(answer).fingerprint
        assert not read_stun(answer).proves(PASSWORD + b"x")
    assert attributes(stun_error(request, 401))[0x0009] == b"\0\0\x04\x01Unauthenticated"
