"""Factors and the variants that their values make."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from engine.policy import Policy
from lab.asked import check_policy
from lab.errors import InputError
from lab.experiments.settings import with_settings
from sim.build import PolicyChoice
from topologies import Topology, TopologyError
from topologies.errors import did_you_mean

_PLAIN: Final = (str, int, float, bool)
_NAMED: Final = ("policy", "scenario")
TAKEN: Final = ("variant", "replication", "seed")


@dataclass(frozen=True, slots=True)
class Factor:
    """What is varied: ``policy``, ``scenario`` or a path of the topology; its levels, each with its label.

    ``column`` is what frames call it: the end of the path.
    """

    path: str
    column: str
    levels: tuple[tuple[Any, Any], ...]

    @property
    def labels(self) -> list[Any]:
        return [label for label, _ in self.levels]


@dataclass(frozen=True, slots=True, repr=False)
class Variant:
    """One combination of levels, and what it means."""

    number: int
    labels: Mapping[str, Any]
    topology: Topology
    scenario: str
    policy: PolicyChoice

    def __repr__(self) -> str:
        said = ", ".join(f"{column} = {label}" for column, label in self.labels.items()) or "as it is"
        return f"<Variant {self.number}: {self.topology.name}, scenario {self.scenario}, {said}>"

    def identity(self) -> dict[str, Any]:
        """What makes it this one and no other, as plain values."""
        return {
            "labels": dict(self.labels),
            "topology": self.topology.fingerprint(),
            "scenario": self.scenario,
            "policy": _policy_identity(self.topology, self.policy),
        }


def factor(path: str, values: Iterable[Any] | Mapping[str, Any], taken: Sequence[Factor]) -> Factor:
    """A factor from what an author wrote: values, or labels with values.

    Raises
    ------
    InputError
        If it has no values, a value needs a label, or the factor is there already.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{path} is to take several values - write a list, such as [{values!r}, ...]")
    levels = (
        list(values.items()) if isinstance(values, Mapping) else [(_label(path, each), each) for each in values]
    )
    if not levels:
        raise InputError(f"{path} has no values - write at least one")
    labels = [label for label, _ in levels]
    if len(set(labels)) < len(labels):
        raise InputError(f"{path} takes one value twice ({labels}) - give labels: {{'one': ..., 'other': ...}}")
    if any(each.path == path for each in taken):
        raise InputError(f"{path} is varied twice - join the two lists")
    if "." not in path and path not in (*_NAMED, *TAKEN, *Topology.model_fields):
        raise InputError(f"{path} cannot be varied - {did_you_mean(path, _NAMED)} (or a path: edges.edge1.policy)")
    if path in TAKEN:
        raise InputError(f"{path} cannot be varied - every variant meets the same seeds; see replications")
    return Factor(path, path, tuple(levels))


def _label(path: str, value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, Policy):
        return type(value).__name__
    raise InputError(f"{path}: {value!r} has no short name - give labels: {{'one': {value!r}, ...}}")


def with_columns(factors: Sequence[Factor]) -> list[Factor]:
    """The factors with short names: the last word of the path, or more where two end alike."""
    named = []
    for each in factors:
        words = each.path.split(".")
        for length in range(1, len(words) + 1):
            short = ".".join(words[-length:])
            others = [other.path for other in factors if other is not each]
            if not any(path == short or path.endswith(f".{short}") for path in others) and short not in TAKEN:
                break
        named.append(Factor(each.path, short, each.levels))
    return named


def variants(
    topology: Topology, factors: Sequence[Factor], scenario: str | None, policy: PolicyChoice
) -> list[Variant]:
    """Every combination of levels, the last factor changing fastest.

    Raises
    ------
    InputError
        If one of them cannot be run.
    """
    found: list[Variant] = []
    for levels in product(*(each.levels for each in factors)):
        chosen = {each.path: value for each, (_, value) in zip(factors, levels, strict=True)}
        labels = {each.column: label for each, (label, _) in zip(factors, levels, strict=True)}
        wanted = chosen.pop("scenario", scenario)
        routes: PolicyChoice = chosen.pop("policy", policy)
        try:
            topology.scenario(wanted)
        except TopologyError as error:
            raise InputError(str(error.problems[0])) from None
        name = wanted or topology.default_scenario or ""
        changed = with_settings(topology, chosen, name)
        check_policy(changed, routes)
        found.append(Variant(len(found), labels, changed, name, routes))
    return found


def _policy_identity(topology: Topology, policy: PolicyChoice) -> str:
    """The policy's name with a digest of its source: results of another text are not its own."""
    if policy is None:
        return "; ".join(_named_identity(edge.policy.use) for edge in topology.edges.values())
    if isinstance(policy, str):
        return _named_identity(policy)
    kind = policy if isinstance(policy, type) else type(policy)
    options = "" if isinstance(policy, type) else repr(sorted(vars(policy).items(), key=lambda item: item[0]))
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        source = ""
    return f"{kind.__name__} {_digest(source + options)}"


def _named_identity(use: str) -> str:
    place = use.rpartition(":")[0] if use.rpartition(":")[0].endswith(".py") else use
    path = Path(place)
    return f"{use} {_digest(path.read_text(encoding='utf-8'))}" if path.suffix == ".py" and path.is_file() else use


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
