"""All nodes of one edge: what is known of each, and who is chosen for a call."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from engine.boundary import Effect, Flow, NodeOrder
from engine.config import NodeConfig, PassiveConfig, ProbeConfig
from engine.nodes import state
from engine.nodes.node import Node, NodeSnapshot
from engine.nodes.selection import ALGORITHMS, Wish
from engine.notes import NodePaused, NodeStateChanged


class Choice:
    """The node chosen, or None; why; and why each other candidate was passed over."""

    __slots__ = ("node", "passed_over", "why")

    def __init__(self, node: Node | None, why: str, passed_over: tuple[tuple[str, str], ...]) -> None:
        self.node = node
        self.why = why
        self.passed_over = passed_over


# Without probes nothing would bring a node back, so it never gets so far.
_UNPROBED: Final = {state.DOWN: state.SUSPECT, state.RETURNING: state.ACTIVE}


class Pool:
    """The nodes, by name, group and address.

    ``on_change`` is told of each node that changed its state: what waits for one that is down need not wait
    longer, and one that is suspected is probed at once.
    """

    def __init__(
        self,
        nodes: Iterable[tuple[NodeConfig, Flow]],
        passive: PassiveConfig,
        probe: ProbeConfig,
        out: list[Effect],
        rng: random.Random,
        on_change: Callable[[Node, float], None],
    ) -> None:
        self.passive = passive
        self.probe = probe
        self._out = out
        self._rng = rng
        self._on_change = on_change
        self._choices = 0
        self._nodes: dict[str, Node] = {}
        self._by_address: dict[tuple[str, int], Node] = {}
        self._groups: dict[str, list[Node]] = {}
        self.replace(nodes)

    # --- who is there

    def replace(self, nodes: Iterable[tuple[NodeConfig, Flow]], now: float = 0.0) -> None:
        """Take over another list of nodes; those that stay keep their state, channels and history."""
        before = self._nodes
        self._nodes = {}
        self._by_address = {}
        self._groups = {}
        for config, flow in nodes:
            node = before.get(config.name)
            if node is None or node.flow != flow:
                node = Node(config, flow)
            elif node.config.enabled != config.enabled:
                self._step(node, state.ENABLE if config.enabled else state.DISABLE, now, "by new settings")
            node.config = config
            self._nodes[node.name] = node
            self._by_address[flow.peer] = node
            for group in config.groups:
                self._groups.setdefault(group, []).append(node)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def get(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def is_down(self, name: str) -> bool:
        """Whether this node is known to be gone."""
        node = self._nodes.get(name)
        return node is None or node.state == state.DOWN

    def at(self, address: tuple[str, int]) -> Node | None:
        """The node that talks from this address."""
        return self._by_address.get(address)

    def snapshot(self, now: float) -> list[NodeSnapshot]:
        return [node.snapshot(now) for node in self._nodes.values()]

    # --- choosing

    def choose(
        self,
        group: str,
        resource: str,
        algorithm: str,
        key: bytes,
        tried: Iterable[str],
        now: float,
        *,
        ignore_health: bool = False,
        home: str = "",
    ) -> Choice:
        """Choose a node of ``group`` with a free channel of ``resource`` that is not among ``tried``.

        Active nodes come before suspect ones, then higher before lower priority; among what is left ``algorithm``
        decides. With ``ignore_health`` only orders (drain, disable) keep a node out, as in OpenSIPS' load balancer
        when nothing disables a destination. The node named ``home`` comes before all that are in the same health.
        """
        active: list[Node] = []
        suspect: list[Node] = []
        passed_over: list[tuple[str, str]] = []
        for node in self._groups.get(group, ()):
            objection = _objection(node, resource, tried, now, ignore_health)
            if objection:
                passed_over.append((node.name, objection))
            elif node.state == state.SUSPECT and not ignore_health:
                suspect.append(node)
            else:
                active.append(node)
        if active:
            passed_over += [(node.name, "suspect") for node in suspect]
        eligible = active or suspect
        if not eligible:
            return Choice(None, "no node can take it", tuple(passed_over))
        chosen = next((node for node in eligible if node.name == home), None)
        if chosen is not None:
            passed_over += [(node.name, "not its home") for node in eligible if node is not chosen]
            return self._chose(chosen, "home of the registration", passed_over)
        if len(eligible) > 1:
            highest = max(node.config.priority for node in eligible)
            passed_over += [
                (node.name, f"priority {node.config.priority}")
                for node in eligible
                if node.config.priority < highest
            ]
            eligible = [node for node in eligible if node.config.priority == highest]
        chosen, why = ALGORITHMS[algorithm](eligible, Wish(resource, key, self._rng))
        passed_over += [(node.name, algorithm) for node in eligible if node is not chosen]
        return self._chose(chosen, why, passed_over)

    def any_left(self, group: str, resource: str, tried: Iterable[str], now: float) -> bool:
        """Whether ``choose`` would find a node."""
        nodes = self._groups.get(group, ())
        return any(not _objection(node, resource, tried, now, False) for node in nodes)

    def _chose(self, node: Node, why: str, passed_over: list[tuple[str, str]]) -> Choice:
        self._choices += 1
        node.chosen_at = self._choices
        return Choice(node, why, tuple(passed_over))

    # --- what is heard of a node, and what is not

    def answered(self, node: Node, now: float, latency_s: float | None = None) -> None:
        """A message came from the node. ``latency_s`` is given for a first answer."""
        node.last_heard = now
        node.silent_in_row = 0
        if latency_s is not None:
            node.measured(latency_s)
        if node.state == state.SUSPECT:
            self._step(node, state.ANSWERED, now, "it answered")

    def silent(self, node: Node, now: float, why: str) -> None:
        """An attempt got no first answer in time."""
        passive = self.passive
        if not passive.enabled:
            return
        node.silent_in_row += 1
        enough = node.silent_in_row >= passive.down_after
        if enough and now - node.last_heard >= passive.down_silence_s:
            self._step(node, state.GONE, now, f"{node.silent_in_row} attempts in a row without answer")
        else:
            self._step(node, state.SILENT, now, why)

    def owes_answer(self, node: Node, now: float) -> None:
        """An attempt waits for its first answer longer than usual; nothing is counted yet."""
        self.doubt(node, now, f"owes an answer for {self.passive.suspect_after_s:g} s")

    def doubt(self, node: Node, now: float, why: str) -> None:
        """Something hints that the node is gone: it is passed over while others can serve, and probed at once."""
        if node.state == state.ACTIVE and self.passive.enabled:
            self._step(node, state.SILENT, now, why)

    def unreachable(self, node: Node, now: float, reason: str) -> None:
        """Its host said that nothing listens there (ICMP), or a connection was refused."""
        if self.passive.enabled and self.passive.believe_icmp:
            self._step(node, state.GONE, now, reason)

    def closed(self, node: Node, now: float, retry_after_s: float) -> None:
        """It said 503: it lives, but takes no call for a while."""
        node.last_heard = now
        node.silent_in_row = 0
        if self.passive.enabled:
            node.closed_until = now + min(retry_after_s, self.passive.retry_after_cap_s)

    def paused(self, node: Node, paused: bool) -> None:
        """Its operator let it take no new calls, or lets it again."""
        load = node.load
        if load is not None and load.paused != paused:
            load.paused = paused
            self._out.append(NodePaused(node.name, paused))

    def probe_answered(self, node: Node, now: float, latency_s: float) -> None:
        """A probe was answered with anything but a server failure."""
        node.last_heard = now
        node.silent_in_row = 0
        node.closed_until = 0.0
        node.answered_probes += 1
        if node.latency_s is None:
            node.measured(latency_s)
        if node.answered_probes >= self.probe.return_after:
            self._step(node, state.RECOVERED, now, f"answered {node.answered_probes} probe(s)")
        else:
            self._step(node, state.PROBE_ANSWERED, now, "answered a probe")

    def probe_failed(self, node: Node, now: float, missed_in_row: int) -> None:
        """A probe got no answer in time, or a server failure, for the so-manyeth time in a row."""
        node.answered_probes = 0
        if missed_in_row >= self.probe.leave_after:
            self._step(node, state.GONE, now, f"{missed_in_row} probes in a row failed")
        else:
            self._step(node, state.SILENT, now, "a probe failed")

    # --- orders

    def order(self, order: NodeOrder, now: float) -> Node | None:
        """Carry out an operator's order; None where there is no such node."""
        node = self._nodes.get(order.node)
        if node is not None:
            self._step(node, order.order, now, "by order")
        return node

    def restore(self, node: Node, before: str, now: float) -> bool:
        """Take over a node's state of an earlier life of this edge, unless something newer is known."""
        if node.state != (state.ACTIVE if node.config.enabled else state.DISABLED) or node.state == before:
            return False
        if self._unprobed(node) and before == state.DOWN:
            return False  # nothing would bring it back
        self._enter(node, before, now, "as before the restart")
        return True

    def _unprobed(self, node: Node) -> bool:
        return (node.config.probe_mode or self.probe.mode) == "never"

    def _step(self, node: Node, event: str, now: float, why: str) -> None:
        before = node.state
        after = state.NODE_STATES[before].get(event)
        if self._unprobed(node):
            after = _UNPROBED.get(after or "", after)
        if after is not None and after != before:
            self._enter(node, after, now, why)

    def _enter(self, node: Node, after: str, now: float, why: str) -> None:
        before, node.state = node.state, after
        self._out.append(NodeStateChanged(node.name, before, after, why))
        if after in (state.ACTIVE, state.RETURNING):
            node.silent_in_row = 0
        if after == state.DOWN:
            node.answered_probes = 0
        self._on_change(node, now)


def _objection(node: Node, resource: str, tried: Iterable[str], now: float, ignore_health: bool) -> str:
    """Why a node is passed over, "" where it is not."""
    if node.name in tried:
        return "tried before"
    if node.free(resource) < 1:
        return f"no free channel of {resource}"
    if ignore_health and node.state not in (state.DRAINING, state.DISABLED):
        return ""
    if node.state not in (state.ACTIVE, state.SUSPECT):
        return node.state
    if node.load is not None and (why := node.load.refuses):
        return why
    if node.closed_until > now:
        return f"said 503, closed for {node.closed_until - now:.1f} s"
    return ""
