"""The WebRTC end of a modelled agent: two come together; where they don't, each says how far it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from engine.boundary import Address
from engine.live.relay.certificate import Certificate, new_certificate
from engine.live.relay.dtls import new_context
from engine.media.ice import CONSENT_S, IceAgent
from engine.media.packets import packet_kind
from engine.media.sdp.attributes import Fingerprint, IceNames
from engine.media.targets import Targets
from lab.rehearsal.webrtc import WebRtc
from sim.agents.media import Talking, talking

A, B = ("192.0.2.1", 4000), ("192.0.2.2", 4000)
RTP = b"\x80\x00\x00\x01" + bytes(8) + b"speech"


def description(
    at: Address, certificate: Fingerprint, setup: str, names: IceNames, candidate: bool = True
) -> bytes:
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {at[0]}",
        "s=-",
        f"c=IN IP4 {at[0]}",
        "t=0 0",
        f"m=audio {at[1]} UDP/TLS/RTP/SAVPF 0",
        "a=rtcp-mux",
        f"a=ice-ufrag:{names.ufrag.decode()}",
        f"a=ice-pwd:{names.password.decode()}",
        f"a=setup:{setup}",
        f"a=fingerprint:{bytes(certificate).decode()}",
    ]
    if candidate:
        lines.append(f"a=candidate:1 1 udp 2130706431 {at[0]} {at[1]} typ host")
    return ("\r\n".join(lines) + "\r\n").encode()


def _as_it_is(told: Talking) -> Talking:
    return told


class Pair:
    """Two ends and a wire without delay."""

    def __init__(
        self, change: Callable[[Talking], Talking] = lambda each: each, *, candidates: bool = True
    ) -> None:
        self.now = 0.0
        self.certificates = (new_certificate(), new_certificate())
        names = (IceNames(b"aaaa", b"a" * 24), IceNames(b"bbbb", b"b" * 24))
        offer = description(A, self.certificates[0].fingerprint, "actpass", names[0], candidates)
        answer = description(B, self.certificates[1].fingerprint, "active", names[1], candidates)
        one, two = talking("c", "one", offer, answer), talking("c", "two", answer, offer)
        assert one is not None
        assert two is not None
        self.talks = {A: change(one), B: change(two)}
        self.ends = {A: self._end(A, self.certificates[0]), B: self._end(B, self.certificates[1])}
        self.heard: dict[Address, list[bytes]] = {A: [], B: []}
        self.lost: Callable[[bytes, Address], bool] = lambda data, target: False

    def _end(self, at: Address, certificate: Certificate) -> WebRtc:
        return WebRtc(new_context(certificate), self.talks[at], Random(at[0]), self.now)

    def carry(self, source: Address, packets: list[tuple[bytes, Address]]) -> None:
        for data, target in packets:
            if target not in self.ends or self.lost(data, target):
                continue
            opened = self.ends[target].receive(data, source, self.now)
            if opened.rtp is not None:
                self.heard[target].append(opened.rtp)
            self.carry(target, opened.replies)

    def run(self, seconds: float) -> None:
        end_s = self.now + seconds
        while (due := min(each.deadline for each in self.ends.values())) <= end_s:
            self.now = max(due, self.now)
            for at, each in self.ends.items():
                if each.deadline <= self.now:
                    self.carry(at, each.tick(self.now))
        self.now = end_s

    def speak(self) -> None:
        for at, each in self.ends.items():
            packet = each.protect(RTP)
            self.carry(at, [] if packet is None else [packet])


def test_two_ends_hear_each_other_and_nobody_reads_along() -> None:
    pair = Pair()
    pair.run(1.0)
    assert all(each.told().done for each in pair.ends.values())
    packet = pair.ends[A].protect(RTP)
    assert packet is not None
    assert b"speech" not in packet[0]
    assert packet[1] == B
    pair.speak()
    assert pair.heard == {A: [RTP], B: [RTP]}


def test_consent_is_asked_for_as_long_as_the_call_lasts() -> None:
    pair = Pair()
    pair.run(1.0)
    asked = 0

    def count(source: Address, packets: list[tuple[bytes, Address]]) -> None:
        nonlocal asked
        asked += len(packets)

    pair.carry = count  # type: ignore[method-assign]
    pair.run(60.0)
    assert asked == pytest.approx(24, abs=2)  # both, each five seconds


def test_a_new_agreement_of_the_same_names_keeps_the_keys() -> None:
    pair = Pair()
    pair.run(1.0)
    pair.ends[A].change(pair.talks[A], pair.now)
    pair.speak()
    assert pair.heard[B] == [RTP]


def with_certificate_of(told: Talking, certificate: Certificate) -> Talking:
    return replace(told, remote=told.remote._replace(fingerprints=(certificate.fingerprint,)))


@pytest.mark.parametrize(("changes", "other"), [(A, B), (B, A)], ids=["of the server", "of the client"])
def test_another_certificate_makes_another_association(changes: Address, other: Address) -> None:
    """Also where the client, which is to begin it, has had its pair for long."""
    pair = Pair()
    pair.run(1.0)
    certificate = new_certificate()
    pair.ends[changes] = WebRtc(new_context(certificate), pair.talks[changes], Random(3), pair.now)
    pair.ends[other].change(with_certificate_of(pair.talks[other], certificate), pair.now)
    pair.run(3.0)
    assert {each.told().dtls for each in pair.ends.values()} == {"done"}
    pair.speak()
    assert pair.heard == {A: [RTP], B: [RTP]}


@pytest.mark.parametrize("waiting", [A, B], ids=["server", "client"])
def test_another_certificate_in_the_midst_of_a_hand_shake_does_not_keep_who_waits_busy(waiting: Address) -> None:
    pair = Pair()
    pair.lost = lambda data, target: target != waiting and packet_kind(data) == "dtls"
    pair.run(0.5)
    end = pair.ends[waiting]
    assert end.deadline < 2.0  # the hand-shake is said again
    end.change(with_certificate_of(pair.talks[waiting], new_certificate()), pair.now)
    now = pair.now
    for _ in range(5):
        now = max(now, end.deadline)
        end.tick(now)
        assert end.deadline > now


def test_other_names_restart_ice_and_keep_the_association() -> None:
    pair = Pair()
    pair.run(1.0)
    names = IceNames(b"cccc", b"c" * 24)
    one, two = pair.talks[A], pair.talks[B]
    pair.ends[A].change(replace(one, remote=one.remote._replace(ice=names)), pair.now)
    assert pair.ends[A].protect(RTP) is None
    pair.ends[B].change(replace(two, own=two.own._replace(ice=names)), pair.now)
    pair.run(1.0)
    pair.speak()
    assert pair.heard[B] == [RTP]


def test_without_candidates_it_says_so() -> None:
    pair = Pair(candidates=False)
    pair.run(CONSENT_S)
    assert pair.ends[A].told().ice == "no candidates"
    assert pair.ends[A].told().dtls == ""


def test_where_nobody_answers_it_says_so_and_ends_asking() -> None:
    pair = Pair()
    del pair.ends[B]
    pair.run(CONSENT_S + 1.0)
    told = pair.ends[A].told()
    assert (told.ice, told.peers) == ("no answer", ("192.0.2.2:4000",))
    assert pair.ends[A].deadline == float("inf")


def test_a_relay_that_knows_another_password_is_quoted() -> None:
    pair = Pair()
    lite = IceAgent(IceNames(b"bbbb", b"x" * 24), Targets())
    ((data, target),) = pair.ends[A].tick(0.0)
    pair.ends[A].receive(lite.receive(data, A, 0.0).reply, target, 0.0)
    assert pair.ends[A].told().ice == "401"


def test_an_answer_from_elsewhere_proves_nothing() -> None:
    pair = Pair()
    (check,) = pair.ends[A].tick(0.0)
    ((reply, _),) = pair.ends[B].receive(check[0], A, 0.0).replies
    pair.ends[A].receive(reply, ("192.0.2.9", 4000), 0.0)
    assert pair.ends[A].told().ice == "no answer"


def test_a_foreign_certificate_is_told_from_a_silent_peer() -> None:
    foreign = new_certificate().fingerprint

    def other(told: Talking) -> Talking:
        return replace(told, remote=told.remote._replace(fingerprints=(foreign,)))

    pair = Pair(other)
    pair.run(1.0)
    assert {each.told().dtls for each in pair.ends.values()} == {"certificate"}
    pair.speak()
    assert pair.heard == {A: [], B: []}


def test_packets_that_the_keys_do_not_open_are_counted() -> None:
    pair = Pair()
    pair.run(1.0)
    assert pair.ends[A].receive(RTP + bytes(10), B, pair.now).rtp is None
    assert pair.ends[A].told().unread == 1


def test_rtp_from_a_stranger_is_not_looked_at() -> None:
    pair = Pair()
    pair.run(1.0)
    packet = pair.ends[B].protect(RTP)
    assert packet is not None
    assert pair.ends[A].receive(packet[0], ("192.0.2.9", 4000), pair.now).rtp is None
    assert pair.ends[A].told().unread == 0
