"""Calls that the edge ends by itself, for an operator says so: a BYE to each side, in the name of the other.

What it takes to speak so (RFC 3261 §12.2.1.1) is kept as the call's messages had it, and read when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from engine.boundary import Flow
from engine.dialogs import Dialog, DialogTable
from engine.early import Numbers
from engine.here import Here
from engine.nodes import Pool
from engine.notes import CallNotEnded
from engine.proxy.ends import End, Ends
from engine.registrar.binding import NO_KEY
from engine.rescue import Ground, NodeSide, Rescue
from engine.rescue.errand import NOBODY, Errand
from engine.sip.errors import SipError
from engine.sip.grammar import split_commas
from engine.sip.headers import parse_name_addr
from engine.sip.message import Request, Response
from engine.sip.transactions import ServerTransaction
from engine.sip.transactions.transaction import UNATTENDED
from engine.sip.uri import parse_uri
from engine.timers import Timed
from engine.traces import MOVING, Traces
from engine.ua.dialog import Dialog as HalfDialog
from engine.ua.parts import block, reply

_REASON: Final = block(b'Reason: Q.850;cause=16;text="NORMAL_CLEARING"')
_LINGERS_S: Final = 32.0  # 64*T1: what a side sends may cross our BYE


def ends_of(traces: Traces, here: Here) -> Ends:
    """Both ends of a dialog, to be spoken to. A dialog that an end is spoken to in is the other one's half.

    Raises
    ------
    SipError
        What the sides have said cannot be read.
    """
    caller, callee = traces.from_line.partition(b":")[2], traces.to_line.partition(b":")[2]
    caller_uri = parse_name_addr(traces.caller_contact, "Contact").uri
    callee_uri = parse_name_addr(traces.callee_contact, "Contact").uri
    caller_routes = [route for line in traces.caller_routes for route in split_commas(line)]
    callee_routes = [route for line in traces.callee_routes for route in split_commas(line)][::-1]
    to_caller = HalfDialog(
        b"From:" + callee, b"To:" + caller, traces.call_id_line, caller_routes, caller_uri, traces.caller_flow
    )
    to_callee = HalfDialog(
        b"From:" + caller, b"To:" + callee, traces.call_id_line, callee_routes, callee_uri, traces.callee_flow
    )
    to_caller.local_number, to_callee.local_number = traces.callee_number, traces.caller_number
    to_caller.routes = here.beyond(caller_routes)
    to_callee.routes = here.beyond(callee_routes, len(caller_routes))
    return Ends(
        End(to_caller, callee_uri, traces.caller_key, traces.caller_flow),
        End(to_callee, caller_uri, NO_KEY, traces.callee_flow),
    )


class Nodes(Protocol):
    """The nodes, as far as they can be ordered to end a call (``engine.events``)."""

    def end_call(self, node: str, call_id: str) -> bool: ...

    def why_untold(self, node: str, call_id: str) -> str: ...


def _why(unknown: str, node: str, untold: str) -> str:
    return f"{unknown}, and {node} {untold} - give it events: in the topology, or end the call at the node"


class Endings(Timed):
    """Ends calls, and answers what comes in them afterwards.

    ``numbered`` tells the ends of a dialog in which the edge has asked something before, so that its sides' own
    numbers are not the ones to go on with.
    """

    def __init__(
        self,
        ground: Ground,
        dialogs: DialogTable,
        pool: Pool,
        numbered: Callable[[tuple[bytes, bytes]], Ends | None],
    ) -> None:
        super().__init__()
        self._ground = ground
        self._dialogs = dialogs
        self._pool = pool
        self._numbered = numbered
        self._over: dict[tuple[bytes, bytes], float] = {}  # and until when that is remembered

    # --- what passes

    def begins(
        self, invite: Request, response: Response, numbers: Numbers, caller: Flow, key: bytes, callee: Flow
    ) -> None:
        """A 2xx made a dialog with a node; one with a side that names no Contact can't be ended from here."""
        dialog = self._dialogs.get(invite.call_id, response.to.tag)
        if dialog is not None and dialog.traces is None and invite.has("contact") and response.has("contact"):
            dialog.traces = Traces(invite, response, numbers, caller, key, callee)

    def answered(self, request: Request, response: Response) -> None:
        """A 2xx to a request within a dialog goes by."""
        if response.cseq.method in MOVING:
            dialog = self._dialogs.of(request)
            if dialog is not None and dialog.traces is not None:
                dialog.traces.moves(response, request.to.tag == dialog.callee_tag)

    def takes(self, transaction: ServerTransaction, now: float) -> bool:
        """Whether a request is of a dialog that has been ended here, so that it has its answer."""
        request = transaction.request
        call_id = request.call_id
        if self._over and ((call_id, request.to.tag) in self._over or (call_id, request.from_.tag) in self._over):
            transaction.respond(reply(request, 200 if request.method == b"BYE" else 481), now)
            return True
        return False

    def passes(self, request: Request) -> None:
        """A request within a dialog goes by, to whom it may go."""
        dialog = self._dialogs.of(request)
        if dialog is not None and dialog.traces is not None:
            dialog.traces.passes(request, request.from_.tag == dialog.callee_tag)

    # --- the order

    def order(self, call_id: str, rescue: Rescue | None, nodes: Nodes, now: float) -> None:
        """Let a call's node hang up both its legs, where it can be told; else say BYE to both sides of the one."""
        if rescue is not None and rescue.end(call_id, now):
            return
        for dialog in self._dialogs.of_call(call_id):
            node = dialog.node.name
            if nodes.end_call(node, call_id):
                continue
            ends = self._ends(dialog)
            if isinstance(ends, str):
                why = _why(ends, node, nodes.why_untold(node, call_id))
                self._ground.out.append(CallNotEnded(call_id, node, why))
            else:
                self._end(dialog, ends, now)

    def obstacle(self, call_id: str, rescue: Rescue | None, nodes: Nodes) -> str:
        """Why an order would end no dialog of a call; "" where it would."""
        why = ""
        if rescue is not None and rescue.named(call_id):
            return why
        for dialog in self._dialogs.of_call(call_id):
            node = dialog.node.name
            untold = nodes.why_untold(node, call_id)
            ends = self._ends(dialog) if untold else None
            if not isinstance(ends, str):
                return ""
            why = _why(ends, node, untold)
        return why

    def _ends(self, dialog: Dialog) -> Ends | str:
        """Both ends of a dialog, or why they are not known."""
        try:
            ends = self._numbered((dialog.call_id, dialog.callee_tag))
            if ends is None and dialog.traces is not None:
                ends = ends_of(dialog.traces, self._ground.here)
        except SipError as error:
            return f"what its sides have said cannot be read: {error.why}"
        return ends or "it stands since before this start of the edge, or a side named no Contact"

    def _end(self, dialog: Dialog, ends: Ends, now: float) -> None:
        key = (dialog.call_id, dialog.callee_tag)
        self._over[key] = now + _LINGERS_S
        if len(self._over) == 1:
            self._ground.timers.arm(self, now + _LINGERS_S)
        caller = ends["caller"]
        side = NodeSide(key, dialog.node.name, b"", caller.dialog, caller.contact, caller.key, caller.flow)
        Errand(self._ground, side, b"BYE", _REASON, b"", NOBODY).begin(now)
        self._tell_node(ends["callee"], now)
        self._dialogs.end(dialog, now, "by order")

    def _tell_node(self, end: End, now: float) -> None:
        ground = self._ground
        try:
            flow = self._way_to_node(end)
        except SipError:
            return  # it is not reached any more, and finds out by itself
        branch = ground.branch()
        via = ground.here.via(flow.interface, branch)
        request = end.dialog.request(b"BYE", via, end.dialog.next_number(), _REASON)
        ground.layer.send(request, flow, UNATTENDED, now, branch)

    def _way_to_node(self, end: End) -> Flow:
        """As a request of the caller would go: by the route set, else to the Contact."""
        routes = end.dialog.routes
        uri = parse_name_addr(routes[0], "Route").uri if routes else end.dialog.remote_target
        flow = self._ground.here.flow_to(parse_uri(uri), end.flow.interface)
        node = self._pool.at(flow.peer)
        return flow if node is None else node.flow

    def fire(self, now: float) -> None:
        """The oldest of those that have ended is over for good."""
        while self._over:
            key, until = next(iter(self._over.items()))
            if until > now:
                self._ground.timers.arm(self, until)
                return
            del self._over[key]
