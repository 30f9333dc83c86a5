"""The command line, as its user meets it: what it prints, where it writes, and how it says no."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab.cli.app import app

GOOD = """
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}}}
nodes: {FS1: {host: 127.0.1.1, resources: pstn=100}, FS2: {host: 127.0.1.2, resources: pstn=100}}
clients: {callers: {host: 127.0.2.1}}
scenarios:
  death:
    duration_s: 6
    traffic: [{from: callers, to: 9196, rate_per_s: 20, hold_s: 0.5}]
    faults: [{at_s: 2, kind: freeze, target: FS1}]
"""

Run = Callable[..., Result]


@pytest.fixture
def siptwin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return run


def refused(result: Result) -> str:
    """The one line of a refusal."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output + result.stderr


class TestSimulate:
    def test_tells_and_writes_what_happened(self, siptwin: Run, tmp_path: Path) -> None:
        result = siptwin("simulate", "good.yaml", "--out", "here")
        assert result.exit_code == 0, result.output
        for words in ("offered", "failed over", "Set-up delay", "share", "checkers: all silent"):
            assert words in result.output
        written = {path.name for path in (tmp_path / "here").iterdir()}
        assert written >= {"calls.csv", "attempts.csv", "decisions.csv", "node_states.csv", "summary.json"}
        assert written >= {"timeline.png", "ladder.png", "ladder.txt"}
        assert "failed over to another node" in (tmp_path / "here" / "ladder.txt").read_text()

    def test_one_seed_one_summary(self, siptwin: Run) -> None:
        first = siptwin("simulate", "good.yaml", "--json", "--no-pictures", "--seed", "5")
        again = siptwin("simulate", "good.yaml", "--json", "--no-pictures", "--seed", "5")
        other = siptwin("simulate", "good.yaml", "--json", "--no-pictures", "--seed", "6")
        hashes = [json.loads(result.stdout)["trace_hash"] for result in (first, again, other)]
        assert hashes[0] == hashes[1] != hashes[2]

    def test_a_policy_that_raises_fails_its_calls_alone(self, siptwin: Run, tmp_path: Path) -> None:
        (tmp_path / "odd.py").write_text(
            "from engine.policies.least_loaded import LeastLoaded\n"
            "class Odd(LeastLoaded):\n"
            "    async def invite(self, call):\n"
            "        if int(call.call_id[1:7]) % 2:\n"
            "            raise KeyError('odd')\n"
            "        await super().invite(call)\n"
        )
        result = siptwin("simulate", "good.yaml", "--policy", "odd.py", "--json", "--no-pictures")
        assert result.exit_code == 0, result.output
        calls = json.loads(result.stdout)["calls"]
        assert calls["failed"] == pytest.approx(calls["offered"] / 2, abs=1)
        assert calls["answered"] == calls["offered"] - calls["failed"]

    def test_exit_1_when_a_checker_speaks(self, siptwin: Run, tmp_path: Path) -> None:
        (tmp_path / "liar.py").write_text(
            "from engine.policies.seed import Seed\nclass Liar(Seed):\n    honours_health = True\n"
        )
        (tmp_path / "bad.yaml").write_text(GOOD.replace("freeze", "kill"))
        result = siptwin("simulate", "bad.yaml", "--policy", "liar.py", "--no-pictures")
        assert result.exit_code == 1, result.output


class TestBadInput:
    @pytest.mark.parametrize("command", ["simulate", "rehearse", "serve", "check"])
    def test_no_such_topology(self, siptwin: Run, command: str) -> None:
        assert "nowhere.yaml" in refused(siptwin(command, "nowhere.yaml"))

    @pytest.mark.parametrize("command", ["simulate", "rehearse", "serve", "check"])
    def test_a_mistake_is_told_by_file_and_line(self, siptwin: Run, tmp_path: Path, command: str) -> None:
        (tmp_path / "typo.yaml").write_text(GOOD.replace("rate_per_s", "rat_per_s"))
        text = refused(siptwin(command, "typo.yaml"))
        assert "typo.yaml:8" in text
        assert "rate_per_s" in text

    @pytest.mark.parametrize("command", ["simulate", "rehearse", "serve"])
    def test_unknown_policy(self, siptwin: Run, command: str) -> None:
        assert "least_loaded" in refused(siptwin(command, "good.yaml", "--policy", "lest_loaded"))

    def test_unknown_scenario(self, siptwin: Run) -> None:
        assert "death" in refused(siptwin("simulate", "good.yaml", "--scenario", "deth"))

    def test_a_node_name_that_does_not_resolve(self, siptwin: Run, tmp_path: Path) -> None:
        (tmp_path / "name.yaml").write_text(GOOD.replace("127.0.1.1", "fs1.invalid"))
        assert "fs1.invalid" in refused(siptwin("serve", "name.yaml"))

    def test_a_port_in_use(self, siptwin: Run, tmp_path: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            (tmp_path / "taken.yaml").write_text(
                GOOD.replace("{host: 127.0.0.1}", f"{{host: 127.0.0.1, port: {port}}}")
            )
            assert str(port) in refused(siptwin("serve", "taken.yaml", "--control", str(tmp_path / "control")))

    def test_no_edge_to_ask(self, siptwin: Run, tmp_path: Path) -> None:
        assert "serve" in refused(siptwin("nodes", "list", "--control", str(tmp_path / "nobody")))


class TestCheck:
    def test_a_sound_file(self, siptwin: Run) -> None:
        result = siptwin("check", "good.yaml")
        assert result.exit_code in (0, 1), result.output
        assert "edge1" in result.output

    def test_packaged_files_are_sound(self, siptwin: Run) -> None:
        for name in ("seed", "two_edges"):
            assert siptwin("check", name).exit_code == 0


def test_help_names_every_command(siptwin: Run) -> None:
    output = siptwin("--help").output
    for command in ("simulate", "rehearse", "serve", "check", "nodes"):
        assert command in output
