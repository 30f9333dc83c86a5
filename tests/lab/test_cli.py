"""The command line, as its user meets it: what it prints, where it writes, and how it says no."""

from __future__ import annotations

import json
import re
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from typer.testing import CliRunner, Result

from engine.live.tls import read_tls
from lab.cli import errors
from lab.cli.app import app
from topologies import parse

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

    def test_single_values_can_be_replaced(self, siptwin: Run) -> None:
        settings = ("--set", "scenario.faults=[]", "--set", "scenario.traffic[0].rate_per_s=10")
        result = siptwin("simulate", "good.yaml", "--json", "--no-pictures", *settings)
        assert result.exit_code == 0, result.output
        summary = json.loads(result.stdout)
        assert summary["absences"] == []
        assert 30 <= summary["calls"]["offered"] <= 90

    def test_agents_have_figures_of_their_own(self, siptwin: Run) -> None:
        result = siptwin("simulate", "seed_2021", "--duration", "125", "--no-pictures")
        assert result.exit_code == 0, result.output
        assert "logged out unasked" in result.output
        assert "agents" in result.output.partition("logged out unasked")[2].splitlines()[0]

    def test_sound_has_figures_of_its_own_and_its_lack_is_seen(self, siptwin: Run) -> None:
        heard = siptwin("simulate", "webrtc", "--no-pictures")
        assert heard.exit_code == 0, heard.output
        assert re.search(r"of them heard nobody +0 ", heard.output)
        silent = siptwin("simulate", "webrtc", "--no-pictures", "--set", "edges.edge1.relay=off")
        assert re.search(r"of them heard nobody +[1-9]\d* +100", silent.output)

    def test_exit_1_when_a_checker_speaks(self, siptwin: Run, tmp_path: Path) -> None:
        (tmp_path / "liar.py").write_text(
            "from engine.policies.seed import Seed\nclass Liar(Seed):\n    honours_health = True\n"
        )
        (tmp_path / "bad.yaml").write_text(GOOD.replace("freeze", "kill"))
        result = siptwin("simulate", "bad.yaml", "--policy", "liar.py", "--no-pictures")
        assert result.exit_code == 1, result.output


class TestCheckOf2021:
    def test_the_failure_is_foretold_and_each_remedy_clears_it(self, siptwin: Run) -> None:
        result = siptwin("check", "seed_2021")
        assert result.exit_code == 1, result.output
        assert "logged out" in result.output
        for remedy in ("registrar.agent_max_expires_s=60", "streams.lifetime=above_expiry"):
            assert siptwin("check", "seed_2021", "--set", f"edges.edge1.{remedy}").exit_code == 0


class TestBadInput:
    @pytest.mark.parametrize(
        ("setting", "words"),
        [("edges.edge1", "is not PATH=VALUE"), ("edges.edge2.x=1", "no 'edge2'"), ("name=[", "cannot be read")],
    )
    def test_a_setting_that_makes_no_sense(self, siptwin: Run, setting: str, words: str) -> None:
        assert words in " ".join(refused(siptwin("simulate", "good.yaml", "--set", setting)).split())

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

    def test_a_certificate_that_is_missing_is_looked_for_beside_the_topology(
        self, siptwin: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "sub").mkdir()
        secure = "{host: 127.0.0.1, port: 0, transport: wss, tls: {certificate: c.pem, private_key: c.key}}"
        (tmp_path / "sub" / "tls.yaml").write_text(f"edges: {{edge1: {{interfaces: {{agents: {secure}}}}}}}")
        text = refused(siptwin("serve", "sub/tls.yaml", "--control", str(tmp_path / "control")))
        assert "cannot read sub/c.pem (no such file or directory) - correct tls.certificate" in text
        assert len(set(text.splitlines())) == 1

    def test_no_edge_to_ask(self, siptwin: Run, tmp_path: Path) -> None:
        assert "serve" in refused(siptwin("nodes", "list", "--control", str(tmp_path / "nobody")))


class TestCertificate:
    def test_what_it_writes_and_says_can_be_pasted_and_served(self, siptwin: Run, tmp_path: Path) -> None:
        result = siptwin("certificate", "--host", "sip.example.test", "--host", "::1", "--days", "9")
        assert result.exit_code == 0, result.output
        pasted = yaml.safe_load(result.output[result.output.index("tls:") : result.output.index("Chromium")])
        secure = {"host": "127.0.0.1", "port": 0, "transport": "wss", **pasted}
        topology = parse(yaml.safe_dump({"edges": {"edge1": {"interfaces": {"agents": secure}}}}).encode())
        interface = topology.interface("edge1", "wss")
        assert read_tls([interface])
        assert "certutil" in result.output
        assert f"{tmp_path}/certificates/ca.pem" in result.output
        leaf = x509.load_pem_x509_certificate((tmp_path / "certificates" / "siptwin.pem").read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["sip.example.test"]
        assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["::1"]
        assert (leaf.not_valid_after_utc - datetime.now(UTC)).days in (8, 9)
        assert isinstance(leaf.public_key(), EllipticCurvePublicKey)

    def test_the_key_is_for_its_owner_alone(self, siptwin: Run, tmp_path: Path) -> None:
        siptwin("certificate", "--out", "here")
        assert stat.S_IMODE((tmp_path / "here" / "siptwin.key").stat().st_mode) == 0o600
        assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
            "ca.pem",
            "siptwin.key",
            "siptwin.pem",
        ]

    def test_it_replaces_nothing_unasked(self, siptwin: Run, tmp_path: Path) -> None:
        siptwin("certificate")
        key = tmp_path / "certificates" / "siptwin.key"
        before = key.read_bytes()
        key.chmod(0o644)
        assert "--force" in refused(siptwin("certificate"))
        assert key.read_bytes() == before
        assert siptwin("certificate", "--force").exit_code == 0
        assert key.read_bytes() != before
        assert stat.S_IMODE(key.stat().st_mode) == 0o600

    @pytest.mark.parametrize("host", ["", "a b", "-x.example", "a..b", "sip:a", "ü.example", "x" * 64, "a." * 127])
    def test_a_host_that_is_none(self, siptwin: Run, host: str) -> None:
        assert "is neither an IP address nor a DNS name" in refused(siptwin("certificate", f"--host={host}"))

    def test_a_place_that_cannot_be_written_to(self, siptwin: Run, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "cannot write to file" in refused(siptwin("certificate", "--out", "file"))


class TestCheck:
    def test_a_sound_file(self, siptwin: Run) -> None:
        result = siptwin("check", "good.yaml")
        assert result.exit_code in (0, 1), result.output
        assert "edge1" in result.output

    def test_packaged_files_are_sound(self, siptwin: Run) -> None:
        for name in ("seed", "two_edges"):
            assert siptwin("check", name).exit_code == 0


def test_each_exit_code_is_documented(siptwin: Run) -> None:
    told = " ".join(siptwin("--help").output.split())
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for code in (errors.FOUND_SOMETHING, errors.BAD_INPUT, errors.INTERNAL, errors.INTERRUPTED):
        assert re.search(rf"\b{code}\b", told.partition("Exit codes:")[2])
        assert f"| {code} |" in readme


def test_help_shows_no_python(siptwin: Run) -> None:
    for command in ("simulate", "sweep", "check"):
        assert "<class" not in siptwin(command, "--help").output


def test_help_names_every_command(siptwin: Run) -> None:
    output = siptwin("--help").output
    commands = [each.callback.__name__ for each in app.registered_commands if each.callback]
    groups = [each.name for each in app.registered_groups]
    assert {"simulate", "lab"} <= set(commands)
    for name in (*commands, *groups):
        assert f" {name} " in output
