"""The virtual host: gives one machine time, inputs and a network, as ``engine.live`` does on real sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import simpy
from simpy.events import Event

from engine.boundary import (
    NEVER,
    Close,
    Commit,
    Datagram,
    Drop,
    Effect,
    Input,
    Interface,
    Machine,
    Note,
    Ping,
    Save,
    Send,
)
from engine.media.rules import MEDIA_EFFECTS
from sim.database import SimStore
from sim.links import delay_until
from sim.network import Network
from sim.trace import Trace


class Birth(NamedTuple):
    """One start of a process: the ``number`` of its host's starts before, and whether it finds its old data."""

    number: int = 0
    keep_data: bool = False


Factory: TypeAlias = Callable[[Birth], Machine]
"""Makes a machine with empty memory, at each start of its host."""


class _Work(NamedTuple):
    """What waits for the process among the inputs, and is not for the machine."""

    do: Callable[[], None]


SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
"""What waits for a machine that doesn't read, as much as ``engine.live`` asks of the kernel."""


class _Wake(Event):
    """An alarm. SimPy can't withdraw it; the host looks at its deadline again when it rings."""

    _ok = True
    _value = None

    def __init__(self, ring: Callable[[Any], None], at: float) -> None:
        self.callbacks = [ring]
        self.at = at


class SimHost:
    """One place: a machine, its ports, and the state of its process (dead, running, frozen, slow)."""

    def __init__(
        self,
        env: simpy.Environment,
        network: Network,
        trace: Trace,
        place: str,
        factory: Factory,
        interfaces: Iterable[Interface],
        socket_buffer_bytes: int = SOCKET_BUFFER_BYTES,
        store: Callable[[SimHost], SimStore] | None = None,
    ) -> None:
        self.place = place
        self.machine: Machine | None = None
        self.frozen = False
        self._env = env
        self._network = network
        self._trace = trace
        self._factory = factory
        self._make_store = store
        self._store: SimStore | None = None
        self._starts = 0
        self._ports = network.bind(self, interfaces)
        # Alarms under way, the next one last. One is set only for a deadline before all of them, so each push is
        # the earliest and each ring pops the end.
        self._wakes: list[_Wake] = []
        self._delay_s = 0.0
        self._held: deque[tuple[float, Input | _Work]] = deque()  # what the machine has not read, and from when
        self._held_bytes = 0
        self._socket_buffer_bytes = socket_buffer_bytes
        self._direct = True  # running and not slow: inputs need not wait

    @property
    def works(self) -> bool:
        """Whether the process exists and is not frozen."""
        return self.machine is not None and not self.frozen

    @property
    def alive(self) -> bool:
        """Whether the process exists; a frozen one does."""
        return self.machine is not None

    @property
    def prompt(self) -> bool:
        """Whether the process runs, and does not keep what comes waiting."""
        return self._direct and self.machine is not None

    # --- the process --------------------------------------------------------------------------------------

    def start(self, keep_data: bool = False) -> None:
        """Start the process with empty memory; one that runs already is left alone."""
        if self.machine is None:
            self.machine = self._factory(Birth(self._starts, keep_data))
            self._starts += 1
            if self._make_store is not None:
                self._store = self._make_store(self)
            self._carry_out(self.machine.start(self._env.now))
            if self._store is not None:
                self._store.open()

    def kill(self) -> None:
        """End the process at once, with all it remembers and all it has not read (SIGKILL)."""
        if self.machine is None:
            return
        self.machine = None
        if self._store is not None:
            self._store.end()
            self._store = None
        self.frozen = False
        self._delay_s = 0.0
        self._wakes.clear()
        self._held.clear()
        self._held_bytes = 0
        self._direct = True
        self._network.died(self)

    def freeze(self) -> None:
        """Stop the process but keep its sockets (SIGSTOP): datagrams wait in a bounded buffer, timers run late."""
        if self.machine is not None:
            self.frozen = True
            self._direct = False

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT): it reads what has come first, then looks at its timers."""
        if self.frozen:
            self.frozen = False
            self._read_held()
            self._tick()

    def slow(self, delay_s: float) -> None:
        """Handle every input ``delay_s`` later than it comes, in order; 0 ends it. Timers stay punctual."""
        if self.machine is not None:
            self._delay_s = delay_s
            self._direct = not (delay_s or self.frozen or self._held)

    def move(self, address: str) -> None:
        """Give all its ports another IP address; its machine is not told."""
        self._network.move(self._ports.values(), address)

    # --- inputs -------------------------------------------------------------------------------------------

    def admits(self, size_bytes: int) -> bool:
        """Whether a datagram of this size still fits into the socket buffer."""
        return self._direct or self._held_bytes + size_bytes <= self._socket_buffer_bytes

    def receive(self, event: Input) -> None:
        """Something happened: an arrival from the network, or an order. The dead take no notice."""
        if self._direct:
            self._handle(event)
        else:
            self._hold(event)

    def when_running(self, work: Callable[[], None]) -> None:
        """See `sim.addresses.Receiver`."""
        if not self._direct:
            self._hold(_Work(work))
        elif self.machine is not None:
            work()

    def _hold(self, event: Input | _Work) -> None:
        now = self._env.now
        ready_s = now + self._delay_s
        if self._held:
            ready_s = max(ready_s, self._held[-1][0])
        self._held.append((ready_s, event))
        if type(event) is Datagram:
            self._held_bytes += len(event.data)
        self._network.later(delay_until(now, ready_s), self._read_held)

    def _read_held(self) -> None:
        held = self._held
        while held and not self.frozen and held[0][0] <= self._env.now:
            event = held.popleft()[1]
            if type(event) is Datagram:
                self._held_bytes -= len(event.data)
            if isinstance(event, _Work):
                event.do()
            else:
                self._handle(event)
        self._direct = not (held or self._delay_s or self.frozen)

    def _handle(self, event: Input) -> None:
        machine = self.machine
        if machine is None:
            return
        try:
            effects = machine.receive(event, self._env.now)
        except Exception as error:
            error.add_note(f"at {self._env.now} s of virtual time, {self.place} handling {event!r:.2000}")
            raise
        self._carry_out(effects)

    # --- time ---------------------------------------------------------------------------------------------

    def _ring(self, wake: _Wake) -> None:
        # Alarms of a process that was killed meanwhile are not on the list of its successor.
        if self._wakes and self._wakes[-1] is wake:
            self._wakes.pop()
            self._tick()

    def _tick(self) -> None:
        machine = self.machine
        if machine is None or self.frozen:
            return
        now = self._env.now
        effects: Sequence[Effect] = ()
        if machine.deadline() <= now:
            try:
                effects = machine.tick(now)
            except Exception as error:
                error.add_note(f"at {now} s of virtual time, {self.place} in tick")
                raise
        self._carry_out(effects)

    # --- effects ------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        machine = self.machine
        assert machine is not None
        for effect in effects:
            if isinstance(effect, Send):
                self._network.send(self._ports[effect.flow.interface], effect.flow, effect.data)
            elif isinstance(effect, Note):
                self._trace.note(self._env.now, self.place, effect)
            elif isinstance(effect, Close):
                self._network.close(self._ports[effect.flow.interface], effect.flow)
            elif isinstance(effect, Ping):
                self._network.ping(self._ports[effect.flow.interface], effect.flow)
            elif isinstance(effect, (Save, Drop, Commit)) and self._store is not None:
                self._store.put(effect)
            elif isinstance(effect, MEDIA_EFFECTS) and self._network.media is not None:
                self._network.media.obey(self, effect)
        deadline = machine.deadline()
        wakes = self._wakes
        if deadline < (wakes[-1].at if wakes else NEVER):
            now = self._env.now
            delay_s = delay_until(now, deadline)
            at = now + delay_s
            if not wakes or at < wakes[-1].at:  # an alarm that rings at the same moment will do
                wake = _Wake(self._ring, at)
                wakes.append(wake)
                self._env.schedule(wake, delay=delay_s)
