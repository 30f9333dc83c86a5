"""Two stories are held against each other message by message; and a forecast against real sockets."""

from __future__ import annotations

import asyncio

import pytest

import lab
from lab import plots
from lab.experiments.settings import with_settings
from lab.twin import compare, rehearse_and_compare
from lab.twin.comparison import Step
from tests.lab.small import topology
from tests.lab.test_plots import words

CALL = [
    Step(0.0, "a", "edge", "1", "INVITE"),
    Step(0.1, "edge", "FS1", "1", "INVITE"),
    Step(0.2, "FS1", "edge", "1", "200 OK"),
    Step(0.3, "edge", "a", "1", "200 OK"),
]


def test_the_same_story_is_the_same() -> None:
    found = compare(CALL, [step._replace(time_s=step.time_s + 0.005) for step in CALL])
    assert found.same_share == 1.0
    assert found.steps["later_s"].tolist() == pytest.approx([0.005] * 4)
    assert found.calls[["call_id", "same", "missing", "extra"]].values.tolist() == [["1", 4, 0, 0]]
    assert "4 of 4 messages of 1 calls are the same" in repr(found)


def test_what_only_one_has_is_told_with_its_place_and_time() -> None:
    other = [
        CALL[0],
        CALL[1],
        Step(2.1, "edge", "FS2", "1", "INVITE"),
        Step(2.2, "FS2", "edge", "1", "200 OK"),
        CALL[3],
    ]
    odd = compare(CALL, other).differing()
    assert odd[["from_place", "to_place", "message", "verdict"]].values.tolist() == [
        ["FS1", "edge", "200 OK", "missing"],
        ["edge", "FS2", "INVITE", "extra"],
        ["FS2", "edge", "200 OK", "extra"],
    ]
    assert "FS2" in compare(CALL, other)._repr_html_()


def test_a_leg_of_a_node_is_found_under_another_call_id() -> None:
    legs = [step._replace(call_id="theirs") for step in CALL]
    assert compare([*CALL, *legs], [*CALL, *(step._replace(call_id="ours") for step in legs)]).same_share == 1.0


def test_the_picture_tells_how_many_are_apart() -> None:
    other = [step._replace(time_s=step.time_s + 0.002) for step in CALL[:3]]
    said = words(plots.draw_comparison_in_time(compare(CALL, other, ("capture", "replay"))))
    for text in ("3 in both", "1 only in capture", "median 2 ms"):
        assert text in said
    assert "0 in both" in words(plots.draw_comparison_in_time(compare([], [])))


def test_a_forecast_comes_true_on_real_sockets() -> None:
    """The quiet scenario: each message of each call, on its way, in order."""
    ten_calls = with_settings(topology(), {"scenario.traffic[0].calls": 10}, "quiet")
    found = rehearse_and_compare(ten_calls, scenario="quiet")
    assert len(found.simulated.facts.calls) == len(found.rehearsed.facts.calls) == 10
    assert found.comparison.differing().empty, found.comparison.differing()
    assert len(found.comparison.steps) == 120


def test_a_notebook_rehearses_too_though_its_kernel_has_an_event_loop() -> None:
    async def cell() -> int:
        return len(lab.rehearse(topology(), scenario="quiet", duration_s=0.5).facts.calls)

    assert asyncio.run(cell()) > 0
