"""``siptwin forecast``: a scenario simulated and rehearsed, message by message."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import DurationS, Json, PolicyName, ScenarioName, Seed, Settings, TopologyName


def forecast(
    topology: TopologyName,
    scenario: ScenarioName = None,
    policy: PolicyName = None,
    *,
    settings: Settings,
    seed: Seed = 0,
    duration: DurationS = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the picture goes; the suffix is the format.")
    ] = Path("results/forecast.png"),
    as_json: Json = False,
) -> None:
    """Simulate a scenario, rehearse it on real sockets, and compare the two message by message.

    Takes as long as the scenario. Prints how many messages are the same and how far apart in time; writes a
    picture.

    Examples:

        siptwin forecast seed --scenario quiet --duration 10
    """
    from rich.console import Console

    from lab.cli.present import progress_bar
    from lab.cli.reading import read_topology
    from lab.outputs import ready_picture
    from lab.plots import save
    from lab.twin import rehearse_and_compare

    read = read_topology(topology, settings, scenario)
    ready_picture(out)
    total_s = read.scenario(scenario).duration_s if duration is None else duration
    with progress_bar(f"rehearsing {read.name}", total_s, shown=not as_json) as progress:
        found = rehearse_and_compare(
            read,
            scenario=scenario,
            policy=policy,
            seed=seed,
            duration_s=duration,
            progress=progress,
            warn=lambda text: print(f"siptwin: {text}", file=sys.stderr),
        )
    comparison = found.comparison
    save(comparison.draw(), out)
    if as_json:
        later_s = comparison.steps["later_s"].abs()
        told = {
            "messages": len(comparison.steps),
            "same_share": comparison.same_share,
            "apart_p50_s": later_s.median(),
            "apart_max_s": later_s.max(),
            "differing": json.loads(comparison.differing().to_json(orient="records")),
        }
        typer.echo(json.dumps(told, indent=2))
        return
    console = Console()
    console.print(repr(comparison)[1:-1], highlight=False)
    for row in comparison.differing().head(10).itertuples(index=False):
        console.print(
            f"  {row.verdict}: {row.call_id} {row.from_place} > {row.to_place} {row.message}", highlight=False
        )
    console.print(f"picture:  {out}", highlight=False)
