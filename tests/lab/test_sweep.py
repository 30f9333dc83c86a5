"""`siptwin sweep`: what an experiment does, from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab import load_results
from lab.cli.app import app
from lab.experiments.task import Done, Task, run_task
from tests.lab.small import TEXT

VARY = ("--vary", "policy=[least_loaded, seed]", "-n", "2", "--processes", "1")


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(TEXT)


def siptwin(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sweep", "small.yaml", *arguments])


def test_each_variant_has_its_means_with_confidence() -> None:
    result = siptwin(*VARY, "-f", "calls_delayed")
    assert result.exit_code == 0, result.output
    for words in ("2 policy, 4 runs", "least_loaded", "seed", "calls_delayed", "±"):
        assert words in result.output
    told = json.loads(siptwin(*VARY, "-f", "calls_delayed", "--json").stdout)
    least, seed = told["figures"]
    assert (least["policy"], seed["policy"]) == ("least_loaded", "seed")
    assert seed["calls_delayed"]["mean"] > least["calls_delayed"]["mean"]


def test_a_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    assert siptwin(*VARY, "--out", "kept").exit_code == 0
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept" / "runs").iterdir()}
    assert len(runs) == 4
    assert siptwin(*VARY, "-n", "3", "--out", "kept").exit_code == 0
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept" / "runs").iterdir()}
    assert len(after) == 6
    assert all(after[path] == told for path, told in runs.items())


def test_a_cluster_takes_the_runs() -> None:
    distributed = pytest.importorskip("distributed", reason="distributed (extra dask) is not installed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    )
    with cluster:
        spread = siptwin(*VARY, "--json", "--dask", cluster.scheduler_address)
    assert json.loads(spread.stdout)["figures"] == json.loads(siptwin(*VARY, "--json").stdout)["figures"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vary", "policy=seed"), "this is not PATH=[VALUE, ...]"),
        (("--vary", "edges.edge1.prob.interval_s=[1]"), "did you mean 'probe'"),
        (("--vary", "edges.edge1.probe.interval_s=[1, -1]"), "more than 0"),
        (("-n", "1", "--processes", "1", "-f", "faild_share"), "did you mean 'failed_share'"),
        (("--dask", "nonsense"), "write tcp://HOST:PORT"),
    ],
)
def test_no_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    result = siptwin(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_interrupted_it_shows_what_is_done_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_and_ctrl_c(tasks: Sequence[Task]) -> Iterator[Done]:
        yield run_task(tasks[0])
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.experiments.experiment.workers", lambda _processes, _dask: one_and_ctrl_c)
    result = siptwin(*VARY)
    assert result.exit_code == 130, result.output
    assert "1 runs, interrupted" in result.output


def test_tables_are_kept_where_a_folder_is_named(tmp_path: Path) -> None:
    assert siptwin("-n", "1", "--processes", "1", "--out", "kept").exit_code == 0
    assert len(load_results(tmp_path / "kept").calls)
