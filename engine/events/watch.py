"""All event sockets of one edge: who has one, and what their words mean to pool and dialogs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from engine.boundary import (
    Address,
    Close,
    Effect,
    Flow,
    Input,
    StreamClosed,
    StreamData,
    StreamOpened,
    Unreachable,
)
from engine.config import EdgeConfig
from engine.dialogs import DialogTable
from engine.events.calls import Leg, NodeCalls
from engine.events.client import STOPPED, WATCHING, Client
from engine.nodes import Node, Pool
from engine.timers import Timed, TimerQueue

_FRESH_S = 30.0  # probes need 12 s to find a node dead that says nothing
_BYE_TAKES_S = 40.0  # a BYE is repeated for 32 s (RFC 3261 §17.1.2.2); only then nobody else will end the dialog


class NodeEvents:
    """The event sockets of the pool's nodes.

    What a node says of itself goes to the pool; what it says of calls that stand no more, to the dialogs.
    """

    def __init__(
        self,
        config: EdgeConfig,
        pool: Pool,
        dialogs: DialogTable,
        timers: TimerQueue,
        out: list[Effect],
        probe: Callable[[Node, float], None],
    ) -> None:
        self.pool = pool
        self.timers = timers
        self.out = out
        self._config = config
        self._dialogs = dialogs
        self._probe = probe
        self._clients: dict[str, Client] = {}
        self._by_peer: dict[tuple[str, Address], Client] = {}
        self._overdue = _Overdue(self)
        self.interfaces = frozenset(each.name for each in config.event_interfaces)

    # --- life

    def start(self, now: float) -> None:
        self.reconfigure(self._config, now)

    def reconfigure(self, config: EdgeConfig, now: float) -> None:
        """Open what is new, end what is gone; connections of nodes that did not change stay."""
        self._config = config
        self.interfaces = frozenset(each.name for each in config.event_interfaces)
        before, self._clients, self._by_peer = self._clients, {}, {}
        for node in self.pool:
            settings = node.config.events
            if settings is None:
                continue
            flow = Flow(config.event_interface_of(node.config), (node.flow.peer[0], settings.port))
            client = before.get(node.name)
            if client is not None and (client.node, client.config, client.flow) == (node, settings, flow):
                del before[node.name]
            else:
                client = Client(self, node, settings, flow)
            self._clients[node.name] = client
            self._by_peer[flow.interface, flow.peer] = client
        for client in before.values():
            client.stop(now)
        for client in self._clients.values():
            if client.state == STOPPED:
                client.start(now)

    def calls(self, node: str) -> NodeCalls | None:
        """The legs at a node; None where it has no event socket."""
        client = self._clients.get(node)
        return client.calls if client is not None else None

    def end_call(self, node: str, call_id: str) -> bool:
        """Order a node to end a call; False where it can't be told, or doesn't know it."""
        client = self._clients.get(node)
        leg = client.calls.of_call(call_id) if client is not None else None
        return client is not None and leg is not None and client.kill(leg.uuid)

    def why_untold(self, node: str, call_id: str) -> str:
        """Why a node can't be ordered to end a call; "" where it can."""
        client = self._clients.get(node)
        if client is None:
            return "has no event socket"
        leg = client.calls.of_call(call_id)
        if client.state != WATCHING or leg is None:
            return "does not know it" if client.state == WATCHING else "has lost its event socket"
        return "" if client.can_kill(leg.uuid) else "takes no order now"

    def fresh_calls(self, node: str, now: float) -> NodeCalls | None:
        """As ``calls``; None also where what is known is older than the time that it takes to find a death."""
        client = self._clients.get(node)
        if client is None or (client.state != WATCHING and now - client.lost_at > _FRESH_S):
            return None
        return client.calls

    # --- what happens

    def receive(self, event: Input, now: float) -> None:
        """Something happened on one of ``interfaces``."""
        if isinstance(event, (StreamData, StreamOpened, StreamClosed, Unreachable)):
            flow = event.flow
            client = self._by_peer.get((flow.interface, flow.peer))
            if client is None:
                if isinstance(event, StreamOpened):
                    self.out.append(Close(flow))  # its node has left the settings meanwhile
                return
            if isinstance(event, StreamData):
                client.receive(flow, event.data, now)
            elif isinstance(event, StreamOpened):
                client.opened(flow, now)
            else:
                client.closed(flow, event.reason, now)

    # --- what the clients tell

    def hung_up(self, client: Client, leg: Leg, now: float) -> None:
        """A channel is gone. Its dialog ends by a BYE in a moment, or, where that is lost, by the node's word."""
        if leg.inbound and leg.call_id and leg.to_tag:
            self._overdue.add(_Ended(now + _BYE_TAKES_S, client.node, leg.call_id, leg.to_tag), now)

    def entered(self, client: Client, known_from: float, now: float) -> None:
        """All that stands at the node is known: what stood before and is not among it ended unheard.

        That the process is there says nothing of its SIP, which is asked at once.
        """
        self._probe(client.node, now)
        for dialog in self._dialogs.at(client.node):
            call_id = dialog.call_id.decode("utf-8", "replace")
            if dialog.began_at < known_from and client.calls.of_call(call_id) is None:
                tag = dialog.callee_tag.decode("utf-8", "replace")
                self._overdue.add(_Ended(now + _BYE_TAKES_S, client.node, call_id, tag), now)

    def give_up(self, ended: _Ended, now: float) -> None:
        """End a dialog that nobody else has ended, unless its channel is there after all."""
        client = self._clients.get(ended.node.name)
        if client is not None and client.calls.of_call(ended.call_id) is not None:
            return
        dialog = self._dialogs.get(ended.call_id.encode(), ended.to_tag.encode())
        if dialog is not None and dialog.node is ended.node:
            self._dialogs.end(dialog, now, "gone")


class _Ended(NamedTuple):
    """A call that a node carries no more."""

    due: float
    node: Node
    call_id: str
    to_tag: str


class _Overdue(Timed):
    """Calls that ended at their nodes and may still stand here; all wait equally long, so a queue will do."""

    __slots__ = ("_queue", "_watch")

    def __init__(self, watch: NodeEvents) -> None:
        super().__init__()
        self._watch = watch
        self._queue: deque[_Ended] = deque()

    def add(self, ended: _Ended, now: float) -> None:
        self._queue.append(ended)
        if len(self._queue) == 1:
            self._watch.timers.arm(self, ended.due)

    def fire(self, now: float) -> None:
        queue = self._queue
        while queue and queue[0].due <= now:
            self._watch.give_up(queue.popleft(), now)
        if queue:
            self._watch.timers.arm(self, queue[0].due)
