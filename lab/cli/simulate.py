"""``siptwin simulate``: a scenario in virtual time."""

from __future__ import annotations

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


def simulate(
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
) -> None:
    """Run a scenario in virtual time, with every peer modelled and every packet reproducible from the seed.

    Prints what the callers saw, set-up delays, what each node carried, how soon a node's death was noticed, and
    whether a checker found a violation (exit code 1). Writes tables, a time line and the ladder of one call.

    Examples:

        siptwin simulate seed
        siptwin simulate seed --policy seed --seed 7
        siptwin simulate my.yaml --scenario rush_hour --format parquet --out results/monday
        siptwin simulate seed_2021 --set edges.edge1.streams.lifetime=follows_registration
        siptwin simulate seed --capture seed.pcap
        siptwin simulate single --json --no-pictures | jq .calls
    """
    from lab.cli.present import log_to_stderr, present, progress_bar, ready
    from lab.cli.reading import read_topology
    from lab.simulation import run_simulation

    read = read_topology(topology, settings, scenario)
    ready(out, form, capture)
    total_s = read.scenario(scenario).duration_s if duration is None else duration
    with progress_bar(f"simulating {read.name}", total_s, shown=not (as_json or log)) as progress:
        outcome = run_simulation(
            read,
            scenario=scenario,
            policy=policy,
            seed=seed,
            duration_s=duration,
            progress=progress,
            messages=capture is not None,
            on_note=log_to_stderr if log else None,
        )
    present(outcome, out, form, as_json=as_json, pictures=not no_pictures, capture=capture)
