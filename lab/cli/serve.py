"""``siptwin serve``: one edge on real sockets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import PolicyName, TopologyName


class LogFormat(StrEnum):
    """Of the log's lines."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    topology: TopologyName,
    edge: Annotated[
        str | None, typer.Option("--edge", metavar="NAME", help="Which edge to be; default: the first.")
    ] = None,
    policy: PolicyName = None,
    log_format: Annotated[LogFormat, typer.Option(help="Lines for people or for machines.")] = LogFormat.TEXT,
    log_file: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Log to this file (logrotate may move it); default: stderr."),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="Least level that is written.")] = LogLevel.INFO,
    control: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Control socket for `siptwin nodes`; default: in the runtime directory."
        ),
    ] = None,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="How long calls get to end after SIGTERM.")
    ] = 30.0,
) -> None:
    """Carry real calls: run one edge of the topology on real sockets.

    SIGTERM and SIGINT: take no new calls, end with the last one or after the grace time; a second signal ends at
    once. SIGHUP: read the file again; a bad one changes nothing and says why in the log.

    Examples:

        siptwin serve my.yaml
        siptwin serve my.yaml --edge edge2 --log-format json --log-file /var/log/siptwin/edge2.log
        siptwin serve seed --policy my_policy.py:Mine --log-level debug
    """
    import sys

    from engine.boundary import Level
    from engine.live.logs import NoteLog
    from engine.live.loops import run
    from lab.serving import Serving, default_control, serve_edge

    level = Level(log_level.value)
    serving = Serving(topology, edge, policy, notes_from=level)
    control = control or default_control()
    if control is None:
        print("siptwin: no control socket, /run/siptwin is not ours to write to - see --control", file=sys.stderr)
    log = NoteLog(log_file, log_format=log_format.value, level=level)
    try:
        run(serve_edge(serving, on_note=log, control_path=control, grace_s=grace))
    finally:
        log.close()
