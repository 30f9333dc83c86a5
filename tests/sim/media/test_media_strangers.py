"""Latching races and strangers: who is believed is decided packet by packet, once, and for nobody else."""

from __future__ import annotations

import pytest

from engine.boundary import Address
from engine.media.rules import MediaPacket, Port
from engine.notes import MediaEnded, MediaFound, MediaSilent
from sim.build import parts
from sim.media import Heard, MediaPlane
from sim.run import world_of
from sim.trace import NoteRecord
from sim.world import World
from tests.sim.media.conversations import call, deployment

STRANGER = "203.0.113.66"
RTP = bytes((0x80, 0)) + bytes(10) + bytes(160)


class Street:
    """The deployment's world with a stranger in it, and what was told."""

    def __init__(self, *faults: str, **settings: str) -> None:
        topology = deployment(*faults, **settings)
        scenario = topology.scenario()
        self.world: World = world_of(topology, parts(topology, scenario, duration_s=60.0), scenario, seed=3)
        self.notes: list[NoteRecord] = []
        self.world.trace.listen(None, self.notes.append)
        self.world.network.addresses.settle(STRANGER, "stranger")
        media = self.world.network.media
        assert media is not None
        self.media: MediaPlane = media

    def sprays(
        self, at_s: float, until_s: float, every_s: float, targets: list[Address], data: bytes = RTP
    ) -> None:
        """The stranger sends to media ports, at even distances."""
        steps = round((until_s - at_s) / every_s)
        for step in range(steps):
            for target in targets:
                self.world.network.later(
                    at_s - self.world.now + step * every_s,
                    self.media.inject,
                    "stranger",
                    (STRANGER, 6_666),
                    target,
                    data,
                )

    def found(self) -> dict[str, str]:
        """Whom the relay believes, by side, in the first call."""
        notes = [record.note for record in self.notes if isinstance(record.note, MediaFound)]
        first = notes[0].call_id
        return {note.side: note.source for note in notes if note.call_id == first}

    def heard(self) -> list[Heard]:
        return [record.note for record in self.notes if isinstance(record.note, Heard)]

    def dropped(self) -> int:
        return sum(record.note.dropped for record in self.notes if isinstance(record.note, MediaEnded))


def ports() -> list[Address]:
    """Every port that the relay may take outside."""
    return [("127.0.0.1", port) for port in range(30_000, 30_020)]


NARROW = {"relay": "{interfaces: {out: {host: 127.0.0.1, ports: 30000-30019}, in: {host: 127.0.0.2}}}"}


@pytest.mark.parametrize("caller", ["softphones/1010", "browsers/1000"])
def test_a_stranger_who_floods_every_port_is_never_heard(caller: str) -> None:
    quiet = Street(call(caller, "9196"), **NARROW)
    loud = Street(call(caller, "9196"), **NARROW)
    loud.sprays(6.0, 16.0, 0.25, ports())
    for street in (quiet, loud):
        street.world.run(60.0)
        street.world.finish({})
    assert loud.found() == quiet.found()
    assert [(row.listener, row.packets) for row in loud.heard()] == [
        (row.listener, row.packets) for row in quiet.heard()
    ]
    assert len(loud.heard()) == 2


def test_a_stranger_who_is_first_does_not_get_the_port_of_who_is_expected() -> None:
    street = Street(call("softphones/1010", "9196"), **NARROW)
    street.sprays(4.9, 6.0, 0.01, ports())  # before the answer, and during the race
    street.world.run(60.0)
    assert street.found()["caller"].startswith("127.0.3.1:")  # the softphone, behind its NAT


def test_who_was_expected_locks_with_its_first_packet_and_hears_at_once() -> None:
    street = Street(call("softphones/1010", "9196"))
    street.world.run(60.0)
    street.world.finish({})
    (row,) = [each for each in street.heard() if each.listener == "1010"]
    assert row.after_s is not None
    assert row.after_s < 2 * 0.030 + 3 * 0.020 + 0.010  # there and back, behind the packets that opened the way


def test_a_shower_of_forged_checks_disturbs_no_call() -> None:
    street = Street(call("browsers/1000", "1001"), **NARROW)
    forged = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
    street.sprays(5.0, 16.0, 0.2, ports(), forged)
    street.sprays(5.0, 16.0, 0.2, ports(), b"\x16\xfe\xff" + bytes(60))  # a ClientHello
    street.world.run(60.0)
    street.world.finish({})
    rows = [row for row in street.heard() if row.listener in ("1000", "1001")]
    assert {(row.listener, row.speaker) for row in rows} == {("1000", "1001"), ("1001", "1000")}
    assert all((row.gaps, row.lost) == (0, 0) for row in rows)


def test_a_port_at_rest_reaches_nobody() -> None:
    street = Street(call("softphones/1010", "9196", hold_s=5), **NARROW)
    street.world.run(12.0)
    assert street.media.bound("edge1") == street.media.rules("edge1") == 0
    edge = street.world.hosts["edge1"]
    edge.receive(MediaPacket(Port("out", 30_000), (STRANGER, 1), RTP))
    street.world.run(13.0)
    assert street.media.talking == 0


def test_a_source_that_its_nat_has_moved_is_found_again_with_the_next_offer_and_not_before() -> None:
    street = Street(
        call("softphones/1010", "9196", hold_s=40),
        "at_s: 15, kind: reboot, target: home",  # the mapping is gone: its packets come from another port now
        "at_s: 30, kind: hold, target: softphones/1010",
        "at_s: 31, kind: retrieve, target: softphones/1010",
        **{"preset: home_gateway": "preset: symmetric"},
    )
    street.world.run(60.0)
    street.world.finish({})
    sources = [note.note.source for note in street.notes if isinstance(note.note, MediaFound)]
    first, *later = [source for source in sources if source.startswith("127.0.3.1:")]
    assert later
    assert first not in later
    (row,) = [each for each in street.heard() if each.listener == "FS1"]
    assert row.longest_gap_s == pytest.approx(15.0, abs=0.5)
    silent = [record for record in street.notes if isinstance(record.note, MediaSilent)]
    assert [(record.note.side, record.note.began) for record in silent][:1] == [("caller", True)]
    assert silent[0].time_s < 15.0 + 5.0 + 5.0 + 0.5
