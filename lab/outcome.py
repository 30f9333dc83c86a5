"""What a run left behind, whichever world it ran in: the common ground of simulation's and rehearsal's reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lab.watch import ShownCall
from sim.checkers import Violation
from sim.trace import MessageRecord, NoteRecord
from topologies import Topology


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Outcome:
    """A run that has ended.

    Attributes
    ----------
    world : {"simulation", "rehearsal"}
        Where it ran.
    topology : Topology
        As it was run; in a rehearsal its addresses may have been moved.
    scenario : str
        The scenario's name.
    fingerprint : str
        Of the topology's file, whatever policy was asked for instead of its own.
    policy : str
        What routed: the edges' policies, each once.
    seed : int
        Of all randomness.
    duration_s : float
        New calls came for so long.
    end_s : float
        When the last call was over, on the run's clock.
    wall_s : float
        How long the run took.
    notes : sequence of NoteRecord
        All facts, in order.
    violations : sequence of Violation
        What the checkers found.
    trace_hash : str or None
        Equal for equal runs; None in a rehearsal, where time is real.
    shown : ShownCall or None
        The call for the ladder.
    messages : sequence of MessageRecord
        All messages, where they were kept.
    """

    world: Literal["simulation", "rehearsal"]
    topology: Topology
    scenario: str
    fingerprint: str
    policy: str
    seed: int
    duration_s: float
    end_s: float
    wall_s: float
    notes: Sequence[NoteRecord]
    violations: Sequence[Violation]
    trace_hash: str | None
    shown: ShownCall | None
    messages: Sequence[MessageRecord] = ()

    def __repr__(self) -> str:
        return (
            f"<Outcome of a {self.world}: {self.topology.name}, scenario {self.scenario}, policy {self.policy}, "
            f"seed {self.seed}, {len(self.notes):,} notes, {len(self.violations):,} violations>"
        )
