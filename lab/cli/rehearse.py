"""``siptwin rehearse``: a scenario in real time, on real loopback sockets."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import (
    Capture,
    DurationS,
    Format,
    Json,
    Log,
    NoPictures,
    OutDirectory,
    PolicyName,
    ScenarioName,
    Seed,
    Settings,
    TableFormat,
    TopologyName,
)


def rehearse(
    topology: TopologyName,
    scenario: ScenarioName = None,
    policy: PolicyName = None,
    *,
    settings: Settings,
    seed: Seed = 0,
    duration: DurationS = None,
    out: OutDirectory = None,
    form: Format = TableFormat.CSV,
    as_json: Json = False,
    no_pictures: NoPictures = False,
    log: Log = False,
    capture: Capture = None,
    free_ports: Annotated[
        bool,
        typer.Option("--free-ports", help="Move every address to a free loopback network of its own."),
    ] = False,
    real: Annotated[
        list[str] | None,
        typer.Option("--real", metavar="NODE", help="This node is a real FreeSWITCH, at its address; repeatable."),
    ] = None,
    kill_with: Annotated[
        list[str] | None,
        typer.Option(
            "--kill-with", metavar="NODE=COMMAND", help="How the scenario kills this real node; repeatable."
        ),
    ] = None,
) -> None:
    """Run a scenario in real time on real sockets: the edges, with modelled FreeSWITCH nodes and callers.

    Addresses that are not loopback ones are moved to 127.0.0.0/8; with --free-ports all are, so that rehearsals
    run beside each other and beside a `siptwin serve`. Link faults cannot be had from a real loopback and are left
    out. Prints and writes what `siptwin simulate` does.

    Examples:

        siptwin rehearse seed
        siptwin rehearse my.yaml --free-ports --duration 20 --policy my_policy.py:Mine
        siptwin rehearse my.yaml --real FS1 --real FS2
        siptwin rehearse my.yaml --real FS1 --kill-with "FS1=ssh fs1 pkill -9 freeswitch"
    """
    import sys

    from lab.cli.present import log_to_stderr, present, progress_bar, ready
    from lab.cli.reading import read_topology
    from lab.rehearsal import rehearse_topology

    killers = dict(each.partition("=")[::2] for each in kill_with or ())
    read = read_topology(topology, settings, scenario)
    ready(out, form, capture)
    total_s = read.scenario(scenario).duration_s if duration is None else duration
    with progress_bar(f"rehearsing {read.name}", total_s, shown=not (as_json or log)) as progress:
        outcome = rehearse_topology(
            read,
            scenario=scenario,
            policy=policy,
            seed=seed,
            duration_s=duration,
            free_ports=free_ports,
            real=real or (),
            kill_with=killers,
            progress=progress,
            messages=capture is not None,
            on_note=log_to_stderr if log else None,
            warn=lambda text: print(f"siptwin: {text}", file=sys.stderr),
        )
    present(outcome, out, form, as_json=as_json, pictures=not no_pictures, capture=capture)
