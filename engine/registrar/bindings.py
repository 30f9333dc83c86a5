"""The table of bindings: by key, by address of record, and by the flow on which they are reached."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from engine.boundary import Effect, Flow
from engine.nat import words
from engine.notes import ContactBound, ContactUnbound
from engine.records.records import Records
from engine.registrar.binding import Binding
from engine.wheel import Wheel

K = TypeVar("K", bound=Hashable)


class Listener(Protocol):
    """Who is told which agents can be reached: what keeps their NAT bindings open."""

    def bound(self, binding: Binding, now: float) -> None:
        """A binding was made or refreshed, or has moved to another flow."""
        ...

    def unbound(self, binding: Binding, now: float) -> None:
        """A binding is gone, or its connection is lost."""
        ...


class Grouped(Generic[K]):
    """Bindings that have something in common. Nearly always it is one, so one stands by itself."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table: dict[K, Binding | dict[bytes, Binding]] = {}

    def add(self, what: K, binding: Binding) -> None:
        found = self._table.get(what)
        if found is None or found is binding:
            self._table[what] = binding
        elif isinstance(found, Binding):
            self._table[what] = {found.key: found, binding.key: binding}
        else:
            found[binding.key] = binding

    def remove(self, what: K, binding: Binding) -> None:
        found = self._table.get(what)
        if isinstance(found, dict):
            found.pop(binding.key, None)
        if found is binding or not found:
            self._table.pop(what, None)

    def of(self, what: K) -> list[Binding]:
        """All that have this in common, oldest first."""
        found = self._table.get(what)
        if found is None:
            return []
        return [found] if isinstance(found, Binding) else list(found.values())

    def __len__(self) -> int:
        return len(self._table)


class Bindings:
    """All bindings of one edge. What is kept here was accepted by a node."""

    __slots__ = ("_by_aor", "_by_flow", "_by_key", "_out", "_records", "_wheel", "listener")

    def __init__(self, out: list[Effect], wheel: Wheel, records: Records) -> None:
        self._records = records
        self.listener: Listener | None = None
        self._out = out
        self._wheel = wheel
        self._by_key: dict[bytes, Binding] = {}
        self._by_aor = Grouped[bytes]()
        self._by_flow = Grouped[Flow]()

    # --- reading

    def get(self, key: bytes) -> Binding | None:
        return self._by_key.get(key)

    def of(self, aor: bytes) -> list[Binding]:
        """The bindings of one address of record."""
        return self._by_aor.of(aor)

    def on(self, flow: Flow) -> list[Binding]:
        """The bindings that are reached on one flow."""
        return self._by_flow.of(flow)

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    # --- changing

    def make(self, key: bytes, aor: bytes, value: bytes) -> Binding:
        """The binding with this key, a new one where there is none; ``hold`` puts it into force."""
        binding = self._by_key.get(key)
        if binding is None:
            binding = Binding(self, key, aor, value)
        binding.value = value
        return binding

    def hold(self, binding: Binding, flow: Flow, expires_at: float, now: float) -> None:
        """Let this binding be reached on ``flow`` until ``expires_at``."""
        self._hold(binding, flow, expires_at, now)
        if self._records.kept:
            self._records.save(binding.record(self._records.edge, self._records.wall_offset_s), "bindings")

    def restore(self, binding: Binding, flow: Flow | None, expires_at: float, now: float) -> None:
        """Take over a binding of an earlier life; without a flow, until its agent comes back."""
        if flow is not None:
            self._hold(binding, flow, expires_at, now)
        else:
            self._add(binding)
            self._keep_until(binding, expires_at, now)

    def _add(self, binding: Binding) -> None:
        if binding.key not in self._by_key:
            self._by_key[binding.key] = binding
            self._by_aor.add(binding.aor, binding)

    def _keep_until(self, binding: Binding, expires_at: float, now: float) -> None:
        binding.expires_at = expires_at
        self._wheel.look_by(binding, expires_at, now)

    def _hold(self, binding: Binding, flow: Flow, expires_at: float, now: float) -> None:
        moved = binding.flow != flow
        self._add(binding)
        if moved:
            if binding.flow is not None:
                self._by_flow.remove(binding.flow, binding)
            binding.flow = flow
            self._by_flow.add(flow, binding)
        self._keep_until(binding, expires_at, now)
        if moved:
            place = f"{flow.peer[0]}:{flow.peer[1]}"
            self._out.append(ContactBound(*binding.told, place, binding.node, words(binding.signs)))
        if self.listener is not None:
            self.listener.bound(binding, now)

    def lose(self, binding: Binding, now: float) -> None:
        """The connection that led to it is gone; the agent may come back on another one."""
        if binding.flow is not None:
            self._by_flow.remove(binding.flow, binding)
            binding.flow = None
            if self.listener is not None:
                self.listener.unbound(binding, now)

    def remove(self, binding: Binding, why: str, now: float) -> None:
        """Forget a binding."""
        if self._by_key.pop(binding.key, None) is None:
            return
        self._wheel.leave(binding)
        self._records.drop("bindings", binding.key)
        self._by_aor.remove(binding.aor, binding)
        self.lose(binding, now)
        self._out.append(ContactUnbound(*binding.told, why))

    def expired(self, binding: Binding, now: float) -> None:
        self.remove(binding, "expired", now)
