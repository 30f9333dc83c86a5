"""Drives one machine on real sockets: feeds it what happens, carries out what it orders, keeps its one timer.

Several hosts live in one event loop (rehearsal: an edge, modelled FreeSWITCH nodes, call generators), so nothing
here is global. The clock is CLOCK_MONOTONIC, read once per batch; uvloop's own time ticks in milliseconds.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias

from engine.boundary import (
    NEVER,
    Commit,
    Drop,
    Effect,
    Input,
    Interface,
    Machine,
    Note,
    Ping,
    Save,
    Send,
    Unreachable,
)
from engine.boundary import Close as CloseStream
from engine.live.capture.tap import Tap
from engine.live.errors import LiveError, bind_error, endpoint
from engine.live.notes import InterfaceBound, MachineFailed
from engine.live.port import Context, Port, PortStats
from engine.live.settings import LiveSettings
from engine.live.sockets import allow_open_files, bind_tcp, bind_udp
from engine.live.tcp import TcpPort
from engine.live.tls import Tls, read_tls
from engine.live.udp import UdpPort
from engine.media.rules import MEDIA_EFFECTS, MediaInput

if TYPE_CHECKING:  # hosts without a relay need none of what this takes
    from engine.live.relay.hosting import PlaneMaker
    from engine.live.relay.plane import MediaPlane

MachineFactory: TypeAlias = Callable[[Mapping[str, Interface]], Machine]
"""Makes the machine once the interfaces are bound, so that it learns the ports that were taken for port 0."""

_EARLIEST_REARM_S: Final = 0.001  # timers of uvloop tick in milliseconds and may fire up to half of one too early
_FAILED_TICK_PAUSE_S: Final = 0.1  # a machine that raises in tick() may ask for the same tick again and again
_FAULT_KINDS_MAX: Final = 256


class LiveHost:
    """One machine on its interfaces.

    Parameters
    ----------
    machine
        The machine, or a function that makes it from the bound interfaces (by name).
    interfaces
        Bound by ``start``; port 0 takes a free one.
    on_note
        Called with each Note and the time of the host's clock. It must not block.
    keep
        Called with each order about records; None for machines that keep none.
    media
        Makes the data plane of a machine that relays media; None for others.
    """

    def __init__(
        self,
        machine: Machine | MachineFactory,
        interfaces: Sequence[Interface],
        *,
        on_note: Callable[[Note, float], None],
        settings: LiveSettings | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        keep: Callable[[Save | Drop | Commit, float], None] | None = None,
        media: PlaneMaker | None = None,
    ) -> None:
        self._made_from = machine
        self._interfaces = tuple(interfaces)
        self._on_note = on_note
        self._keep = keep
        self._make_plane = media
        self._plane: MediaPlane | None = None
        self._settings = settings or LiveSettings()
        self._loop = loop
        self._machine: Machine | None = None
        self._ports: dict[str, Port] = {}
        self._pending: deque[Input] = deque()
        self._busy = False
        self._frozen = False
        self.tap = Tap(lambda: self.interfaces)
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._timer: asyncio.Handle | None = None
        self._armed_for = NEVER
        self._faults: set[tuple[type[BaseException], str, int]] = set()

    # --- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind the interfaces, then start the machine.

        Raises
        ------
        LiveError
            An interface cannot be bound, or its certificate not be read; none stays open then.
        """
        loop = self._loop = self._loop or asyncio.get_running_loop()
        allow_open_files()
        context = Context(
            loop=loop, settings=self._settings, feed=self._feed, tell=self._tell, thawed=self._thawed
        )
        try:
            tls = read_tls(self._interfaces)
            for interface in self._interfaces:
                self._ports[interface.name] = await _open_port(interface, context, tls.get(interface.name))
            made_from = self._made_from
            machine = made_from(self.interfaces) if callable(made_from) else made_from
        except BaseException:
            self.kill()
            raise
        self._machine = machine
        try:
            if self._make_plane is not None:
                self._plane = self._make_plane(self._media_told)
                self._plane.start(self._tell)
            self._open(machine)
        except BaseException:
            self.kill()
            raise

    def _open(self, machine: Machine) -> None:
        for port in self._ports.values():
            bound = port.interface
            if bound.listens:
                self._tell(InterfaceBound(bound.name, bound.transport, endpoint(bound.host, bound.port)))
            port.open()
        self._run_machine(lambda now: self._start_machine(machine, now))

    async def stop(self) -> None:
        """Close in good order: what was sent goes out. The machine is told nothing any more."""
        ports = list(self._ports.values())
        self._drop_machine()
        await asyncio.gather(*(port.stop() for port in ports))

    def kill(self) -> None:
        """Close all sockets at once and drop the machine, as SIGKILL would. A restart is a new host."""
        ports = list(self._ports.values())
        self._drop_machine()
        for port in ports:
            port.kill()

    def freeze(self) -> None:
        """Read nothing and let no timer fire, the sockets open, as SIGSTOP would."""
        if self._frozen or not self._machine:
            return
        self._frozen = True
        self._thawed.clear()
        self._disarm()
        for port in self._ports.values():
            port.freeze()

    def thaw(self) -> None:
        """Go on, with all that has come in meanwhile."""
        if not self._frozen or not self._machine:
            return
        self._frozen = False
        self._thawed.set()
        for port in self._ports.values():
            port.thaw()
        self._feed(())

    def cut(self, hosts: Collection[str]) -> None:
        """End all connections with peers at these IP addresses, as a failing network does: for rehearsals."""
        for port in self._ports.values():
            port.cut(hosts)

    def _drop_machine(self) -> None:
        self._machine = None
        self._thawed.set()
        self._disarm()
        self._pending.clear()
        self._ports.clear()
        plane, self._plane = self._plane, None
        if plane is not None:
            plane.stop()

    # --- what others ask ----------------------------------------------------------------------------------

    @property
    def machine(self) -> Machine:
        """The running machine.

        Raises
        ------
        LiveError
            Before ``start`` and after ``stop`` or ``kill``.
        """
        if self._machine is None:
            raise LiveError("the host is not running: call start() first")
        return self._machine

    @property
    def now(self) -> float:
        """The time of the machine's clock."""
        return monotonic()

    @property
    def running(self) -> bool:
        """Whether there is a machine, frozen or not."""
        return self._machine is not None

    @property
    def plane(self) -> MediaPlane | None:
        """The data plane of a machine that relays media, while it runs."""
        return self._plane

    @property
    def interfaces(self) -> Mapping[str, Interface]:
        """The open interfaces by name, as bound."""
        return {name: port.interface for name, port in self._ports.items()}

    def interface(self, name: str) -> Interface:
        """The interface as bound: port 0 has become the one that was taken."""
        try:
            return self._ports[name].interface
        except KeyError:
            raise LiveError(f"no open interface {name!r}: there are {sorted(self._ports)}") from None

    def stats(self) -> tuple[PortStats, ...]:
        """Counters of each open interface."""
        return tuple(port.stats() for port in self._ports.values())

    def renew(self, interfaces: Iterable[Interface], tls: Mapping[str, Tls]) -> None:
        """Take over certificates (`engine.live.tls.read_tls`) and origins; connections that stand keep theirs."""
        for interface in interfaces:
            if interface.name in self._ports:
                self._ports[interface.name].renew(interface, tls.get(interface.name))

    def deliver(self, event: Input) -> None:
        """Tell the machine of an order (NodeOrder, Drain, AgentOrder, Reconfigure); it acts before this returns.

        A frozen machine, or one that is at work on another input, gets it afterwards.
        """
        self._feed((event,))

    # --- the machine --------------------------------------------------------------------------------------

    def _feed(self, events: Iterable[Input]) -> None:
        if self._machine is None:
            return
        self._pending.extend(events)
        if not self._busy:
            self._run_machine()

    def _media_told(self, event: MediaInput) -> None:
        if not self._frozen:  # packets would pile up; what else there is will be told again
            self._feed((event,))

    def _run_machine(self, begin: Callable[[float], None] | None = None) -> None:
        """Take what has come in, tick if the deadline has passed, arm the timer."""
        machine = self._machine
        if machine is None or self._frozen:
            return
        now = monotonic()
        ticked = True
        self._busy = True
        try:
            if begin:
                begin(now)
            elif self._pending:
                self._take_pending(machine, now)
            if self._machine is machine and machine.deadline() <= now:
                ticked = self._call("tick", machine.tick, now)
        finally:
            self._busy = False
        if self._machine is not machine or self._frozen:
            return
        if self._pending and self._loop:
            # What an effect brought about (a send that failed) takes its turn after the loop's other work: a
            # machine that answers each failure with another send must not starve everyone else.
            self._loop.call_soon(self._run_machine)
        deadline = machine.deadline()
        if deadline < self._armed_for:
            self._arm(deadline, now, _EARLIEST_REARM_S if ticked else _FAILED_TICK_PAUSE_S)

    def _take_pending(self, machine: Machine, now: float) -> None:
        pending = self._pending
        receive = machine.receive
        carry_out = self._carry_out
        tap = self.tap
        for _ in range(len(pending)):
            if not pending:  # an effect has killed us
                return
            event = pending.popleft()
            if not tap.idle:
                tap.heard(event)
            try:
                effects = receive(event, now)
            except Exception as error:
                self._tell_fault(type(event).__name__, error)
                continue
            if effects:
                carry_out(effects, now)

    def _start_machine(self, machine: Machine, now: float) -> None:
        self._carry_out(machine.start(now), now)  # what it raises is the caller's: it never ran

    def _call(self, what: str, call: Callable[[float], Sequence[Effect]], now: float) -> bool:
        try:
            effects = call(now)
        except Exception as error:
            self._tell_fault(what, error)
            return False
        self._carry_out(effects, now)
        return True

    def _carry_out(self, effects: Sequence[Effect], now: float) -> None:
        ports, tap = self._ports, self.tap
        for effect in effects:
            if isinstance(effect, Send):
                flow, data = effect.flow, effect.data
                if not tap.idle:
                    tap.sent(flow, data)
                port = ports.get(flow.interface)
                if port is not None:
                    port.send(flow, data)
                else:
                    self._feed((Unreachable(flow, "no such interface"),))
            elif isinstance(effect, CloseStream):
                if effect.flow.interface in ports:
                    ports[effect.flow.interface].close_stream(effect.flow)
            elif isinstance(effect, Ping):
                if effect.flow.interface in ports:
                    ports[effect.flow.interface].ping(effect.flow)
            elif isinstance(effect, Note):
                self._on_note(effect, now)
            elif isinstance(effect, (Save, Drop, Commit)) and self._keep is not None:
                self._keep(effect, now)
            elif isinstance(effect, MEDIA_EFFECTS) and self._plane is not None:
                try:
                    self._plane.carry_out(effect)
                except Exception as error:  # the media of one call; the signalling of all goes on
                    self._tell_fault(type(effect).__name__, error)

    def _tell(self, note: Note) -> None:
        if self._machine:
            self._on_note(note, monotonic())

    def _tell_fault(self, on: str, error: Exception) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        kind = (type(error), frame.filename, frame.lineno or 0)
        if kind not in self._faults and len(self._faults) < _FAULT_KINDS_MAX:
            self._faults.add(kind)
            text = "".join(traceback.format_exception(error))
            self._tell(MachineFailed(on, f"{type(error).__name__}: {error}", text))

    # --- the timer ----------------------------------------------------------------------------------------
    # One handle, armed anew only when the deadline is earlier than the armed one; most deadlines move later, and
    # the handle that fires too early looks again.

    def _arm(self, deadline: float, now: float, at_least_s: float) -> None:
        self._disarm()
        assert self._loop is not None
        self._armed_for = deadline
        self._timer = self._loop.call_later(max(deadline - now, at_least_s), self._on_timer)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._armed_for = NEVER

    def _on_timer(self) -> None:
        self._disarm()
        self._run_machine()


async def _open_port(interface: Interface, context: Context, tls: Tls | None) -> Port:
    try:
        found = await context.loop.getaddrinfo(interface.host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise bind_error(interface, error) from None
    host = str(found[0][4][0])
    if interface.transport == "udp":
        sock = bind_udp(interface, host)
        return UdpPort(dataclasses.replace(interface, host=host, port=sock.getsockname()[1]), sock, context)
    if not interface.listens:
        return TcpPort(dataclasses.replace(interface, host=host), None, context, tls)
    sock = bind_tcp(interface, host)
    return TcpPort(dataclasses.replace(interface, host=host, port=sock.getsockname()[1]), sock, context, tls)
