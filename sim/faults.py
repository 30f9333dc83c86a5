"""What goes wrong in a run, as data; ``sim.world`` makes it happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from engine.boundary import Level, Note

ProcessKind: TypeAlias = Literal[
    "kill", "start", "freeze", "thaw", "slow", "normal", "full", "not_full", "pause", "unpause"
]
"""What happens to a process: see ``SimHost``; from full on they are orders to a modelled FreeSWITCH."""

PathKind: TypeAlias = Literal["partition", "loss", "heal", "cut"]

NetworkKind: TypeAlias = Literal["change_network", "sleep", "wake"]

OrderKind: TypeAlias = Literal["drain", "resume", "disable", "enable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFault:
    """Something befalls the processes at these places."""

    at_s: float
    kind: ProcessKind
    targets: tuple[str, ...]
    delay_s: float = 0.0  # slow: what every input waits
    keep_data: bool = False  # start: with what the process had written to disk


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFault:
    """Something befalls the links from each of ``places`` to each of ``others``, and back unless one way."""

    at_s: float
    kind: PathKind
    places: tuple[str, ...]
    others: tuple[str, ...]
    one_way: bool = False
    share: float = 0.0  # loss: besides what the link itself loses
    silent: bool = False  # cut: neither end is told


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFault:
    """An operator's order about nodes, given to edges."""

    at_s: float
    kind: OrderKind
    nodes: tuple[str, ...]
    edges: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFault:
    """A NAT or balancer forgets all that it knew."""

    at_s: float
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFault:
    """An order to the modelled agents at these places: what their users do, or what a node's operator asks for."""

    at_s: float
    order: str
    targets: tuple[str, ...]
    argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFault:
    """What befalls the network under clients: they get another address, or are suspended and woken."""

    at_s: float
    kind: NetworkKind
    targets: tuple[str, ...]
    host: str = ""  # change_network: the new address


Fault: TypeAlias = ProcessFault | PathFault | BoxFault | NodeFault | AgentFault | NetworkFault


def flap(at_s: float, targets: tuple[str, ...], period_s: float, times: int) -> list[Fault]:
    """Killed and started again, over and over: down for the first half of each period."""
    faults: list[Fault] = []
    for number in range(times):
        down_s = at_s + number * period_s
        faults.append(ProcessFault(at_s=down_s, kind="kill", targets=targets))
        faults.append(ProcessFault(at_s=down_s + period_s / 2.0, kind="start", targets=targets))
    return faults


@dataclass(frozen=True, slots=True)
class FaultApplied(Note):
    """A fault took effect. ``other`` is the far end of a link, or the edge that got an order; else "".

    Several places at either end of a link are separated by spaces.
    """

    level: ClassVar[Level] = Level.WARNING
    kind: str
    target: str
    other: str
    detail: str
