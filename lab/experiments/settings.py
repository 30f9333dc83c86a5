"""One value of a topology replaced, by its path: ``edges.edge1.probe.interval_s``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from lab.errors import InputError
from topologies import Topology, TopologyError, parse
from topologies.errors import did_you_mean

_OPEN: Final = ("options", "resources")  # tables whose keys are free
_INDEX: Final = re.compile(r"\[(\d+|\*)\]")


def with_settings(topology: Topology, settings: Mapping[str, Any], scenario: str) -> Topology:
    """The topology with some of its values replaced, and checked as a whole.

    Parameters
    ----------
    topology : Topology
        Left as it is.
    settings : mapping
        Path to value. Keys are joined by dots, list items are ``[0]``, and ``*`` or ``[*]`` stands for each:
        ``nodes.*.resources.pstn``, ``scenario.traffic[*].rate_per_s``.
    scenario : str
        What the path's first word ``scenario`` means.

    Raises
    ------
    InputError
        If a path leads nowhere, or the topology does not hold together with a value.
    """
    if not settings:
        return topology
    plain = topology.model_dump(mode="json", by_alias=True)
    for path, value in settings.items():
        _replace(plain, path, value, scenario)
    try:
        changed = parse(yaml.safe_dump(plain, sort_keys=False).encode(), topology.name)
    except TopologyError as error:
        said = ", ".join(f"{path} = {value!r}" for path, value in settings.items())
        raise InputError(f"{topology.name} with {said}: {error.problems[0]}") from None
    return changed.read_from(topology.source_path)


def _replace(plain: dict[str, Any], path: str, value: Any, scenario: str) -> None:
    words = list(_words(path))
    if words[0] == "scenario":
        words[:1] = ["scenarios", scenario]
    for holder, key in _holders(plain, words, path):
        holder[key] = value


def _words(path: str) -> Iterator[str | int]:
    for part in _INDEX.sub(lambda found: f".[{found[1]}]", path).split("."):
        index = _INDEX.fullmatch(part)
        yield part if index is None else "*" if index[1] == "*" else int(index[1])


def _holders(value: Any, words: list[str | int], path: str) -> Iterator[tuple[Any, Any]]:
    """Each container and key that a path means."""
    for key in _keys(value, words[0], path, last=len(words) == 1):
        if len(words) == 1:
            yield value, key
        else:
            yield from _holders(value[key], words[1:], path)


def _keys(value: Any, word: str | int, path: str, *, last: bool) -> list[Any]:
    if isinstance(value, list):
        known: list[Any] = list(range(len(value)))
    elif isinstance(value, dict):
        known = list(value)
    else:
        raise InputError(f"{path} leads past {value!r} - stop before {word!r}")
    if word == "*":
        return known
    if word in known:
        return [word]
    if last and isinstance(value, dict) and any(f"{table}." in path for table in _OPEN):
        return [word]
    raise InputError(f"{path}: there is no {word!r} - {did_you_mean(str(word), map(str, known))}")
