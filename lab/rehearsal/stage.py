"""The places of a rehearsal: each a process of its own in the eyes of the others, all in one event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from types import MappingProxyType

from engine.boundary import AgentOrder, Drain, Input, NodeOrder, Note
from engine.edge import Edge
from engine.live import LiveHost
from engine.live.relay.certificate import Certificate
from engine.live.relay.hosting import plane_for
from engine.live.store import Database, Store
from lab.rehearsal.commands import run_command
from lab.rehearsal.speech import Speech
from lab.rehearsal.voices import Voices
from lab.rehearsal.wires import Tapped, Wires
from sim.agents.browser import Browser
from sim.agents.softphone import Softphone
from sim.agents.traffic import Traffic
from sim.faults import (
    AgentFault,
    BoxFault,
    Fault,
    FaultApplied,
    NetworkFault,
    NodeFault,
    PathFault,
    ProcessFault,
)
from sim.host import Birth
from sim.part import Part
from sim.random_streams import RandomStreams
from sim.trace import Trace


class Stage:
    """Starts, kills, freezes and slows the parts of a topology.

    ``certificates`` are those of the edges' relays, ``agents`` is that of the modelled agents, by which they speak
    WebRTC, ``speech`` what they say.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        seed: int,
        trace: Trace,
        folder: Path,
        certificates: Mapping[str, Certificate] = MappingProxyType({}),
        kill_with: Mapping[str, str] = MappingProxyType({}),
        *,
        agents: Certificate | None = None,
        speech: Speech | None = None,
    ) -> None:
        self._parts = {part.place: part for part in parts}
        self._streams = RandomStreams(seed)
        self._trace = trace
        self._folder = folder
        self._certificates = certificates
        self._kill_with = kill_with  # commands that kill real nodes
        self._stores: dict[str, Store] = {}
        self._hosts: dict[str, LiveHost] = {}
        self._machines: dict[str, Tapped] = {}
        self._starts = dict.fromkeys(self._parts, 0)
        self._frozen: set[str] = set()
        self._wires = Wires(trace, parts, self.runs)
        self._zero = monotonic()
        self._voices = Voices(
            lambda: self.now_s,
            lambda place, note: trace.note(self.now_s, place, note),
            self._streams.stream("voices"),
            speech,
            agents,
        )
        trace.listen(None, self._voices.on_note)

    # --- life

    async def open(self) -> None:
        """Start all parts, in order: nodes, edges, clients.

        Raises
        ------
        LiveError
            If an address is taken; nothing is left open then.
        """
        self._zero = monotonic()
        try:
            for place in self._parts:
                await self._start(place)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all parts at once."""
        for place in self._hosts:
            self._kill(place)
        self._voices.close()
        self._wires.close()

    @property
    def now_s(self) -> float:
        """Seconds since the curtain rose."""
        return monotonic() - self._zero

    def runs(self, place: str) -> bool:
        """Whether the place has a process, frozen or not."""
        return place in self._hosts and self._hosts[place].running

    def host(self, place: str) -> LiveHost:
        """The host of a place that runs."""
        return self._hosts[place]

    async def _start(self, place: str, *, keep_data: bool = False) -> None:
        if self.runs(place):
            return
        part, number = self._parts[place], self._starts[place]
        self._starts[place] += 1
        made = part.make(Birth(number, keep_data), self._streams.stream(f"{place} start {number}"))
        machine = Tapped(made, part, self._wires, self._zero)

        def tell(note: Note, now: float) -> None:
            self._trace.note(now - self._zero, place, note)

        store = self._store(part)
        media = None if part.relay is None else plane_for(part.relay, self._certificates[place])
        host = LiveHost(machine, part.interfaces, on_note=tell, keep=store.put if store else None, media=media)
        self._hosts[place], self._machines[place] = host, machine
        await host.start()
        if store:
            self._stores[place] = store
            store.attach(host.deliver, tell)

    def _store(self, part: Part) -> Store | None:
        """What keeps the records of a part: a SQLite file of the rehearsal, whatever the topology names."""
        if part.store is None or part.store.database is None:
            return None
        database = Database(f"sqlite:///{self._folder / part.store.database}.db")
        store = Store(database, part.store, part.place, clock=monotonic)
        store.open()
        return store

    def _kill(self, place: str) -> None:
        self._hosts[place].kill()
        if store := self._stores.pop(place, None):
            store.kill()

    # --- faults

    async def apply(self, fault: Fault) -> None:
        """Make a fault happen now."""
        match fault:
            case ProcessFault():
                for target in fault.targets:
                    detail = f"by {fault.delay_s:g} s" if fault.kind == "slow" else ""
                    self._tell(fault.kind, target, "", detail)
                    await self._to_process(fault, target)
            case NodeFault():
                for node in fault.nodes:
                    for edge in fault.edges:
                        self._tell(fault.kind, node, edge, "")
                        self._deliver(edge, NodeOrder(node, fault.kind))
            case PathFault(kind="cut", silent=False):
                self._tell(fault.kind, " ".join(fault.places), " ".join(fault.others), "")
                self._cut(fault.places, fault.others)
                self._cut(fault.others, fault.places)
            case AgentFault():
                for target in fault.targets:
                    self._tell(fault.order, target, "", fault.argument)
                    self._deliver(target, AgentOrder(fault.order, fault.argument))
            case NetworkFault(kind="sleep" | "wake"):
                for target in fault.targets:
                    self._tell(fault.kind, target, "", "")
                    if self.runs(target):
                        self._suspend(target, asleep=fault.kind == "sleep")
            case PathFault() | BoxFault() | NetworkFault():
                raise ValueError("a real loopback has no links, no NATs and no second network")

    def _cut(self, places: Sequence[str], others: Sequence[str]) -> None:
        hosts = {each.host for other in others for each in self._parts[other].interfaces}
        for place in places:
            if self.runs(place):
                self._hosts[place].cut(hosts)

    def _suspend(self, place: str, *, asleep: bool) -> None:
        host = self._hosts[place]
        if asleep:
            self._frozen.add(place)
            host.freeze()
        else:
            self._frozen.discard(place)
            host.thaw()

    async def _to_process(self, fault: ProcessFault, target: str) -> None:
        if fault.kind == "kill" and target in self._kill_with:
            await run_command(target, self._kill_with[target])
        elif fault.kind == "start":
            await self._start(target, keep_data=fault.keep_data)
        elif self.runs(target):
            host = self._hosts[target]
            match fault.kind:
                case "kill":
                    self._frozen.discard(target)
                    self._kill(target)
                case "freeze" | "thaw":
                    self._suspend(target, asleep=fault.kind == "freeze")
                case "slow" | "normal":
                    self._machines[target].delay_s = fault.delay_s
                case _:
                    host.deliver(AgentOrder(fault.kind))

    def _tell(self, kind: str, target: str, other: str, detail: str) -> None:
        self._trace.note(self.now_s, "world", FaultApplied(kind, target, other, detail))

    def _deliver(self, place: str, order: Input) -> None:
        if self.runs(place):
            self._hosts[place].deliver(order)

    # --- the end

    def stop_calling(self) -> None:
        """No caller begins another call."""
        for place, part in self._parts.items():
            if part.role == "client":
                self._deliver(place, Drain())

    @property
    def idle(self) -> bool:
        """Whether no call stands, with callers or at an edge."""
        for machine in self._running("client"):
            if isinstance(machine, (Traffic, Softphone, Browser)) and machine.phones.calls:
                return False
        return all(edge.idle for edge in self.edges().values())

    def edges(self) -> dict[str, Edge]:
        """The edges that are neither dead nor frozen."""
        return {edge.config.name: edge for edge in self._running("edge") if isinstance(edge, Edge)}

    def _running(self, role: str) -> list[object]:
        return [
            self._machines[place].machine
            for place, part in self._parts.items()
            if part.role == role and self.runs(place) and place not in self._frozen
        ]
