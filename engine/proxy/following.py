"""Dialogs through the edge: how it stays in their way, and what a rescue must hear of them (``engine.rescue``)."""

from __future__ import annotations

from engine.boundary import Flow
from engine.proxy.branch import Branch
from engine.proxy.core import ProxyCore
from engine.proxy.ends import Ends
from engine.registrar import FlowFailedError, Target
from engine.registrar.binding import NO_KEY
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ServerTransaction


def record_route(
    core: ProxyCore, copy: Request, request: Request, came: Flow, goes: Flow, target: Target | None
) -> None:
    """Stay in the way of the dialog's requests; tokens name the flows of agents on either side.

    ``copy`` of the ``request`` is about to be sent on.
    """
    targets = core.registrar.targets
    caller = b"" if core.pool.at(came.peer) is not None else targets.way_back(request, came)
    callee = b"" if target is None or target.edges else targets.route_token(target, request.call_id)
    mark = b"" if caller or callee else core.registrar.tokens.mark(request.call_id)
    core.here.record_route(copy, came.interface, goes.interface, caller, callee, mark)


def passes(core: ProxyCore, request: Request) -> None:
    """A request within a dialog is about to be sent on: who follows the dialog counts it."""
    core.early.passes(request)
    core.endings.passes(request)
    if core.rescue is not None:
        core.rescue.passes(request)


def follow(
    core: ProxyCore,
    request: Request,
    flow: Flow,
    response: Response,
    branch: Branch,
    target: Target | None,
    mark: bytes,
    now: float,
) -> Ends | None:
    """A 2xx went back: it may have made a dialog with a node, or changed one.

    The request came on ``flow``, and was answered on ``branch``, perhaps by the agent ``target``. Returns both
    ends of the dialog that it made, if the relay may have us speak to them.
    """
    rescue, node, callee = core.rescue, branch.node, branch.callee
    if request.to.tag:
        core.endings.answered(request, response)
        if rescue is not None:
            rescue.answered(request, response, now)
        return None
    asks = callee is not None and core.legs is not None and core.legs.renews
    caller = core.pool.at(flow.peer) if rescue is not None and node is None and target is not None else None
    if request.method != b"INVITE" or (node is None and caller is None and not asks):
        return None
    numbers = core.early.numbers(request, response.to.tag)
    key = core.registrar.targets.key_on(flow, request) if caller is None or asks else NO_KEY
    if node is not None:
        core.endings.begins(request, response, numbers, flow, key, node.flow)
        if rescue is not None:
            rescue.begins(request, response, numbers, node.name, False, mark, key, flow, now)
    elif rescue is not None and caller is not None and target is not None:
        rescue.begins(request, response, numbers, caller.name, True, mark, target.key, target.flow, now)
    if callee is None or not asks:
        return None
    callee_key = NO_KEY if target is None else target.key
    try:
        return Ends.of(core.here, request, response, numbers, (key, flow), (callee_key, callee))
    except SipError:
        return None  # a side names no Contact


def is_taken_over(core: ProxyCore, transaction: ServerTransaction, now: float) -> bool:
    """Whether the node died over a request within a dialog, and the dialog has been taken over."""
    if core.rescue is None or not transaction.request.to.tag:
        return False
    return core.rescue.takes(transaction, core.pool.at(transaction.flow.peer) is not None, now, late=True)


def end_dialog(core: ProxyCore, request: Request, why: str, now: float) -> None:
    """The dialog of this request is over for all who follow it."""
    core.dialogs.ended(request, now, why)
    if core.rescue is not None:
        core.rescue.over(request)
    if core.legs is not None:
        core.legs.dialog_over(request, now)


def elsewhere(core: ProxyCore, request: Request, failed: FlowFailedError) -> Target | None:
    """All other edges that live, to be asked for an agent that is not reached here; None where that is no use."""
    ways = core.peers.ways() if core.peers is not None and not failed.asked else ()
    return Target(ways[0], failed.key, request.uri, ways) if ways else None


def to_edge(core: ProxyCore, copy: Request, target: Target | None, flow: Flow) -> bool:
    """Let a request that is about to be sent on say to another edge whom it is for, if it goes to one."""
    if core.peers is None or target is None or not target.edges:
        return False
    copy.add_first("route", core.peers.route(target.key, copy.call_id, flow))
    return True
