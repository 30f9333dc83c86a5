"""The world of one run: places, network, trace, faults and checkers, all from one seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import simpy

from engine.boundary import AgentOrder, Input, Interface, NodeOrder, Note
from engine.config import StoreConfig
from sim.checkers import Checker, Inspectable, Violation
from sim.database import Database, SimStore
from sim.faults import BoxFault, Fault, FaultApplied, NetworkFault, NodeFault, PathFault, ProcessFault
from sim.host import Factory, SimHost
from sim.links import Link
from sim.media import MediaPlane
from sim.network import Network
from sim.random_streams import RandomStreams
from sim.trace import Recording, Trace

STEP_S = 1.0
"""How often a long run reports its progress and a drain looks whether it is done."""


class World:
    """One simulated world. Add places, link them, schedule faults, run.

    ``links`` says what lies between two places that ``link`` was not called for; default: a quiet LAN.
    The same additions and the same seed give the same run, event by event; ``trace.hash`` proves it.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        links: Callable[[str, str], Link] | None = None,
        record: Recording = "none",
        checkers: Iterable[Checker] = (),
    ) -> None:
        self.env = simpy.Environment()
        self.trace = Trace(record)
        self.streams = RandomStreams(seed)
        self.network = Network(self.env, self.trace, self.streams, links)
        self.hosts: dict[str, SimHost] = {}
        self.databases: dict[str, Database] = {}
        self._checkers = tuple(checkers)
        self._started = False
        for checker in self._checkers:
            self.trace.listen(checker.on_message, checker.on_note)

    @property
    def now(self) -> float:
        """Virtual time, in seconds from the world's beginning."""
        return self.env.now

    # --- set-up -------------------------------------------------------------------------------------------

    def add(
        self, place: str, factory: Factory, interfaces: Iterable[Interface], store: StoreConfig | None = None
    ) -> SimHost:
        """Put a host at a place of its own; ``factory`` makes its machine at each start.

        ``store`` says how its records are kept, in one of the ``databases``.

        Hosts start when the world first runs, in the order in which they were added. Raises ValueError where the
        place or an address is taken.
        """
        if place in self.hosts:
            raise ValueError(f"there is already a host at {place} - choose another name")
        keep = partial(self._store, store) if store is not None and store.database is not None else None
        host = SimHost(self.env, self.network, self.trace, place, factory, interfaces, store=keep)
        self.hosts[place] = host
        return host

    def add_database(self, name: str, latency_s: float, jitter_s: float) -> Database:
        """Let there be a database, empty and running."""
        self.databases[name] = made = Database(self, self.streams.stream(f"database {name}"), latency_s, jitter_s)
        return made

    def _store(self, config: StoreConfig, host: SimHost) -> SimStore:
        def tell(note: Note) -> None:
            self.trace.note(self.now, host.place, note)

        database = self.databases[config.database or ""]
        return SimStore(database, config, host.place, self, host.receive, tell)

    def later(self, delay_s: float, function: Callable[..., None], *arguments: object) -> None:
        """Call a function after ``delay_s``."""
        self.network.later(delay_s, function, *arguments)

    def link(self, place: str, other: str, link: Link) -> None:
        """Set the link between two places, both ways."""
        self.network.link(place, other, link)

    def schedule(self, faults: Iterable[Fault]) -> None:
        """Let these faults happen, at their times from now on."""
        for fault in faults:
            self.network.later(fault.at_s, self.apply, fault)

    def deliver(self, place: str, order: Input) -> None:
        """Give an order to the machine at a place; a dead one takes no notice."""
        self.hosts[place].receive(order)

    def look_at_media(self, *, one_by_one: bool = False) -> MediaPlane:
        """Let media pass between those who tell of them; ``one_by_one``: packet by packet."""
        media = MediaPlane(
            self.network, self.hosts.__getitem__, self.streams.stream("media"), one_by_one=one_by_one
        )
        self.network.media = media
        self.trace.listen(None, media.on_note)
        return media

    # --- running ------------------------------------------------------------------------------------------

    def run(self, until_s: float, progress: Callable[[float], None] | None = None) -> None:
        """Run until virtual time is ``until_s``; ``progress`` is told the time, each virtual second."""
        self._start()
        while self.now < until_s:
            self.env.run(until=min(self._next_step(), until_s) if progress else until_s)
            if progress:
                progress(self.now)

    def drain(
        self, idle: Callable[[], bool], at_most_s: float, progress: Callable[[float], None] | None = None
    ) -> bool:
        """Run until ``idle()``, looked at each second, but no longer than ``at_most_s``; whether it came."""
        end_s = self.now + at_most_s
        while not idle():
            if self.now >= end_s:
                return False
            self.run(min(self._next_step(), end_s), progress)
        return True

    def finish(self, edges: Mapping[str, Inspectable]) -> list[Violation]:
        """Ask the checkers for their verdict; ``edges`` are those that can be asked. In the order of time."""
        if self.network.media is not None:
            self.network.media.finish()
        for checker in self._checkers:
            checker.finish(self.now, edges)
        found = [violation for checker in self._checkers for violation in checker.violations]
        return sorted(found, key=lambda violation: violation.time_s)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for host in self.hosts.values():
                host.start()

    def _next_step(self) -> float:
        return (math.floor(self.now / STEP_S) + 1.0) * STEP_S

    # --- faults -------------------------------------------------------------------------------------------

    def apply(self, fault: Fault) -> None:
        """Make a fault happen now."""
        if isinstance(fault, ProcessFault):
            for target in fault.targets:
                self._to_process(fault, target)
        elif isinstance(fault, PathFault):
            self._to_paths(fault)
        elif isinstance(fault, BoxFault):
            self._tell("reboot", fault.target, "", "")
            self.network.middleboxes.reboot(fault.target)
        elif isinstance(fault, NodeFault):
            self._to_nodes(fault)
        elif isinstance(fault, NetworkFault):
            for target in fault.targets:
                self._to_network(fault, target)
        else:
            for target in fault.targets:
                self._tell(fault.order, target, "", fault.argument)
                self.hosts[target].receive(AgentOrder(fault.order, fault.argument))

    def _to_database(self, fault: ProcessFault, target: str) -> None:
        database = self.databases[target]
        kind = fault.kind
        self._tell(kind, target, "", f"by {fault.delay_s:g} s" if kind == "slow" else "")
        if kind == "kill":
            database.state = "killed"
        elif kind == "freeze" and database.state == "running":
            database.state = "frozen"
        elif kind == "start" or (kind == "thaw" and database.state == "frozen"):
            database.state = "running"
        elif kind in ("slow", "normal"):
            database.slow_s = fault.delay_s

    def _to_process(self, fault: ProcessFault, target: str) -> None:
        if target in self.databases:
            self._to_database(fault, target)
            return
        host = self.hosts[target]
        kind = fault.kind
        detail = f"by {fault.delay_s:g} s" if kind == "slow" else "with its data" if fault.keep_data else ""
        self._tell(kind, target, "", detail)
        if kind == "kill":
            host.kill()
        elif kind == "start":
            host.start(fault.keep_data)
        elif kind == "freeze":
            host.freeze()
        elif kind == "thaw":
            host.thaw()
        elif kind == "slow":
            host.slow(fault.delay_s)
        elif kind == "normal":
            host.slow(0.0)
        else:
            host.receive(AgentOrder(kind))

    def _to_paths(self, fault: PathFault) -> None:
        said = {"loss": f"{fault.share:.1%}", "cut": "silently" if fault.silent else ""}
        detail = said.get(fault.kind, "one way" if fault.one_way else "")
        self._tell(fault.kind, " ".join(fault.places), " ".join(fault.others), detail)
        if fault.kind == "cut":
            for place, other in _paths(fault.places, fault.others, one_way=True):
                self.network.cut(place, other, silently=fault.silent)
            return
        for place, other in _paths(fault.places, fault.others, fault.one_way):
            if fault.kind == "partition":
                self.network.block(place, other)
            elif fault.kind == "heal":
                self.network.heal(place, other)
            else:
                direction = self.network.direction(place, other)
                own = self.network.settings(place, other).loss
                direction.link = replace(direction.link, loss=1.0 - (1.0 - own) * (1.0 - fault.share))

    def _to_nodes(self, fault: NodeFault) -> None:
        for node in fault.nodes:
            for edge in fault.edges:
                self._tell(fault.kind, node, edge, "")
                self.hosts[edge].receive(NodeOrder(node, fault.kind))

    def _to_network(self, fault: NetworkFault, target: str) -> None:
        host = self.hosts[target]
        self._tell(fault.kind, target, "", fault.host)
        if fault.kind == "sleep":
            host.freeze()
            self.network.unplug(target)
        elif fault.kind == "wake":
            self.network.plug(target)
            host.thaw()
        else:
            host.move(fault.host)
            host.receive(AgentOrder("move", fault.host))

    def _tell(self, kind: str, target: str, other: str, detail: str) -> None:
        self.trace.note(self.now, "world", FaultApplied(kind, target, other, detail))


def _paths(places: Sequence[str], others: Sequence[str], one_way: bool) -> list[tuple[str, str]]:
    """Each direction once, in a fixed order."""
    paths = [(place, other) for place in places for other in others if place != other]
    if not one_way:
        paths += [(other, place) for place, other in paths]
    return list(dict.fromkeys(paths))
