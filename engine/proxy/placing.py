"""Calls of the edge's own: routed by its policy, and counted, like those of agents."""

from __future__ import annotations

from engine.boundary import Flow
from engine.proxy.context import ResponseContext
from engine.proxy.core import ProxyCore
from engine.proxy.forward import loop_key
from engine.sip.message import Request
from engine.sip.transactions import Asker, ServerTransaction


class Placed:
    """One call that was placed; ``cancel`` while it has no answer."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: ServerTransaction) -> None:
        self._transaction = transaction

    def cancel(self, reasons: tuple[bytes, ...], now: float) -> None:
        """It is wanted no more (RFC 3261 §9)."""
        context = self._transaction.user
        if isinstance(context, ResponseContext):
            context.cancel(reasons, now)


def place(core: ProxyCore, invite: Request, flow: Flow, asker: Asker, now: float) -> Placed:
    """Send an INVITE where the policy says. ``flow`` is the way of who it is made for."""
    transaction = core.layer.own(invite, flow, asker)
    placed = Placed(transaction)
    ResponseContext(core, transaction, flow, "", loop_key(invite), now).route_by_policy(now)
    return placed
