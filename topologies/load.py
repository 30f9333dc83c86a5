"""Topology files: from YAML to a checked `Topology`, or to all that is wrong with it."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from topologies import source, wording
from topologies.errors import Problem, TopologyError
from topologies.topology import Topology

_PACKAGED = Path(str(files("topologies")))


def names() -> list[str]:
    """The topologies that come with siptwin.

    Examples
    --------
    >>> names()
    ['rescue', 'seed', 'seed_2021', 'single', 'two_edges', 'webrtc']
    """
    return sorted(path.stem for path in _PACKAGED.glob("*.yaml"))


def load(path: str | os.PathLike[str]) -> Topology:
    """Read a topology.

    Parameters
    ----------
    path : str or path
        A YAML file, or the name of a packaged topology (see `names`). A file of that name in the working
        directory comes first.

    Raises
    ------
    TopologyError
        With all that is wrong, one line a problem: ``file:line: what is wrong - remedy``.

    Examples
    --------
    >>> load("seed").edge_config("edge1").policy.use
    'least_loaded'
    """
    shown = os.fspath(path)
    file = _find(shown)
    return parse(_bytes(file, shown), shown if shown not in names() else str(file), file)


def parse(data: bytes, shown: str = "topology", path: Path | None = None) -> Topology:
    """Check a topology's text; ``shown`` is what errors call it.

    Raises
    ------
    TopologyError
        As `load`.
    """
    read = source.read(data)
    if not read.problems and not isinstance(read.value, dict):
        kind = "a list" if isinstance(read.value, list) else "a single value"
        read.problems.append(Problem((), f"the file holds {kind}, not keys with values", "begin with `edges:`", 1))
    if not isinstance(read.value, dict):
        raise TopologyError(shown, read.problems)
    try:
        topology = Topology.model_validate({"name": path.stem if path else "", **read.value})
    except ValidationError as error:
        raise TopologyError(shown, [*read.problems, *wording.problems(error, read)]) from None
    if read.problems:
        raise TopologyError(shown, read.problems)
    return topology.read_from(path)


def _find(shown: str) -> Path:
    path = Path(shown)
    packaged = _PACKAGED / f"{shown}.yaml"
    return packaged if shown in names() and not path.is_file() else path


def _bytes(file: Path, shown: str) -> bytes:
    try:
        if not file.exists():
            known = ", ".join(names())
            raise TopologyError(shown, [Problem((), "there is no such file", f"give a path, or one of {known}")])
        if not file.is_file():  # a directory; or a pipe, which would keep us waiting
            raise TopologyError(shown, [Problem((), "this is not a file", "give the path of a YAML file")])
        with file.open("rb") as stream:
            return stream.read(source.MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise TopologyError(
            shown, [Problem((), f"cannot be read ({reason})", "check its path and rights")]
        ) from None
