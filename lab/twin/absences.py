"""Which nodes were away in a recording, and when: what was asked of them and never answered."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

from lab.twin.recording import Recording
from lab.twin.roles import Roles
from sim.checkers.reading import branch_of, cseq_of
from topologies import Topology
from topologies.faults import ProcessFault, Start

MOST_PATIENCE_S: Final = 1.0
"""A node is taken for away where nothing came from it for so long though it was asked."""

_BEFORE_S: Final = 0.001


class Absence(NamedTuple):
    """``killed``: its port was closed, as ICMP told; else it hung, or the network. ``back_s`` None: for good."""

    node: str
    gone_s: float
    back_s: float | None
    killed: bool


def absences_of(recording: Recording, topology: Topology) -> list[Absence]:
    """Find them, in the order of time."""
    roles = Roles(topology)
    asked: dict[str, list[tuple[float, bytes]]] = defaultdict(list)
    heard: dict[str, list[float]] = defaultdict(list)
    answered: set[tuple[str, bytes]] = set()
    for message in recording.messages:
        if node := roles.node(message.source):
            heard[node].append(message.time_s)
            if message.data.startswith(b"SIP/2.0 "):
                answered.add((node, _key(message.data)))
        elif (node := roles.node(message.destination)) and not message.data.startswith((b"SIP/2.0 ", b"ACK ")):
            asked[node].append((message.time_s, _key(message.data)))
    closed: dict[str, list[float]] = defaultdict(list)
    for time_s, port in recording.refused:
        if node := roles.node(port):
            closed[node].append(time_s)
    found = [each for node in asked for each in _of_node(node, asked[node], heard[node], answered, closed[node])]
    return sorted(found, key=lambda absence: absence.gone_s)


def faults_of_absences(absences: list[Absence], topology: Topology) -> list[ProcessFault | Start]:
    """What a scenario says of them; a killed node is started so early that it answers when it did."""
    faults: list[ProcessFault | Start] = []
    for node, gone_s, back_s, killed in absences:
        faults.append(ProcessFault(at_s=gone_s, kind="kill" if killed else "freeze", target=node))
        if back_s is not None and killed:
            started_s = max(back_s - topology.nodes[node].model.startup_s, gone_s)
            faults.append(Start(at_s=started_s, kind="start", target=node))
        elif back_s is not None:
            faults.append(ProcessFault(at_s=back_s, kind="thaw", target=node))
    return faults


def _of_node(
    node: str,
    asked: list[tuple[float, bytes]],
    heard: list[float],
    answered: set[tuple[str, bytes]],
    closed: list[float],
) -> list[Absence]:
    found: list[Absence] = []
    in_vain = [time_s for time_s, key in asked if (node, key) not in answered]
    while in_vain:
        gone_s = in_vain[0] - _BEFORE_S
        back_s = next((time_s for time_s in heard if time_s > gone_s), None)
        meanwhile = [time_s for time_s in in_vain if back_s is None or time_s < back_s]
        killed = any(gone_s <= time_s and (back_s is None or time_s < back_s) for time_s in closed)
        last_s = meanwhile[-1] if back_s is None else back_s
        if killed or last_s - gone_s > MOST_PATIENCE_S:
            found.append(Absence(node, max(gone_s, 0.0), back_s, killed))
        in_vain = in_vain[max(len(meanwhile), 1) :]
    return found


def _key(data: bytes) -> bytes:
    """Branch and method: what a request and its answers have in common."""
    return branch_of(data) + b" " + cseq_of(data)[1]
