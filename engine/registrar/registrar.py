"""The mid-registrar: relays registrations to the nodes, and keeps where each agent is reached."""

from __future__ import annotations

import random

from engine.boundary import BindingRecord, Effect, Flow
from engine.config import EdgeConfig
from engine.here import Here
from engine.nat import nat_signs
from engine.notes import ContactLost, ContactRehomed, RefreshAnswered
from engine.records.records import Records
from engine.registrar.binding import Binding
from engine.registrar.bindings import Bindings, Listener
from engine.registrar.facing import Facing
from engine.registrar.gruu import gruu_param
from engine.registrar.homes import Homes
from engine.registrar.rehoming import Connections, Rehoming, longest_s
from engine.registrar.relay import Relay
from engine.registrar.request import Registration, read
from engine.registrar.returns import Returns
from engine.registrar.targets import Targets
from engine.registrar.tokens import Tokens
from engine.sip.errors import RefusalError, SipError
from engine.sip.message import Request, Response, respond
from engine.wheel import Wheel


class Registrar:
    """Stands between agents and nodes: agents are told their own contacts, nodes the edge's.

    ``rng`` draws what tells this life of the edge from others, and the secret of the tokens where none is set.
    """

    __slots__ = (
        "_config",
        "_limits",
        "_out",
        "_records",
        "_rehoming",
        "bindings",
        "facing",
        "here",
        "homes",
        "returns",
        "targets",
        "tells_details",
        "tokens",
    )

    def __init__(
        self,
        config: EdgeConfig,
        here: Here,
        out: list[Effect],
        wheel: Wheel,
        records: Records,
        rng: random.Random,
    ) -> None:
        self._records = records
        self._config = config.registrar
        self._limits = config.limits
        self._out = out
        self.tells_details = True  # False: nobody reads Notes of level debug
        self.homes = Homes()
        self.returns = Returns(config.registrar.flow_wait_s)
        drawn, secret = rng.randbytes(32), config.registrar.secret
        self.here = here
        self.tokens = Tokens(drawn if secret is None else secret.encode(), rng.getrandbits(32))
        self.facing = Facing(self._config, here, self.tokens)
        self.bindings = Bindings(out, wheel, records)
        self._rehoming = Rehoming(self.bindings, out, wheel, rng)
        self.targets = Targets(here, self.bindings, self.facing, self.tokens)

    def reconfigure(self, config: EdgeConfig) -> None:
        """Take over new settings; bindings that stand feel them at their next refresh."""
        self._config = self.facing.config = config.registrar
        self._limits = config.limits
        self.returns.wait_s = config.registrar.flow_wait_s

    def connect(self, connections: Connections) -> None:
        """The connections over which agents come."""
        self.targets.connections = self._rehoming.connections = connections

    def tell(self, listener: Listener) -> None:
        """Let ``listener`` know of each binding that is made or goes."""
        self.bindings.listener = listener

    def restore(self, record: BindingRecord, now: float) -> bool:
        """Take over a binding of an earlier life of this edge; False where its time is over, or newer is known.

        A connection is gone with that life: its agent is bound, and reached when it comes back.
        """
        offset_s = self._records.wall_offset_s
        expires_at = record.expires_at - offset_s
        if self.bindings.get(record.key) is not None:
            return False
        if expires_at <= now:
            self._records.drop("bindings", record.key)
            return False
        if record.edge != self._records.edge and self.targets.peers is not None:
            self.targets.peers.took(record.key, record.edge)
            return True
        binding = self.bindings.make(record.key, record.aor, record.value)
        binding.take_over(record, offset_s)
        interface = self.here.interfaces.get(record.interface)
        is_here = record.edge == self._records.edge and interface is not None and not interface.reliable
        flow = Flow(record.interface, (record.host, record.port)) if is_here else None
        self.bindings.restore(binding, flow, expires_at, now)
        return True

    def moved(self, key: bytes, edge: str, now: float) -> None:
        """Another edge reaches an agent from now on."""
        if self.targets.peers is not None:
            self.targets.peers.took(key, edge)
        binding = self.bindings.get(key)
        if binding is not None:
            self.bindings.remove(binding, f"reached by {edge}", now)
        self.returns.back(key, now)

    # --- a REGISTER comes

    def receive(self, request: Request, flow: Flow, tag: bytes, now: float) -> Relay | Response:
        """What becomes of a REGISTER of an agent: sent on, or answered here.

        Raises
        ------
        SipError
            Where it is refused; ``RefusalError`` where further header lines go with that.
        """
        registration = read(request, self._config, longest_s(self._config, flow))
        bindings = [self.bindings.get(asked.key) for asked in registration.contacts]
        known = [binding for binding in bindings if binding is not None]
        for binding in self.bindings.of(registration.aor) if registration.everything else known:
            if binding.call == registration.call and binding.cseq >= registration.cseq:
                raise SipError("CSeq not above that of an earlier REGISTER", 500)  # §10.3 steps 6, 7
        if len(known) == len(bindings) and self._throttles(registration, known, flow, now):
            for asked, binding in zip(registration.contacts, known, strict=True):
                binding.cseq = registration.cseq
                self.bindings.hold(binding, flow, now + asked.expires_s, now)
            if self.tells_details:
                self._out.append(RefreshAnswered(registration.aor.decode("utf-8", "replace"), len(known)))
            return respond(request, 200, b"", tag, *self.answer_lines(registration, now))
        if len(known) < len(bindings):
            self._check_room(registration)
        home = self.homes.of(registration.call) or self._home(registration)
        signs = nat_signs(request, flow, self.here.interfaces[flow.interface].transport)
        return Relay(self, registration, flow, home, signs)

    def _throttles(self, registration: Registration, known: list[Binding], flow: Flow, now: float) -> bool:
        """Whether this is a refresh that changes nothing, and the node's grant outlives it."""
        if not self._config.throttle or not known:
            return False
        for asked, binding in zip(registration.contacts, known, strict=True):
            unchanged = (
                binding.flow == flow
                and binding.call == registration.call
                and binding.value == asked.value
                and binding.aor == registration.aor
            )
            if not unchanged or binding.stale or not asked.expires_s:
                return False
            if binding.granted_until <= now + asked.expires_s:
                return False
        return True

    def _check_room(self, registration: Registration) -> None:
        """Whether what is new in this REGISTER still finds a place."""
        before = {binding.key for binding in self.bindings.of(registration.aor)}
        new = sum(asked.key not in before for asked in registration.contacts if asked.expires_s)
        if not new:
            return
        if len(before) + new > self._config.contacts_per_aor:
            raise SipError(f"more than {self._config.contacts_per_aor} contacts of one user", 403)
        if len(self.bindings) + new > self._limits.bindings:
            retry_after = b"Retry-After: %d" % self._limits.retry_after_s
            raise RefusalError(503, f"{self._limits.bindings} contacts are bound", retry_after)

    def _home(self, registration: Registration) -> str:
        """The node that holds what this user registered last."""
        bindings = self.bindings.of(registration.aor)
        return bindings[-1].node if bindings else ""

    # --- what relays ask for

    def rehomed(self, binding: Binding, node: str) -> None:
        """Another node than before has accepted a contact."""
        self._out.append(ContactRehomed(*binding.told, binding.node, node))

    def hold(self, binding: Binding, flow: Flow, expires_s: int, now: float) -> None:
        """A node has accepted a contact, whose agent may have gone meanwhile."""
        if not flow.stream or flow in self.targets.connections:
            moved = binding.flow != flow
            self.bindings.hold(binding, flow, now + expires_s, now)
            self.returns.back(binding.key, now)
            if moved and self.targets.peers is not None:
                self.targets.peers.tell(binding.key, now)

    def answer_lines(self, registration: Registration, now: float) -> list[bytes]:
        """What a 2xx tells the agent: all contacts of the user, each as its agent wrote it (§10.3 step 8)."""
        lines = []
        for binding in self.bindings.of(registration.aor):
            gruu = gruu_param(binding) if registration.gruu else b""
            left_s = max(round(binding.expires_at - now), 1)
            lines.append(b"Contact: %b%b;expires=%d" % (binding.value, gruu, left_s))
        if registration.outbound:
            lines.append(b"Require: outbound")  # RFC 5626 §6
            if self._config.flow_timer_s:
                lines.append(b"Flow-Timer: %d" % self._config.flow_timer_s)
        return lines

    # --- nodes

    def node_lost(self, node: str, now: float) -> None:
        """A node is down, or takes nothing new by order; its agents need another, unless all nodes know them."""
        if not self._config.shared:
            self._rehoming.node_lost(node, self._config, now)

    def leave(self, drains: bool, now: float) -> None:
        """Nothing new is taken here, but by other edges: agents are sent away one by one; or not any more."""
        self._rehoming.leave(drains, self._config, now)

    # --- connections

    def lease(self, flow: Flow) -> float:
        """When the last binding on this connection expires; 0.0 without any."""
        return max((binding.expires_at for binding in self.bindings.on(flow)), default=0.0)

    def flow_lost(self, flow: Flow, reason: str, farewell: bool, now: float) -> None:
        """A connection ended; ``farewell``: its agent has said so, and won't come back by itself."""
        for binding in self.bindings.on(flow):
            if farewell:
                self.returns.left(binding.key, now)
            else:
                self.returns.lost(binding.key, now)
            self._lost(binding, f"connection lost: {reason}", now)

    def unreachable(self, binding: Binding, reason: str, now: float) -> None:
        """An agent gives no sign of life."""
        self.bindings.remove(binding, reason, now)

    def kick(self, aor: bytes, now: float) -> list[Flow]:
        """Forget a user's contacts, by an operator's order; the connections that lead to nobody any more."""
        flows = []
        for binding in self.bindings.of(aor):
            flow = binding.flow
            self.bindings.remove(binding, "by order", now)
            if flow is not None and flow.stream and not self.bindings.on(flow):
                flows.append(flow)
        return flows

    def _lost(self, binding: Binding, why: str, now: float) -> None:
        if self._config.on_flow_lost == "remove":
            self.bindings.remove(binding, why, now)
            return
        self.bindings.lose(binding, now)
        self._out.append(ContactLost(*binding.told, why))
