"""Four ways to put FreeSWITCH behind NATs, on identical agents and calls: who is reached, what a death costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import pandas as pd

from lab.errors import InputError
from lab.facts import gather
from lab.results import to_frames
from lab.simulation import run_simulation
from topologies import Topology, load
from topologies.faults import ProcessFault

_Plain: TypeAlias = dict[str, Any]

LAST_CALLS_S: Final = 15.0
"""Calls placed so shortly before the end are left out: the end may cut them off."""


class Design(NamedTuple):
    """A way to build the site: what FreeSWITCH stores as Contact, and what differs from the chosen topology."""

    contact: str
    change: Callable[[_Plain], None]


def _direct(plain: _Plain) -> None:
    """The nodes store the agent's address as its NAT shows it to the edge, and call it there by themselves."""
    for edge in plain["edges"].values():
        edge.setdefault("registrar", {})["mode"] = "direct"


def _client_side(plain: _Plain) -> None:
    """Each softphone asks which nodes live, takes one, and another one when its registration fails.

    Browsers stay at the edge: the modelled nodes speak no WebSocket.
    """
    nodes = list(plain["nodes"])
    for client in plain["clients"].values():
        if client.get("kind") != "browser":
            client["nodes"] = nodes
            if client.get("kind", "traffic") == "traffic":  # all on one socket, so at one node: share them out
                client["registers"] = True
                nodes = [*nodes[1:], nodes[0]]
    for node in plain["nodes"].values():
        node.setdefault("model", {})["ping_s"] = 25.0  # nobody else keeps the NATs open


def _media_flag(plain: _Plain) -> None:
    """The nodes offer browser media to everybody; there is no relay to make it fit."""
    for node in plain["nodes"].values():
        node.setdefault("model", {})["media_webrtc"] = True
    for client in plain["clients"].values():
        if client.get("kind") == "browser":
            client["media"] = "webrtc"


def _chosen(plain: _Plain) -> None:
    """As the file has it."""


DESIGNS: Final[Mapping[str, Design]] = {
    "direct_contact": Design("the agent's address as the NAT shows it to the edge", _direct),
    "client_side_failover": Design("the agent's address, at a node of the agent's own choice", _client_side),
    "media_flag": Design("the edge; all calls offer browser media, without a relay", _media_flag),
    "edge_as_contact": Design("the edge, whose relay offers each side what it can take", _chosen),
}


def in_words(design: str) -> str:
    """A design's name as it is shown."""
    return design.replace("_", " ")


def topology_of(design: str, chosen: Topology | None = None) -> Topology:
    """The topology of one design, derived from the chosen one's.

    Raises
    ------
    InputError
        If there is no such design.
    """
    if design not in DESIGNS:
        raise InputError(f"there is no design {design!r} - take one of {', '.join(DESIGNS)}")
    plain = (chosen or _packaged()).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    plain["name"] = f"{plain.get('name', 'designs')}, {in_words(design)}"
    DESIGNS[design].change(plain)
    return Topology.model_validate(plain)


@lru_cache(maxsize=1)
def _packaged() -> Topology:
    return load(Path(__file__).with_name("designs.yaml"))


def compare_designs(
    designs: tuple[str, ...] = tuple(DESIGNS),
    *,
    chosen: Topology | None = None,
    seed: int = 0,
    on_design: Callable[[], object] | None = None,
) -> pd.DataFrame:
    """Run each design once, with the same seed, and tell who was reached.

    Parameters
    ----------
    designs : tuple of str
        Names in `DESIGNS`.
    chosen : Topology, optional
        The topology of ``edge_as_contact``, from which the others are derived; default: the one beside this
        module. Its default scenario kills one node, and calls each agent again and again.
    seed : int
        Of all runs.
    on_design : callable, optional
        Called after each run.

    Returns
    -------
    DataFrame
        One row a design and client: ``design``, ``client``, ``agents``, ``reached_before`` (share of
        calls answered before the death), ``reached_after`` (while the node is dead), ``calls_lost``, ``cut_off``
        (share of agents that could be called before the death and then, for twice as long as ever before, could
        not), ``unreachable_s`` (mean of those, beyond the longest pause before).
    """
    found = []
    for name in designs:
        found.append(_run(name, topology_of(name, chosen), seed))
        if on_design is not None:
            on_design()
    return pd.concat(found, ignore_index=True)


def _run(design: str, topology: Topology, seed: int) -> pd.DataFrame:
    scenario = topology.scenario()
    outcome = run_simulation(topology, seed=seed)
    calls = to_frames(gather(outcome.notes)).calls
    died_s = min(fault.at_s for fault in scenario.faults if isinstance(fault, ProcessFault))
    back_s = min((fault.at_s for fault in scenario.faults if fault.kind == "start"), default=scenario.duration_s)
    calls = calls[calls.placed_at_s.between(scenario.warm_up_s, scenario.duration_s - LAST_CALLS_S)]
    calls = calls.assign(reached=calls.outcome == "answered")
    rows = []
    for name, client in topology.clients.items():
        if not client.does_register:
            continue
        theirs = calls[calls.to.isin(client.users.names)]
        if theirs.empty:
            continue  # nobody calls them
        before = theirs[theirs.placed_at_s < died_s]
        after = theirs[theirs.placed_at_s.between(died_s, back_s)]
        lost = _unreachable_s(theirs, died_s, back_s)
        rows.append(
            {
                "design": design,
                "client": name.removeprefix("behind_"),
                "agents": len(client.users),
                "reached_before": before.reached.mean(),
                "reached_after": after.reached.mean(),
                "calls_lost": int((~theirs.reached).sum()),
                "cut_off": float((lost > 0).mean()) if len(lost) else float("nan"),
                "unreachable_s": float(lost[lost > 0].mean()) if (lost > 0).any() else 0.0,
            }
        )
    return pd.DataFrame(rows)


def _unreachable_s(calls: pd.DataFrame, died_s: float, back_s: float) -> pd.Series[float]:
    """For how long each agent that was reached before could not be called, beyond the pauses that it knew."""
    found = {}
    for user, theirs in calls.groupby("to"):
        answered = theirs[theirs.reached].placed_at_s.sort_values()
        before = answered[answered < died_s]
        if len(before) < 2:
            continue  # nobody reached it anyway
        usual_s = float(before.diff().max())
        after = answered[(answered >= died_s) & (answered < back_s)]
        pauses_s = pd.Series([before.iloc[-1], *after, back_s]).diff()
        longest_s = float(pauses_s.max())
        found[user] = longest_s - usual_s if longest_s >= 2 * usual_s else 0.0
    return pd.Series(found, dtype="float64")
