"""``siptwin sweep``: many runs that differ in what is varied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.errors import FOUND_SOMETHING, INTERRUPTED
from lab.cli.options import DurationS, Json, PolicyName, ScenarioName, Seed, Settings, TopologyName
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.experiments import Results

_FIGURES = ("failed_share", "delayed_share", "setup_p99_s", "known_down_s")


def sweep(
    topology: TopologyName,
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="PATH=[V, ...]",
            default_factory=list,
            show_default=False,
            help="A factor and its levels: policy=[seed, least_loaded], edges.edge1.probe.interval_s=[1, 5], ...",
        ),
    ],
    *,
    settings: Settings,
    scenario: ScenarioName = None,
    policy: PolicyName = None,
    duration: DurationS = None,
    replications: Annotated[
        int, typer.Option("--replications", "-n", min=1, help="Runs of each variant, each with a seed of its own.")
    ] = 10,
    seed: Seed = 0,
    figures: Annotated[
        list[str],
        typer.Option(
            "--figure",
            "-f",
            metavar="NAME",
            default_factory=list,
            show_default=False,
            help="What to print; can be repeated.",
        ),
    ],
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="Processes on this machine; default: all cores.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler instead: tcp://HOST:PORT.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Where runs are kept as they end; a second time it goes on there.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate all combinations of what is varied, each so many times, on all cores or on a cluster.

    All variants meet the same seeds. Prints the mean of each figure with its 95 % confidence; with --out every run
    is kept as it ends, so that a sweep that was interrupted goes on where it was.

    Examples:

        siptwin sweep seed --vary 'policy=[seed, least_loaded]' -n 20 --duration 60
        siptwin sweep my.yaml --vary 'edges.edge1.probe.interval_s=[1, 2, 5]' -f known_down_s --out results/probes
        siptwin sweep my.yaml --vary 'policy=[seed, latency]' -n 1000 --dask tcp://10.0.0.1:8786
    """
    from lab.cli.reading import read_topology
    from lab.experiments import Experiment
    from lab.experiments.experiment import ALL_TABLES

    asked = Experiment(
        read_topology(topology, settings, scenario),
        scenario=scenario,
        policy=policy,
        duration_s=duration,
        seed=seed,
        keep=ALL_TABLES if out is not None else (),  # figures are printed; tables are for a folder
    ).vary(**dict(map(_factor, vary)))
    results = asked.run(replications, processes=processes, dask=dask, folder=out, progress=not as_json)
    shown = figures or [each for each in _FIGURES if len(results.runs) and results.runs[each].notna().any()]
    table = _table(results, shown)
    if as_json:
        failed: list[dict[str, Any]] = json.loads(results.failures.to_json(orient="records"))
        told = {"complete": results.complete, "runs": len(results.runs), "figures": table, "failures": failed}
        typer.echo(json.dumps(told, indent=2))
    else:
        _print(results, table, shown)
    if not results.complete:
        raise typer.Exit(INTERRUPTED)
    if len(results.failures):
        raise typer.Exit(FOUND_SOMETHING)


def _factor(text: str) -> tuple[str, Any]:
    import yaml

    path, equals, levels = text.partition("=")
    try:
        read = yaml.safe_load(levels)
    except yaml.YAMLError:
        read = None
    if not equals or not path.strip() or not isinstance(read, (list, dict)):
        raise InputError(
            f"--vary {text}: this is not PATH=[VALUE, ...] - write edges.edge1.probe.interval_s=[1, 5]"
        )
    return path.strip(), read


def _table(results: Results, figures: Sequence[str]) -> list[dict[str, Any]]:
    """One row a variant: its levels, the number of its runs, and each figure's mean and half-width."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for figure in figures:
        for row in results.estimate(figure).to_dict("records"):
            levels = {str(name): row[name] for name in results.factors}
            found = rows.setdefault(tuple(levels.values()), {**levels, "n": row["n"]})
            found[figure] = {key: _finite(row[key]) for key in ("mean", "half_width")}
    return list(rows.values())


def _finite(value: float) -> float | None:
    return None if value != value else float(value)


def _print(results: Results, rows: Sequence[Mapping[str, Any]], figures: Sequence[str]) -> None:
    from rich.console import Console

    from lab.cli.tables import table

    console = Console()
    console.print(repr(results)[1:-1], highlight=False)
    words = len(results.factors)
    shown = [
        [*(str(row[name]) for name in results.factors), str(row["n"]), *(_interval(row[each]) for each in figures)]
        for row in rows
    ]
    console.print(
        table("Means, with 95 % confidence", *results.factors, "runs", *figures, rows=shown, words=words)
    )
    for failure in results.failures.head(3).to_dict("records"):
        console.print(f"failed, seed {failure['seed']}: {failure['error']}", highlight=False)


def _interval(found: Mapping[str, float | None]) -> str:
    mean, half_width = found["mean"], found["half_width"]
    if mean is None:
        return "-"
    return f"{mean:.4g}" + ("" if half_width is None else f" ± {half_width:.2g}")
