"""Two agents whose node is gone, with media at rtpengines: each gets the other's packets, and is told nothing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from engine.boundary import Address
from engine.media.codecs import CodecPolicy, read_codecs
from engine.media.ng.wire import read_message
from engine.media.offer_answer import SIDES, Side
from engine.media.profiles import PROFILE_OF_KIND, Kind
from engine.media.sdp import parse
from engine.media.sdp.attributes import RECVONLY, SENDRECV
from engine.notes import MediaNotJoined
from engine.sip.errors import SipError
from tests.engine.media.ng.relaying import SETTINGS, Call, Modelled, Real, Relaying, Server
from tests.engine.media.ng.speakers import Speaker, speakers
from tests.engine.media.ng.test_ng_relay import process, server
from tests.engine.media.relay import ANSWERS, NODE, OFFERS, read
from tests.engine.media.written import BARESIP, BROWSER_ANSWER, SDES
from tests.live.peers import rtpengine

__all__ = ["process", "server"]  # fixtures


def leg(world: Relaying, agent: Kind, side: Side, said: bytes = b"") -> tuple[Call, bytes]:
    """A call of an agent with a node, and what the agent is told in it."""
    parties: tuple[Kind, Kind] = (agent, "node") if side == "caller" else ("node", agent)
    call = world.open(*parties)
    if side == "caller":
        call.told("> INVITE 1", said or OFFERS[agent])
        return call, call.told("< 200 INVITE 1", NODE)
    told = call.told("> INVITE 1", NODE)
    call.told("< 200 INVITE 1", keyed(said, told) if said.count(b"a=crypto") else said or answering(agent, told))
    return call, told


def keyed(said: bytes, told: bytes) -> bytes:
    """An answer with one key, under the tag of its suite in the offer."""
    theirs = read(said).crypto[0]
    (tag,) = [crypto.tag for crypto in read(told).crypto if crypto.suite == theirs.suite]
    lines = [line for line in said.split(b"\r\n") if not line.startswith(b"a=crypto")]
    lines.insert(-1, b"a=crypto:" + bytes(theirs._replace(tag=tag)))
    return b"\r\n".join(lines)


def answering(agent: Kind, told: bytes) -> bytes:
    """An agent's answer, with the number for events that it was offered."""
    events = next(codec for codec in read_codecs(parse(told).media[0]) if codec.name == b"telephone-event")
    text = ANSWERS[agent].replace(b" 101", b" %d" % events.payload_type)
    return text.replace(b":101 ", b":%d " % events.payload_type)


@pytest.mark.parametrize("second", ["softphone", "browser"])
@pytest.mark.parametrize("first", ["softphone", "browser"])
def test_nothing_changes_towards_the_agents(server: Server, first: Kind, second: Kind) -> None:
    """Address, keys, ICE names and DTLS' part stay what each was told."""
    world = Relaying(server)
    (one, told_one), (other, told_other) = leg(world, first, "caller"), leg(world, second, "callee")
    world.join(one, "caller", other, "callee")
    assert world.of(MediaNotJoined) == []
    for told, reply in zip((told_one, told_other), world.replies[-2:], strict=True):
        before, after = read(told), read(read_message(reply).text(b"sdp"))
        assert after.address == before.address
        assert after.ice == before.ice
        assert after.fingerprints == before.fingerprints
        assert after.crypto == before.crypto
        assert after.setup == ("passive" if before.setup == "actpass" else before.setup)


@pytest.mark.parametrize("side", SIDES)
def test_keys_of_a_softphone_stay(server: Server, side: Side) -> None:
    settings = replace(SETTINGS, profiles=PROFILE_OF_KIND | {"softphone": "srtp"})
    world = Relaying(server, settings=settings)
    one, told = leg(world, "softphone", side, SDES)
    other, _ = leg(world, "browser", "callee")
    world.join(one, side, other, "callee")
    (after,) = read(read_message(world.replies[-2]).text(b"sdp")).crypto
    assert after in read(told).crypto


def test_hold_and_resume_are_answered_in_the_name_of_the_other_agent(server: Server) -> None:
    world = Relaying(server)
    (one, told), (other, _) = leg(world, "softphone", "caller"), leg(world, "browser", "callee")
    joined = world.join(one, "caller", other, "callee")
    for direction, expected in ((b"sendonly", RECVONLY), (b"sendrecv", SENDRECV)):
        answers: list[bytes | SipError] = []
        offer = BARESIP.replace(b"a=sendrecv", b"a=" + direction)
        joined.answer("caller", offer, lambda answer, _: answers.append(answer), world.now)  # noqa: B023
        world.settle()
        (answer,) = answers
        assert isinstance(answer, bytes)
        assert read(answer).direction == expected
        assert read(answer).address == read(told).address
        assert answer != told


def test_what_can_not_go_on_is_refused_and_changes_nothing() -> None:
    world = Relaying(Modelled())
    (one, _), (other, _) = leg(world, "softphone", "caller"), leg(world, "softphone", "callee")
    joined = world.join(one, "caller", other, "callee")
    asked = len(world.orders)
    for offer in (BARESIP.replace(b"m=audio 16906", b"m=audio 0"), b"nonsense"):
        answers: list[bytes | SipError] = []
        joined.answer("caller", offer, lambda answer, _: answers.append(answer), world.now)  # noqa: B023
        assert isinstance(answers[0], SipError)
    assert len(world.orders) == asked


def test_an_offer_to_an_agent_says_what_it_was_told_and_its_answer_is_passed_on(server: Server) -> None:
    world = Relaying(server)
    (one, told), (other, _) = leg(world, "browser", "caller"), leg(world, "browser", "callee")
    joined = world.join(one, "caller", other, "callee")
    offered = read(joined.offer("caller", world.now))
    assert (offered.address, offered.ice) == (read(told).address, read(told).ice)
    asked = len(world.orders)
    joined.answered("caller", BROWSER_ANSWER, world.now)
    world.settle()
    assert len(world.orders) > asked
    assert world.of(MediaNotJoined) == []


def test_the_end_gives_both_calls_back() -> None:
    one_server, two_server = Modelled(1), Modelled(2)
    world = Relaying(one_server, two_server)
    (one, _), (other, _) = leg(world, "softphone", "caller"), leg(world, "softphone", "callee")
    assert {one.media.home, other.media.home} == {"rtp1", "rtp2"}
    joined = world.join(one, "caller", other, "callee")
    for call in (one, other):  # the dialogs with the node are over
        call.release()
    assert one_server.machine.calls + two_server.machine.calls == 2
    joined.release(world.now)
    world.settle()
    assert one_server.machine.calls + two_server.machine.calls == len(world.relay) == 0


def test_an_rtpengine_that_refuses_is_told_of() -> None:
    one_server = Modelled()
    world = Relaying(one_server)
    (one, _), (other, _) = leg(world, "softphone", "caller"), leg(world, "softphone", "callee")
    one.release_at_server()
    world.dead = {one_server.address}
    one.media.join("caller", other.media, "callee", world.now)
    world.run(3.0)
    assert {note.why for note in world.of(MediaNotJoined)} == {"no answer in time"}  # type: ignore[attr-defined]


def test_calls_at_no_rtpengine_are_not_joined() -> None:
    world = Relaying(Modelled())
    (one, _), (other, _) = leg(world, "softphone", "caller"), leg(world, "softphone", "callee")
    world.relay.lost(one.media, world.now)
    with pytest.raises(SipError):
        one.media.join("caller", other.media, "callee", world.now)


# --- by sound, through rtpengine itself -----------------------------------------------------------------------


def speaking(speaker: Speaker, *payload_types: int) -> bytes:
    numbers = b" ".join(b"%d" % number for number in payload_types)
    return speaker.description().replace(b"RTP/AVP 0", b"RTP/AVP " + numbers)


@pytest.mark.parametrize(
    ("one_speaks", "other_speaks"), [((0,), (0,)), ((8,), (8, 0)), ((0,), (8,)), ((9,), (8,))]
)
def test_they_hear_each_other(
    process: rtpengine.Rtpengine, one_speaks: tuple[int, ...], other_speaks: tuple[int, ...]
) -> None:
    """Also where the node has transcoded between them."""
    codecs = CodecPolicy(transcode="always")
    with ExitStack() as stack:
        servers = Real(process), Real(process)
        for each in servers:
            stack.callback(each.close)
        world = Relaying(servers[0], settings=replace(SETTINGS, codecs=codecs))
        a, b = stack.enter_context(speakers("127.3.1.1", "127.3.1.2"))
        one, told_a = leg(world, "softphone", "caller", speaking(a, *one_speaks))
        other, told_b = leg(world, "softphone", "callee", speaking(b, *other_speaks))
        world.join(one, "caller", other, "callee")
        assert world.of(MediaNotJoined) == []
        to_a, to_b = read(told_a).address, read(told_b).address
        assert to_a is not None
        assert to_b is not None
        for speaker, listener, target, spoken, expected in (
            (a, b, to_a, one_speaks[0], other_speaks[0]),
            (b, a, to_b, other_speaks[0], one_speaks[0]),
        ):
            listener.rtp.settimeout(0.05)
            assert heard(speaker, listener, target, spoken) == expected
        one.release()
        other.release()


def heard(speaker: Speaker, listener: Speaker, target: Address, spoken: int) -> int:
    """The payload type in which a speaker is heard."""
    for number in range(200):
        speaker.speaks(number, target, spoken)
        try:
            packet = listener.rtp.recv(2_000)
        except TimeoutError:
            continue
        return packet[1] & 0x7F
    raise AssertionError("nothing was heard")
