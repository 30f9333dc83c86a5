"""``siptwin replay``: a capture played to the simulated deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import (
    Format,
    Json,
    NoPictures,
    OutDirectory,
    PolicyName,
    Seed,
    Settings,
    TableFormat,
    TopologyName,
)

if TYPE_CHECKING:
    from rich.console import Console

    from lab.twin import Replay


def replay(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="A pcap or pcapng file with SIP in it.")],
    topology: TopologyName,
    policy: PolicyName = None,
    *,
    settings: Settings,
    seed: Seed = 0,
    sound: Annotated[
        bool, typer.Option("--all-nodes-live", help="Leave out that nodes were away in the capture.")
    ] = False,
    out: OutDirectory = None,
    form: Format = TableFormat.CSV,
    as_json: Json = False,
    no_pictures: NoPictures = False,
) -> None:
    """Play a capture to the simulated deployment: the same messages, another policy or other timers.

    Agents send what they sent then; nodes are modelled, take each call as it was taken then, and are away when
    they were away. The topology must have the capture's addresses. Prints what callers met then and now, and how
    many messages are the same; writes the calls, the messages that differ, and what `siptwin simulate` writes.

    Examples:

        tcpdump -i any -w monday.pcap udp port 5060 or tcp port 8080
        siptwin replay monday.pcap my.yaml
        siptwin replay monday.pcap my.yaml --policy least_loaded --set edges.edge1.probe.interval_s=1
    """
    from rich.console import Console

    from lab.cli.present import ready
    from lab.cli.reading import read_topology
    from lab.report import RESULTS, write_report
    from lab.twin import replay as play

    read = read_topology(topology, settings)
    ready(out, form)
    played = play(capture, read, policy=policy, faults="none" if sound else "recorded", seed=seed)
    directory = out or RESULTS / f"{capture.stem}-{read.name}-replay"
    written = write_report(played.report, directory, form.value, pictures=not no_pictures)
    written += _write(played, directory, pictures=not no_pictures)
    if as_json:
        typer.echo(json.dumps(_plain(played, written), indent=2))
        return
    _print(played, Console())
    typer.echo(f"results:  {directory}: {', '.join(path.name for path in written)}")


def _write(played: Replay, directory: Path, *, pictures: bool) -> list[Path]:
    paths = [directory / "then_and_now.csv", directory / "differing_messages.csv"]
    try:
        played.calls.to_csv(paths[0], index=False)
        played.comparison.differing().to_csv(paths[1], index=False)
    except OSError as error:
        from lab.outputs import refused

        raise refused(directory, error) from None
    if pictures:
        from lab.plots import save

        paths.append(save(played.comparison.draw(), directory / "comparison.png"))
    return paths


def _plain(played: Replay, written: list[Path]) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(played.figures().to_json())
    return {
        "capture": played.recording.name,
        "policy": played.report.outcome.policy,
        "figures": figures,
        "absences": [absence._asdict() for absence in played.absences],
        "left_out": played.left_out,
        "same_share": played.comparison.same_share,
        "files": [str(path) for path in written],
    }


def _print(played: Replay, console: Console) -> None:
    from lab.cli.tables import table

    figures = played.figures()
    rows = [(str(name), *(_shown(value) for value in row)) for name, row in figures.iterrows()]
    policy = played.report.outcome.policy
    title = f"{played.recording.name}, and what becomes of it with policy {policy}"
    console.print(table(title, "", "then", "now", rows=[[name, *map(str, rest)] for name, *rest in rows]))
    for node, gone_s, back_s, killed in played.absences:
        until = "to the end" if back_s is None else f"to {back_s:.1f} s"
        console.print(f"{node} was away from {gone_s:.1f} s {until} ({'killed' if killed else 'silent'})")
    if played.left_out:
        console.print(f"{played.left_out} dialogs began before the capture, and are left out")
    if played.recording.encrypted:
        console.print(f"{played.recording.encrypted} TLS connections could not be read")
    console.print(repr(played.comparison)[1:-1], highlight=False)


def _shown(value: float) -> str:
    if value != value:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
