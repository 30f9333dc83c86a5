"""What befalls the world of a topology: a scenario's faults, with the places that they name."""

from __future__ import annotations

from collections.abc import Sequence

from sim.faults import AgentFault, BoxFault, Fault, NetworkFault, NodeFault, PathFault, ProcessFault, flap
from sim.part import Part
from topologies import Topology
from topologies import faults as given
from topologies.scenarios import Scenario


def faults_of(topology: Topology, scenario: Scenario, all_parts: Sequence[Part]) -> list[Fault]:
    """What befalls the world of these parts, in the order of the file."""
    return [fault for each in scenario.faults for fault in _faults(topology, each, all_parts)]


def _faults(topology: Topology, fault: given.Fault, all_parts: Sequence[Part]) -> list[Fault]:
    def places(word: str) -> tuple[str, ...]:
        if word in topology.databases:
            return (word,)
        names = topology.places(word)
        return tuple(part.place for part in all_parts if part.name in names or part.place == word)

    at_s = fault.at_s
    match fault:
        case given.Flap():
            return flap(at_s, places(fault.target), fault.period_s, fault.times)
        case given.Partition() | given.Loss() | given.Heal() | given.Cut():
            return [_path_fault(fault, *map(places, fault.between))]
        case given.Reboot():
            return [BoxFault(at_s=at_s, target=fault.target)]
        case given.Order():
            return _orders(topology, fault)
        case given.Sleep():
            return [NetworkFault(at_s=at_s, kind=fault.kind, targets=places(fault.target))]
        case given.ChangeNetwork():
            return [NetworkFault(at_s=at_s, kind=fault.kind, targets=places(fault.target), host=fault.host)]
        case given.Deed() | given.Call() | given.Originate():
            targets = places(fault.target)
            return [AgentFault(at_s=at_s, order=fault.kind, targets=targets, argument=_argument(fault))]
        case _:
            return [
                ProcessFault(
                    at_s=at_s,
                    kind=fault.kind,
                    targets=places(fault.target),
                    delay_s=fault.delay_s if isinstance(fault, given.Slow) else 0.0,
                    keep_data=isinstance(fault, given.Start) and fault.keep_registrations,
                )
            ]


def _argument(fault: given.Deed | given.Call | given.Originate) -> str:
    """As the machines understand it."""
    if isinstance(fault, given.Call):
        return f"{fault.to} for {fault.hold_s:g}"
    return f"user/{fault.user} &echo" if isinstance(fault, given.Originate) else ""


def _path_fault(
    fault: given.Partition | given.Loss | given.Heal | given.Cut, places: tuple[str, ...], others: tuple[str, ...]
) -> PathFault:
    return PathFault(
        at_s=fault.at_s,
        kind=fault.kind,
        places=places,
        others=others,
        one_way=isinstance(fault, given.Partition) and fault.one_way,
        share=fault.share if isinstance(fault, given.Loss) else 0.0,
        silent=isinstance(fault, given.Cut) and fault.silent,
    )


def _orders(topology: Topology, fault: given.Order) -> list[Fault]:
    """One for each node, to those of the edges that serve it."""
    edges = [edge for word in fault.edges for edge in topology.places(word)]
    found: list[Fault] = []
    for node in topology.places(fault.target):
        serving = tuple(edge for edge in dict.fromkeys(edges) if node in topology.served(edge))
        found.append(NodeFault(at_s=fault.at_s, kind=fault.kind, nodes=(node,), edges=serving))
    return found
