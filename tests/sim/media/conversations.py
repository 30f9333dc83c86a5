"""Who heard whom in a simulated call, in short."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import topologies
from engine.boundary import Note
from sim.media import Heard
from sim.run import Run, simulate
from topologies.topology import Topology

N = TypeVar("N", bound=Note)

DEPLOYMENT = """\
edges:
  edge1:
    interfaces:
      web: {transport: WEB, host: 127.0.0.1, port: 7443}
      phones: {host: 127.0.0.1}
      inside: {host: 127.0.0.2}
    relay: RELAY
nodes:
  FS1: {host: 127.0.1.1, interface: inside, resources: pstn=500, model: {users: 1000-1019, trusts_edges: true}}
nats:
  home: {preset: home_gateway, host: 127.0.3.1}
clients:
  browsers: {kind: browser, transport: WEB, host: 127.0.2.1, users: 1000-1004, network: wan}
  softphones: {kind: softphone, host: 127.0.2.2, users: 1010-1014, interface: phones, behind: home, network: wan}
  desk: {kind: softphone, host: 127.0.2.3, users: 1015-1019, interface: phones, asymmetric: true}
networks:
  wan: {latency_ms: 30}
scenarios:
  talk:
    duration_s: 60
    media: MEDIA
    faults:
      - {at_s: 0, kind: partition, between: [clients, nodes]}
"""


@dataclass
class Talk:
    """A run, and what was heard in it."""

    run: Run
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heard = [record.note for record in self.run.notes if isinstance(record.note, Heard)]

    def between(self, listener: str, speaker: str) -> Heard:
        """The one row of these two."""
        (row,) = [each for each in self.heard if (each.listener, each.speaker) == (listener, speaker)]
        return row

    def hears(self, listener: str, speaker: str) -> bool:
        return any((each.listener, each.speaker) == (listener, speaker) for each in self.heard)

    def nobody_hears(self) -> bool:
        return all(not each.speaker for each in self.heard)

    def told(self, kind: type[N]) -> list[N]:
        return [record.note for record in self.run.notes if isinstance(record.note, kind)]


def deployment(
    *faults: str, relay: str = "builtin", web: str = "wss", media: str = "streams", **replaced: str
) -> Topology:
    """The deployment with these faults besides, each in YAML; ``replaced`` is replaced in its text."""
    text = DEPLOYMENT.replace("RELAY", relay).replace("WEB", web).replace("MEDIA", media)
    for before, after in replaced.items():
        assert before in text
        text = text.replace(before, after)
    return topologies.parse((text + "".join(f"      - {{{fault}}}\n" for fault in faults)).encode())


def talk(*faults: str, seed: int = 0, **settings: Any) -> Talk:
    """Let it happen. Every checker must be content."""
    run = simulate(deployment(*faults, **settings), seed=seed)
    assert run.violations == []
    assert run.drained
    return Talk(run)


def call(caller: str, to: str, *, at_s: float = 5, hold_s: float = 10) -> str:
    return f"at_s: {at_s}, kind: call, target: {caller}, to: {to}, hold_s: {hold_s}"
