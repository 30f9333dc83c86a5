"""The topology that a command works on: its file, with what the command line puts over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.errors import InputError

if TYPE_CHECKING:
    from topologies import Topology


def read_topology(name: str, settings: Sequence[str], scenario: str | None = None) -> Topology:
    """Read a topology, and replace single values of it.

    Parameters
    ----------
    name : str
        A file, or a packaged topology.
    settings : sequence of str
        ``PATH=VALUE`` each; values are written as in the file.
    scenario : str, optional
        What a path's first word ``scenario`` means; default: the default one.

    Raises
    ------
    TopologyError, InputError
        If the file or a setting makes no sense.
    LiveError
        If nodes stand in the tables of an OpenSIPS, and these cannot be read.
    """
    from topologies import load

    read = load(name)
    if read.opensips is not None:
        from lab.opensips import with_opensips

        read = with_opensips(read)
    if not settings:
        return read
    from lab.experiments.settings import with_settings

    return with_settings(read, dict(map(_setting, settings)), scenario or read.default_scenario or "")


def _setting(text: str) -> tuple[str, object]:
    import yaml

    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise InputError(f"--set {text}: this is not PATH=VALUE - write edges.edge1.probe.interval_s=2")
    try:
        return path.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"--set {text}: the value cannot be read - write it as in a topology file") from None
