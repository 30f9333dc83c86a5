"""An INVITE of our own that is routed like one that came: by the policy, with all that a proxy does for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.boundary import Flow
from engine.sip.message import Request, Response
from engine.sip.transactions import tables
from engine.sip.transactions.transaction import ServerTransaction

if TYPE_CHECKING:
    from engine.sip.transactions.layer import TransactionLayer
    from engine.sip.transactions.timing import Durations


class Asker(Protocol):
    """Who sent it, and is given each response that a caller on the wire would be."""

    def on_response(self, response: Response, now: float) -> None: ...


class OwnInvite(ServerTransaction):
    """Its responses stay here. Made by ``TransactionLayer.own``."""

    __slots__ = ("_asker",)

    def __init__(
        self, layer: TransactionLayer, request: Request, flow: Flow, durations: Durations, asker: Asker
    ) -> None:
        super().__init__(layer, request, flow, durations, ())
        self._asker = asker

    def _act(self, action: str, response: Response | None, now: float) -> None:
        if action == tables.SEND_RESPONSE and response is not None:
            self._asker.on_response(response, now)
            if response.status >= 300:
                self.step(tables.ACK, now)
