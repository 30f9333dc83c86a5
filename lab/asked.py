"""What an author may give by hand, checked before a run begins."""

from __future__ import annotations

import os
from math import isfinite
from typing import TypeAlias

from engine.config import PolicyConfig
from engine.policies.loading import PolicyError, load_policy
from engine.policy import Policy
from lab.errors import InputError
from sim.build import PolicyChoice
from topologies import Topology, load

GivenTopology: TypeAlias = "Topology | str | os.PathLike[str]"
"""A topology, its packaged name, or the path of its file."""


def topology_from(given: GivenTopology) -> Topology:
    """The topology itself.

    Raises
    ------
    TopologyError, InputError
        If there is none.
    """
    if isinstance(given, Topology):
        return given
    if isinstance(given, (str, os.PathLike)):
        return load(given)
    raise InputError(f"{given!r} is no topology - give a name, a path, or what lab.load brings")


def check_run(seed: int, duration_s: float | None) -> None:
    """Refuse a seed or a duration that means nothing.

    Raises
    ------
    InputError
        With what to give instead.
    """
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed is {seed!r} - give a whole number from 0")
    if duration_s is not None and not (isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration_s is {duration_s} - give seconds above 0")


def check_policy(topology: Topology, policy: PolicyChoice) -> None:
    """Refuse what routes nothing.

    Raises
    ------
    InputError
        If there is no such policy, or it is none.
    """
    try:
        if isinstance(policy, str):
            load_policy(PolicyConfig(use=policy))
        elif isinstance(policy, type):
            if not issubclass(policy, Policy):
                raise InputError(f"{policy.__name__} is no policy - derive it from engine.policy.Policy")
            policy()
        elif policy is None:
            for edge in topology.edges.values():
                load_policy(edge.policy)
        elif not isinstance(policy, Policy):
            raise InputError(f"{policy!r} is no policy - give a name, a class or an object of a class")
    except PolicyError as error:
        raise InputError(str(error)) from None
    except TypeError as error:
        raise InputError(f"policy {policy!r}: {error} - give an object: Mine(option=...)") from None
