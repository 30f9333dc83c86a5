"""A recording as the simulation takes it: the parts that agents play, and what became of each call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from sim.agents.freeswitch import Outcome
from sim.agents.player import Player, Script
from sim.host import Birth
from sim.part import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """``outcomes`` are by Call-ID: how the far end took the calls that nodes do not pass on to agents."""

    scripts: tuple[Script, ...]
    outcomes: Mapping[bytes, Outcome]

    def parts(self) -> list[Part]:
        """A machine for each agent."""
        return [_part(script) for script in self.scripts]


def _part(script: Script) -> Part:
    def make(_birth: Birth, rng: Random) -> Player:
        return Player(script, rng)

    return Part(place=script.name, name=script.name, role="client", interfaces=(script.interface,), make=make)
