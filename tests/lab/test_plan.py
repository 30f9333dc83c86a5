"""``siptwin plan``: its figures are the formulas', its sentences say why, and README's example is true."""

from __future__ import annotations

import json
import re
import shlex
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lab.capacity import agents_for, channels_for, erlang_b, mean_wait_s, service_level, stream_kbit_per_s
from lab.capacity.plan import Wishes, plan
from lab.cli.app import app

README = Path(__file__).resolve().parents[2] / "README.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments])


class TestFigures:
    def test_each_is_a_formula_of_the_one_before(self) -> None:
        wishes = Wishes(calls_per_hour=12000, hold_s=180, wrap_up_s=10, node_channels=200, level=0.9, within_s=10)
        made = plan(wishes)
        busy = 12000 * 190 / 3600
        agents = agents_for(busy, 0.9, 190, 10)
        offered = 12000 * (180 + mean_wait_s(busy, agents, 190)) / 3600
        channels = channels_for(offered, 0.01)
        assert made["agents"] == agents
        assert made["service_level"] == service_level(busy, agents, 190, 10)
        assert made["channels"] == channels
        assert erlang_b(offered, channels) <= 0.01
        assert made["nodes"] == ceil(channels / 200) + 1
        assert made["bandwidth_mbit_per_s"] == pytest.approx(channels * 0.08)

    def test_without_its_spare_nodes_the_plan_still_carries_the_hour(self) -> None:
        for spare in (1, 2):
            made = plan(Wishes(calls_per_hour=20000, hold_s=200, node_channels=150, spare=spare))
            assert made["channels_per_node"] <= 150
            assert (made["nodes"] - spare) * made["channels_per_node"] >= made["channels"]

    def test_agents_given_are_told_how_their_callers_fare(self) -> None:
        enough = plan(Wishes(calls_per_hour=2400, hold_s=180, agents=140))
        short = plan(Wishes(calls_per_hour=2400, hold_s=180, agents=122))
        assert enough["service_level"] > 0.8 > short["service_level"]
        assert short["channels"] > enough["channels"], "who waits holds a channel"

    def test_every_answer_says_why(self) -> None:
        for answer in plan(Wishes(calls_per_hour=100, hold_s=60)).answers.values():
            assert len(answer.why.split()) > 5
            assert answer.why.endswith(".")


class TestCommand:
    def test_the_readme_tells_the_truth(self) -> None:
        text = README.read_text(encoding="utf-8")
        (command,) = re.findall(r"^siptwin (plan --.*)$", text, re.MULTILINE)
        told = CliRunner().invoke(app, [*shlex.split(command), "--json", "--no-pictures"])
        answers: dict[str, Any] = json.loads(told.stdout)["answers"]
        for name, shown in (
            ("agents", "{:.0f} agents"),
            ("channels", "{:.0f} channels"),
            ("nodes", "{:.0f} nodes"),
        ):
            assert shown.format(answers[name]["value"]) in text
        assert f"{answers['bandwidth_mbit_per_s']['value']:.1f} Mbit/s" in text
        assert answers["bandwidth_mbit_per_s"]["value"] == pytest.approx(
            answers["channels"]["value"] * stream_kbit_per_s("g711") / 1000
        )

    def test_table_and_picture(self, tmp_path: Path) -> None:
        result = run("-c", "2400", "--hold", "180", "--out", str(tmp_path / "deep" / "plan.png"))
        assert result.exit_code == 0, result.output
        told = " ".join(result.output.split())  # a narrow terminal breaks the sentences
        for words in ("146", "channels", "(Erlang B)", "(Erlang C)", "N+1"):
            assert words in told
        assert (tmp_path / "deep" / "plan.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-c", "2400", "--hold", "180", "--agents", "100"], "take 127 agents"),
            (["-c", "0", "--hold", "180"], "above 0"),
            (["-c", "nan", "--hold", "180"], "above 0"),
            (["-c", "2400", "--hold", "180", "--blocking", "1"], "0.01 for 1 %"),
            (["-c", "2400", "--hold", "180", "--codec", "G792"], "G729"),
            (["-c", "2400", "--hold", "180", "--packet-ms", "0"], "multiple"),
            (["-c", "2400", "--hold", "180", "--out", "/dev/null/plan.png"], "/dev/null: it is no directory"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(self, arguments: list[str], words: str) -> None:
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
