"""A recording is played again: with the same policy the same story, with another one another story."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import pack
from time import time

import pytest
from typer.testing import CliRunner

from lab.cli.app import app
from lab.errors import InputError
from lab.rehearsal import rehearse_topology
from lab.simulation import run_simulation
from lab.twin import Recording, read_capture, recording_of, replay, write_capture
from tests.lab.small import topology as small
from tests.lab.twin.office import office
from topologies import Topology, parse


def recorded(
    topology: Topology, policy: str | None = None, scenario: str | None = None, seed: int = 0
) -> Recording:
    run = run_simulation(topology, policy=policy, scenario=scenario, messages=True, seed=seed)
    return recording_of(run.messages, "recording")


class TestTheSameStory:
    def test_of_phones_browsers_challenges_and_calls_by_nodes(self) -> None:
        """Registrations, digests, calls between agents through the nodes, a number unknown, an originated call."""
        played = replay(recorded(office()), office())
        assert played.comparison.differing().empty, played.comparison.differing()
        assert len(played.comparison.steps) > 150
        assert played.comparison.steps["later_s"].abs().max() < 0.01
        assert played.calls["recorded_outcome"].tolist() == played.calls["replayed_outcome"].tolist()
        assert sorted(played.calls["recorded_status"]) == [200, 200, 200, 404]
        assert not played.report.outcome.violations
        assert played.left_out == 0

    def test_of_callers_who_give_up(self) -> None:
        faults = [{"at_s": 1.0, "kind": "call", "target": "phones/1002", "to": "9196", "hold_s": 1}]
        faults += [{"at_s": 2.5, "kind": "hangup", "target": "phones/1002"}]
        plain = office().model_dump(mode="json", by_alias=True)
        for node in plain["nodes"].values():
            node["model"].update(answer_delay_s=9, auth=False)
        plain["scenarios"]["day"]["faults"] = faults
        giving_up = Topology.model_validate(plain)
        played = replay(recorded(giving_up), giving_up)
        assert played.calls["recorded_outcome"].tolist() == ["gave up"]
        assert played.comparison.differing().empty
        assert played.calls["replayed_outcome"].tolist() == ["gave up"]

    def test_of_a_node_that_dies(self) -> None:
        """FS1 freezes; the policy `seed` lets each call run into it for two seconds."""
        played = replay(recorded(small(), policy="seed"), small(), policy="seed")
        (absence,) = played.absences
        assert (absence.node, absence.killed, absence.back_s) == ("FS1", False, None)
        assert absence.gone_s == pytest.approx(1.5, abs=0.5)
        assert (played.calls["recorded_attempts"] > 1).sum() > 3
        assert played.calls["recorded_attempts"].tolist() == played.calls["replayed_attempts"].tolist()
        assert played.comparison.same_share > 0.98


class TestAnotherStory:
    def test_with_another_policy_callers_wait_less(self) -> None:
        recording = recorded(small(), policy="seed")
        then = replay(recording, small(), policy="seed").calls
        now = replay(recording, small(), policy="least_loaded").calls
        assert (then["replayed_setup_s"] > 1.9).sum() > 3
        assert (now["replayed_setup_s"] > 1.9).sum() == 0
        assert now["recorded_setup_s"].equals(then["recorded_setup_s"])

    def test_with_other_timers_they_wait_for_as_long_as_those_say(self) -> None:
        recording = recorded(small(), policy="seed")
        settings = {"edges.edge1.policy": {"use": "seed", "options": {"fr_timer_s": 1.0}}}
        played = replay(recording, small(), settings=settings)
        over = played.calls.query("recorded_attempts > 1 and replayed_attempts > 1")
        assert len(over) > 2
        assert over["recorded_setup_s"].mean() == pytest.approx(2.0, abs=0.05)
        assert over["replayed_setup_s"].mean() == pytest.approx(1.0, abs=0.05)

    def test_and_without_the_death_nobody_fails_over(self) -> None:
        played = replay(recorded(small(), policy="seed"), small(), policy="seed", faults="none")
        assert (played.calls["replayed_attempts"] == 1).all()

    def test_a_killed_node_is_told_from_a_frozen_one_by_icmp(self) -> None:
        text = small().to_yaml().replace("kind: freeze", "kind: kill")
        killed = parse(text.encode(), "killed")
        (absence,) = replay(recorded(killed, policy="seed"), killed, policy="seed").absences
        assert absence.killed

    def test_what_began_before_the_recording_is_left_out_and_counted(self) -> None:
        whole = recorded(small(), scenario="quiet")
        late = Recording("late", whole.messages[40:])
        played = replay(late, small())
        assert played.left_out > 0
        assert len(played.calls) < len(replay(whole, small()).calls)
        assert (played.calls["replayed_outcome"] == "answered").all()


class TestRealSockets:
    def test_a_capture_of_real_packets_is_played_again(self, tmp_path: Path) -> None:
        """UDP and WebSockets of a rehearsal, seen by the kernel's packet socket, as tcpdump sees them."""
        if os.geteuid() != 0:
            pytest.skip("packet sockets take root")
        with sniffing(tmp_path / "real.pcap") as path:
            outcome = rehearse_topology(office(), free_ports=True)
        played = replay(read_capture(path), outcome.topology)
        assert played.calls["recorded_outcome"].tolist() == ["answered", "answered", "answered", "failed"]
        assert played.calls["replayed_outcome"].tolist() == ["answered", "answered", "answered", "failed"]
        steps = played.comparison.steps
        lasting = steps[steps["one_s"].fillna(steps["other_s"]) < 4.5]  # the end was cut off
        assert (lasting["verdict"] == "same").all(), played.comparison.differing()
        assert len(lasting) > 130


@contextmanager
def sniffing(path: Path) -> Iterator[Path]:
    """What passes the loopback interface, as a pcap file; each packet once, as it comes in."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as seen:
        seen.bind(("lo", 0))
        seen.settimeout(0.2)
        seen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        packets: list[bytes] = []
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                with suppress(TimeoutError):
                    data, (_, _, kind, *_rest) = seen.recvfrom(65_536)
                    if kind != socket.PACKET_OUTGOING:
                        now_s = time()
                        packets.append(
                            pack("<IIII", int(now_s), int(now_s % 1 * 1e6), len(data), len(data)) + data
                        )

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield path
        finally:
            done.set()
            thread.join()
            path.write_bytes(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_536, 1) + b"".join(packets))


class TestCommand:
    def test_tells_then_and_now(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "small.yaml").write_text(small().to_yaml())
        run = CliRunner()
        made = run.invoke(
            app, ["simulate", "small.yaml", "-p", "seed", "--no-pictures", "--capture", "small.pcap"]
        )
        assert made.exit_code == 0, made.output
        told = run.invoke(app, ["replay", "small.pcap", "small.yaml", "--out", "here"])
        assert told.exit_code == 0, told.output
        for words in ("then", "now", "failed over", "FS1 was away from", "messages of"):
            assert words in told.output
        assert (tmp_path / "here" / "then_and_now.csv").is_file()
        assert (tmp_path / "here" / "comparison.png").read_bytes().startswith(b"\x89PNG")
        plain = run.invoke(app, ["replay", "small.pcap", "small.yaml", "--json", "--no-pictures", "-p", "seed"])
        figures = json.loads(plain.stdout)["figures"]
        assert figures["recorded"]["failed over"] == figures["replayed"]["failed over"] > 3

    def test_says_no_in_one_line(self, tmp_path: Path) -> None:
        path = write_capture(run_simulation(small(), messages=True).messages, tmp_path / "small.pcap")
        elsewhere = tmp_path / "elsewhere.yaml"
        elsewhere.write_text(small().to_yaml().replace("127.0.", "10.0."))
        for arguments, words in (
            ([str(path), str(elsewhere)], "no agent talks to an edge"),
            ([str(tmp_path / "nothing.pcap"), "single"], "cannot read"),
            ([str(elsewhere), "single"], "is no capture"),
        ):
            told = CliRunner().invoke(app, ["replay", *arguments])
            assert told.exit_code == 2
            assert words in told.stderr
            assert len(told.stderr.splitlines()) == 1


def test_bad_input() -> None:
    with pytest.raises(InputError, match="there are no faults 'some'"):
        replay(recorded(small(), scenario="quiet"), small(), faults="some")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="did you mean 'probe'"):
        replay(recorded(small(), scenario="quiet"), small(), settings={"edges.edge1.prob.interval_s": 1})
