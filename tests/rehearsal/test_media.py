"""Media in both worlds: simulated plane and real sockets tell who hears whom alike, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from pathlib import Path
from random import Random

from engine.boundary import Note
from engine.live.relay.certificate import new_certificate
from engine.notes import MediaEnded, MediaFailed, MediaFound
from lab.rehearsal import rehearse_topology
from lab.rehearsal.addresses import onto_loopback
from lab.rehearsal.stage import Stage
from lab.rehearsal.voices import Muted, Voices
from sim.agents.media import talking
from sim.agents.sdp import phone_description
from sim.build import parts
from sim.media import Heard
from sim.run import simulate
from sim.trace import NoteRecord, Trace
from topologies import parse

TOPOLOGY = b"""
description: Calls to an echo and between softphones, through the relay.
edges:
  edge1:
    interfaces: {agents: {host: 127.0.0.1}, inside: {host: 127.0.0.2}}
    relay: builtin
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=100, model: {trusts_edges: true, auth: false}}
clients:
  callers: {host: 127.0.2.1, users: 1010-1019}
  phones: {kind: softphone, host: 127.0.2.2, users: 1000-1001, answer_delay_s: 0.2}
scenarios:
  talk:
    duration_s: 5
    traffic:
      - from: callers
        to: 9196
        rate_per_s: 1
        arrivals: fixed
        hold_s: {distribution: fixed, mean: 1.5}
        calls: 2
    faults:
      - {at_s: 2, kind: call, target: phones/1000, to: 1001, hold_s: 2}
"""


def heard(notes: list[NoteRecord]) -> dict[tuple[str, str, int], Heard]:
    """The rows by listener and speaker, numbered where a pair has several."""
    found: dict[tuple[str, str, int], Heard] = {}
    for record in notes:
        note = record.note
        if isinstance(note, Heard):
            number = sum(key[:2] == (note.listener, note.speaker) for key in found)
            found[note.listener, note.speaker, number] = note
    return found


def test_both_worlds_hear_the_same() -> None:
    topology = parse(TOPOLOGY, shown="talk")
    run = simulate(topology, seed=3)
    outcome = rehearse_topology(topology, seed=3, free_ports=True)
    assert not run.violations
    assert not outcome.violations
    simulated, rehearsed = heard(run.notes), heard(list(outcome.notes))
    assert sorted(rehearsed) == sorted(simulated)
    for key, row in simulated.items():
        assert row.packets > 50
        assert rehearsed[key].packets > 25, key  # how many is a matter of how busy the machine is
    for notes in (run.notes, outcome.notes):
        told = [record.note for record in notes]
        assert not [note for note in told if isinstance(note, MediaFailed)]
        assert len([note for note in told if isinstance(note, MediaFound)]) == 8
        assert len([note for note in told if isinstance(note, MediaEnded)]) == 8


def test_browsers_are_heard_in_both_worlds() -> None:
    """By ICE and DTLS on real sockets, by what stands for them in virtual time."""
    text = TOPOLOGY.replace(
        b"inside: {host: 127.0.0.2}", b"inside: {host: 127.0.0.2}, web: {host: 127.0.0.1, transport: ws}"
    )
    text = text.replace(b"phones: {kind: softphone,", b"phones: {kind: browser, transport: ws, interface: web,")
    topology = parse(text, shown="browsers")
    run = simulate(topology, seed=3)
    outcome = rehearse_topology(topology, seed=3, free_ports=True)
    assert not outcome.violations
    simulated, rehearsed = heard(run.notes), heard(list(outcome.notes))
    assert {("1000", "1001", 0), ("1001", "1000", 0)} <= set(simulated)
    assert sorted(rehearsed) == sorted(simulated)
    for key, row in simulated.items():
        assert row.packets > 50
        assert rehearsed[key].packets > 25, key


def test_who_cannot_have_its_address_for_media_says_so() -> None:
    async def perform() -> list[tuple[str, Note]]:
        told: list[tuple[str, Note]] = []
        voices = Voices(lambda: 0.0, lambda place, note: told.append((place, note)), Random(1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            phone = phone_description("127.0.0.1", taken.getsockname()[1])
            talks = talking("call", "1000", phone, phone)
            assert talks is not None
            voices.on_note(NoteRecord(0.0, "phones/1000", talks))
            async with asyncio.timeout(10.0):
                while not told:
                    await asyncio.sleep(0.01)
            voices.close()
        return told

    (place, muted), _heard = asyncio.run(perform())
    assert place == "phones/1000"
    assert isinstance(muted, Muted)
    assert "in use" in muted.reason


def test_calls_leave_no_port_and_no_descriptor_behind(tmp_path: Path) -> None:
    busy = TOPOLOGY.replace(b"rate_per_s: 1", b"rate_per_s: 25").replace(
        b"mean: 1.5}\n        calls: 2", b"mean: 0.5}"
    )
    topology = onto_loopback(parse(busy, shown="busy"), private=True)
    certificates = {"edge1": new_certificate()}
    fingerprints = {"edge1": bytes(certificates["edge1"].fingerprint).decode()}
    cast = parts(topology, topology.scenario(), duration_s=2.0, fingerprints=fingerprints)
    stage = Stage(cast, 1, Trace(), tmp_path, certificates)

    async def perform() -> tuple[int, int, int, int]:
        await stage.open()
        try:
            plane = stage.host("edge1").plane
            assert plane is not None
            before = _descriptors()
            await asyncio.sleep(1.5)
            most = plane.stats().ports
            async with asyncio.timeout(20.0):
                while plane.stats().ports or stage.edges()["edge1"].relayed_calls() or not stage.idle:
                    await asyncio.sleep(0.05)
            gc.collect()
            return before, most, _descriptors(), plane.stats().ports
        finally:
            stage.close()

    before, most, after, left = asyncio.run(perform())
    assert most > 20
    assert left == 0
    assert after <= before


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
