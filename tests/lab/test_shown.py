"""What the lab shows at a prompt: the names that Tab offers, one line for what is large, mistakes at once."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import lab
from lab.doctor import Verdict, Verdicts
from lab.experiments import Interval
from tests.lab.small import TEXT, topology


def test_tab_offers_what_can_be_used_and_nothing_else() -> None:
    for module in (lab, lab.plots):
        offered = dir(module)
        assert set(offered) == set(module.__all__)
        assert all(getattr(module, name) is not None for name in offered)


def test_tab_offers_the_tables_of_results() -> None:
    results = lab.Experiment(topology(), keep=("calls",), duration_s=1).run(1, processes=1, progress=False)
    assert {"runs", "calls", "failures", "estimate"} <= set(dir(results))
    assert "decisions" not in dir(results)


def test_what_is_large_says_itself_in_a_line() -> None:
    small = topology()
    report = lab.simulate(small, duration_s=2)
    experiment = lab.Experiment(small, duration_s=1).vary(policy=["seed", "least_loaded"])
    shown = [small, report, report.frames, report.facts, report.outcome, experiment, *experiment.variants]
    for each in shown:
        assert "\n" not in repr(each)
        assert len(repr(each)) < 200, repr(each)[:200]
    assert f"calls {len(report.frames.calls)}" in repr(report.frames)
    assert "policy = seed" in repr(experiment.variants[0])


def test_an_interval_says_mean_and_half_width() -> None:
    assert str(Interval(10, 0.036497, 0.00123)) == "0.0365 ± 0.0012 (n = 10)"


def test_verdicts_are_a_list_and_a_table() -> None:
    verdicts = Verdicts(
        [Verdict("a step", "green"), Verdict("another", "red", cause="timers", remedy="change <it>")]
    )
    assert list(verdicts.frame.columns) == ["step", "outcome", "told", "cause", "why", "remedy"]
    assert verdicts.frame["outcome"].tolist() == [each.outcome for each in verdicts]
    assert repr(verdicts) == "<Verdicts: 1 green, 1 red; another: timers>"
    assert "change &lt;it&gt;" in verdicts._repr_html_()


def test_frames_are_made_once() -> None:
    report = lab.simulate(topology(), duration_s=1)
    assert report.frames is report.frames


def test_a_path_is_as_good_as_a_name(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    by_path = lab.simulate(tmp_path / "small.yaml", duration_s=1)
    assert by_path.summary == lab.simulate(topology(), duration_s=1).summary
    assert lab.Experiment(tmp_path / "small.yaml").variants


def test_the_doctor_can_be_called_where_an_event_loop_runs() -> None:
    async def cell() -> None:
        with pytest.raises(lab.InputError, match="has no edge 'elsewhere'"):
            lab.examine(topology(), rehearse=True, edge="elsewhere")
        assert lab.examine("webrtc", rehearse=True, listen_s=0.2)[0].step == "timers agree"

    asyncio.run(cell())


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: lab.simulate(topology(), duration_s=-1), "give seconds above 0"),
        (lambda: lab.simulate(topology(), seed=-1), "give a whole number from 0"),
        (lambda: lab.simulate(topology(), policy=3), "is no policy"),  # type: ignore[arg-type]  # the mistake
        (lambda: lab.simulate(3), "is no topology"),  # type: ignore[arg-type]  # the mistake
        (lambda: lab.Experiment(topology(), seed="a"), "whole number"),  # type: ignore[arg-type]  # the mistake
        (lambda: lab.Experiment(topology()).vary(polcy=["seed"]), "did you mean 'policy'"),
        (lambda: lab.Experiment(topology()).run(1, processes=0), "None for all cores"),
    ],
)
def test_a_mistake_is_told_at_once(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(lab.InputError, match=words):
        ask()


def test_each_parameter_is_documented() -> None:
    offered = [getattr(module, name) for module in (lab, lab.plots, lab.capacity) for name in module.__all__]
    methods = [
        each for kind in (lab.Experiment, lab.Results) for name, each in vars(kind).items() if name[0] != "_"
    ]
    functions = [each for each in (*offered, *methods) if inspect.isfunction(each)]
    assert len(functions) > 30
    for function in functions:
        if function.__module__.startswith("engine."):
            continue  # its docstrings have no types: signatures tell them
        told = inspect.getdoc(function) or ""
        for name in inspect.signature(function).parameters:
            assert name == "self" or re.search(rf"\b{name}\b", told), f"{function.__qualname__}: {name}"
