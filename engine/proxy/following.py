"""Dialogs through the edge: how it stays in their way, and what a rescue must hear of them (``engine.rescue``)."""

from __future__ import annotations

from engine.boundary import Flow
from engine.media.offer_answer import SIDES
from engine.nodes import Node
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


def follow(
    core: ProxyCore,
    request: Request,
    flow: Flow,
    response: Response,
    node: Node | None,
    target: Target | None,
    mark: bytes,
    now: float,
) -> None:
    """A 2xx went back: it may have made a dialog with a node, or changed one.

    The request came on ``flow``, and was answered by ``node``, or by the agent ``target``.
    """
    rescue = core.rescue
    if request.to.tag:
        core.endings.answered(request, response)
    elif request.method == b"INVITE" and node is not None:
        key = core.registrar.targets.key_on(flow, request)
        core.endings.begins(request, response, flow, key, node.flow)
    if rescue is None:
        return
    if request.to.tag:
        rescue.answered(request, response, node is not None, now)
    elif request.method == b"INVITE" and node is not None:
        key = core.registrar.targets.key_on(flow, request)
        rescue.begins(request, response, node.name, False, mark, key, flow, now)
    elif request.method == b"INVITE" and target is not None and (caller := core.pool.at(flow.peer)) is not None:
        rescue.begins(request, response, caller.name, True, mark, target.key, target.flow, now)


def ends_of(
    core: ProxyCore, request: Request, flow: Flow, response: Response, target: Target | None, callee: Flow
) -> Ends | None:
    """Both ends of the dialog that a 2xx makes, if the relay may have us speak to them; None where we can't.

    The INVITE came on ``flow``, and was answered on ``callee``, by the agent ``target`` if one was.
    """
    if core.legs is None or not core.legs.renews:
        return None
    try:
        if request.to.tag:  # raises, too, where the INVITE was shed: a 2xx is repeated
            return None
        caller_key = core.registrar.targets.key_on(flow, request)
        callee_key = NO_KEY if target is None else target.key
        ends = Ends.of(request, response, (caller_key, flow), (callee_key, callee))
        for side in SIDES:
            ends[side].dialog.routes = core.here.beyond(ends[side].dialog.routes)
    except SipError:
        return None
    return ends


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
