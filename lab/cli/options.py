"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class TableFormat(StrEnum):
    """Of the tables that are written to disk."""

    CSV = "csv"
    PARQUET = "parquet"


TopologyName: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="TOPOLOGY", help="A YAML file, or a packaged topology: seed, single, two_edges, ..."),
]
ScenarioName: TypeAlias = Annotated[
    str | None, typer.Option("--scenario", "-s", metavar="NAME", help="Scenario to run; default: the first.")
]
PolicyName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--policy",
        "-p",
        metavar="POLICY",
        help="Policy of all edges instead of the file's: a stock one (least_loaded, round_robin, seed, ...), "
        "module:Class or file.py:Class.",
    ),
]
Settings: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        default_factory=list,
        show_default=False,
        help="Replace one value of the topology, for example edges.edge1.streams.idle_s=300; can be repeated.",
    ),
]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="Seed of all randomness.")]
DurationS: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--duration", metavar="SECONDS", min=0.001, help="How long new calls come; default: the scenario's."
    ),
]
OutDirectory: TypeAlias = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Where results go; default: results/TOPOLOGY-SCENARIO-SEED."),
]
Format: TypeAlias = Annotated[TableFormat, typer.Option("--format", help="Format of the tables on disk.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
NoPictures: TypeAlias = Annotated[bool, typer.Option("--no-pictures", help="Write no pictures.")]
Log: TypeAlias = Annotated[bool, typer.Option("--log", help="Write every fact to stderr as it happens.")]
Api: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--api",
        metavar="URL",
        envvar="SIPTWIN_API",
        help="API of the running `siptwin serve`, http://HOST:PORT, instead of its control socket.",
    ),
]
Token: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="PATH", help="File with the API's token; default: the variable SIPTWIN_TOKEN."
    ),
]
Capture: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--capture", metavar="FILE", help="Write all messages as a pcap file, for Wireshark or `siptwin replay`."
    ),
]
Control: TypeAlias = Annotated[
    Path | None,
    typer.Option("--control", metavar="PATH", help="Control socket of the running `siptwin serve`."),
]
