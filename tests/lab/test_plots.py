"""Pictures: each says what it was given; and what a notebook shows of the lab's things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import lab
from lab import plots
from lab.capacity.plan import Wishes, plan
from lab.experiments import Experiment, Interval
from lab.notebook import topology_png
from lab.plots.timeline import Mark
from tests.lab.small import topology

PNG = b"\x89PNG"


def words(figure: Figure) -> str:
    """All text of a picture."""
    return "\n".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))


class TestWhatPicturesSay:
    def test_a_topology_with_its_loads_and_its_single_points_of_failure(self) -> None:
        report = lab.simulate(topology())
        figure = plots.draw_topology(topology(), plots.ways_of(report.facts, topology()))
        said = words(figure)
        for place in ("callers", "edge1", "FS1", "FS2", "single point of failure"):
            assert place in said
        assert f"\n{len(report.facts.calls):,}\n" in said
        two = lab.load("two_edges").model_copy(update={"clients": {}})
        assert "single point of failure" not in words(plots.draw_topology(two))

    def test_an_ecdf_counts_what_never_happened(self) -> None:
        figure = plots.draw_ecdf({"mine": [1.0, 2.0, float("nan")]}, {"mine": lambda _: 0.5}, of="gap (s)")
        assert "mine (3 cases)" in words(figure)
        steps = figure.axes[0].lines[0].get_ydata()
        assert max(steps) == pytest.approx(200 / 3)  # type: ignore[arg-type]  # an array

    def test_blocking_has_a_curve_and_points_for_each_number_of_channels(self) -> None:
        found = [(8.0, 15, Interval(9, 0.01, 0.002)), (25.0, 30, Interval(9, 0.05, 0.003))]
        said = words(plots.draw_blocking(found))
        for channels in (15, 30):
            assert f"{channels} channels, Erlang B" in said
            assert f"{channels} channels, simulated" in said

    def test_a_comparison_says_its_verdict(self) -> None:
        results = Experiment(topology(), keep=()).vary(policy=["least_loaded", "seed"]).run(4, processes=1)
        compared = results.compare("policy", "calls_delayed")
        assert "worse" in words(plots.draw_comparison(compared, of="calls delayed", baseline="least_loaded"))
        compared["low"] = -1.0
        assert "no difference seen" in words(plots.draw_comparison(compared, of="x", baseline="y"))

    def test_a_heat_map_has_a_cell_for_each_pair(self) -> None:
        frame = pd.DataFrame([{"a": a, "b": b, "mean": a * b} for a in (1, 2) for b in (3, 7)])
        said = words(plots.draw_heat_map(frame, "a", "b")).split()
        assert {"3", "6", "7", "14"} <= set(said)
        with pytest.raises(lab.InputError, match="did you mean"):
            plots.draw_heat_map(frame, "a", "b", "men")
        with pytest.raises(lab.InputError, match="several rows"):
            plots.draw_heat_map(pd.concat([frame, frame]), "a", "b")

    def test_a_storm_counts_everybody_once(self) -> None:
        figure = plots.draw_storm({"all": [30.0, 30.1, 31.0, 29.0]}, began_s=30.0, limit_per_s=2.0)
        assert "can be served" in words(figure)
        assert max(figure.axes[1].lines[0].get_ydata()) == 100  # type: ignore[arg-type]  # an array

    def test_quality_tells_who_hears_and_who_hears_silence(self) -> None:
        rows = [
            {"began_s": 0.0, "first_s": 0.1, "last_s": 20.0, "time_s": 20.0, "mos": 4.4},
            {"began_s": 0.0, "first_s": 0.1, "last_s": 8.0, "time_s": 20.0, "mos": 3.0},
        ]
        figure = plots.draw_quality(pd.DataFrame(rows), marks=[Mark(8.0, "freeze FS1")])
        for text in ("MOS (G.107)", "hear silence", "freeze FS1", "users satisfied"):
            assert text in words(figure)
        median = dict(zip(*figure.axes[0].lines[0].get_data(), strict=True))
        assert median[4.0] == pytest.approx(3.7)  # of both
        assert median[15.0] == pytest.approx(4.4)  # of the one that hears
        with pytest.raises(lab.InputError, match="media: streams"):
            plots.draw_quality(pd.DataFrame())

    def test_each_can_be_written(self, tmp_path: Path) -> None:
        for form, magic in (("png", PNG), ("svg", b"<?xml"), ("pdf", b"%PDF")):
            path = plots.save(plots.draw_plan(plan(Wishes(calls_per_hour=100, hold_s=60))), tmp_path / f"x.{form}")
            assert path.read_bytes().startswith(magic)


class TestInANotebook:
    def test_things_show_themselves(self) -> None:
        report = lab.simulate(topology())
        assert "answered" in report._repr_html_()
        assert report.call()._repr_png_().startswith(PNG)
        assert topology_png(topology()).startswith(PNG)
        results = Experiment(topology(), keep=()).vary(policy=["seed"]).run(2, processes=1)
        assert "failed_share" in results._repr_html_()

    def test_any_call_can_be_shown_where_messages_were_kept(self) -> None:
        report = lab.simulate(topology(), messages=True)
        call = report.facts.calls[3].call_id
        assert report.call(call).steps[0].label == "INVITE"
        with pytest.raises(lab.InputError, match="did you mean"):
            report.call(call.replace("@", "#"))
        with pytest.raises(lab.InputError, match="messages=True"):
            lab.simulate(topology()).call(lab.simulate(topology()).facts.calls[3].call_id)

    def test_ipython_is_taught_when_it_is_there(self) -> None:
        pytest.importorskip("IPython", reason="IPython is not installed")
        code = (
            "from IPython.testing.globalipapp import start_ipython; shell = start_ipython(); import lab;"
            "shell.display_formatter.active_types = shell.display_formatter.format_types;"
            "data, _ = shell.display_formatter.format(lab.load('seed')); assert 'image/png' in data;"
            "from lab.plots import draw_ecdf;"
            "data, _ = shell.display_formatter.format(draw_ecdf({'a': [1.0]})); assert 'image/png' in data;"
            "shell.run_cell(\"import lab; lab.Experiment('sed')\")"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert "there is no such file - give a path, or one of" in ended.stdout
        assert "Traceback" not in ended.stdout

    def test_importing_the_lab_loads_nothing_heavy(self) -> None:
        code = "import sys, lab; print({'pandas', 'matplotlib', 'scipy', 'pydantic'} & set(sys.modules))"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ended.stdout.strip() == "set()"
        assert set(lab.__all__) <= set(dir(lab))
        assert all(getattr(lab, name) is not None for name in lab.__all__)
