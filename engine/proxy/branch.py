"""One branch of a forwarded request: one client transaction, its time-outs, and the channel it holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from engine.nodes import Node
from engine.notes import AttemptEnded, AttemptStarted
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ClientTransaction
from engine.sip.transactions.transaction import UNATTENDED, cancel_of
from engine.timers import Timed

if TYPE_CHECKING:
    from engine.boundary import Flow
    from engine.proxy.context import ResponseContext
    from engine.proxy.ends import Ends
    from engine.proxy.legs import Leg


class Branch(Timed):
    """A request on its way to one target, until its final response, and beyond where that comes late.

    A branch is *open* until its context has learnt a result; one that was given up (``closed`` without a final
    response) still cancels what rings late, and passes on a 2xx, which no proxy may swallow (§16.7 step 5).
    """

    __slots__ = (
        "_cancel_sent",
        "_client",
        "_context",
        "_holds_channel",
        "_leave_when_down",
        "_leg",
        "_makes_leg",
        "_offset",
        "_ring_s",
        "_started_at",
        "_tags",
        "_timeout_at",
        "_unwanted",
        "_void",
        "closed",
        "ends",
        "heard",
        "node",
        "number",
        "resource",
        "status",
    )

    def __init__(
        self,
        context: ResponseContext,
        node: Node | None,
        resource: str,
        number: int,
        ring_s: float,
        leave_when_down: bool,
    ) -> None:
        super().__init__()
        self._context = context
        self.node = node
        self.resource = resource
        self.number = number
        self._ring_s = ring_s
        self._leave_when_down = leave_when_down
        self._client: ClientTransaction | None = None
        self._leg: Leg | None = None  # whose media the request is about
        self._makes_leg = False
        self._void: Callable[[int, float], None] | None = None  # tells a leg that stays of an end without response
        self._tags: tuple[bytes, ...] = ()  # of the dialogs that its 2xx have made
        self._offset = 0  # by how much the request was counted up (``engine.proxy.ends``)
        self._started_at = 0.0
        self._timeout_at = float("inf")
        self._cancel_sent = False
        self._unwanted = False  # to be cancelled as soon as that is allowed (§9.1: after a provisional response)
        self._holds_channel = False
        self.heard = False
        self.ends: Ends | None = None  # of the dialog that the 2xx makes which is about to be passed on
        self.closed = False
        self.status = 0  # the final one, ours or the target's

    def join(self, leg: Leg, makes: bool) -> None:
        """The request is about this leg's media; ``makes``: the leg begins with it."""
        self._leg, self._makes_leg = leg, makes

    def start_with_media(
        self, leg: Leg, request: Request, flow: Flow, branch: bytes, timeout_s: float | None, now: float
    ) -> None:
        """As ``start``, once the relay has seen what the request says of media."""
        if not self._makes_leg:
            self._void = leg.void(request)
        leg.request(request, partial(self._start_described, request, flow, branch, timeout_s), now)

    def _start_described(
        self,
        request: Request,
        flow: Flow,
        branch: bytes,
        timeout_s: float | None,
        error: SipError | None,
        now: float,
    ) -> None:
        if error is None and not self._unwanted:
            if self._leg is not None:
                self._offset = self._leg.count_up(request)
            self.start(request, flow, branch, timeout_s, now)
            return
        self.closed = True
        self.status = 487 if error is None else error.status
        self._leave_leg(now)
        self._void_offer(self.status, now)
        self._context.on_refused(self, self.status, now)

    def start(self, request: Request, flow: Flow, branch: bytes, timeout_s: float | None, now: float) -> None:
        """Send the request, reserving a channel at the node."""
        core = self._context.core
        self._started_at = now
        node = self.node
        if node is not None:
            node.take(self.resource)
            self._holds_channel = True
            if self._context.by_policy:
                node.attempts += 1
                if core.tells_details:
                    core.out.append(AttemptStarted(self._context.call_id, node.name, self.number))
            core.attempts_at(node)[self] = None
            look_at = now + core.pool.passive.suspect_after_s
        else:
            look_at = float("inf")
            if flow.stream:
                core.sent_on(flow, self)
        if timeout_s is not None:
            self._timeout_at = now + timeout_s
        core.timers.arm(self, min(look_at, self._timeout_at))
        self._client = core.layer.send(request, flow, self, now, branch)
        self._client.heeds_errors = self._leave_when_down

    # --- what comes back (ClientUser)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if not self.heard:
            self.heard = True
            if self.node is not None and response.status != 503:
                self._context.core.pool.answered(self.node, now, now - self._started_at)
        leg = self._leg
        if leg is None or response.status == 100:
            self._take(response, now)
        elif self._void is None and not self._makes_leg:
            leg.late(response)
            self._take(response, now)
        else:
            leg.count_down(response, self._offset)
            leg.response(response, partial(self._take_described, response), now)

    def _take_described(self, response: Response, _error: SipError | None, now: float) -> None:
        """The relay has seen what the response says of media; what it can't use was left out."""
        self._take(response, now)

    def _take(self, response: Response, now: float) -> None:
        context = self._context
        core = context.core
        status = response.status
        if status < 200:
            if self._unwanted:
                self._send_cancel(now)
            elif not self.closed:
                # Timer C: §16.7 step 2 restarts it at each provisional response but 100
                self._timeout_at = now + self._ring_s
                core.timers.arm(self, self._timeout_at)
                if status > 100:
                    context.on_provisional(response, now)
            return
        core.timers.arm(self, float("inf"))
        if status < 300:
            self._left_node()
            self.closed = True
            taken = context.on_success(self, response, now)
            self.release()
            if self._makes_leg and self._leg is not None:
                ends, self.ends = self.ends, None
                if taken:
                    self._leg.confirm(response.to.tag, ends)
                self._leave_leg(now)
            return
        if status == 503 and self.node is not None and context.by_policy:
            core.pool.closed(self.node, now, _retry_after_s(response, core.pool.passive.retry_after_cap_s))
        self._leave_leg(now)
        self._end(status, f"answered {status}", response, now)

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        self._leave_leg(now)
        self._end(408, "no final answer (timer B or F)", None, now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self._left_node()
        if self.node is not None:
            self._context.core.pool.unreachable(self.node, now, reason)
        self._leave_leg(now)
        # §16.9: as if 503 had been received; RFC 5626 §5.3 where it was an agent's own connection
        self._end(430 if self.node is None and transaction.flow.stream else 503, reason, None, now)

    def flow_lost(self, reason: str, now: float) -> None:
        """The agent's connection is gone, and the request or its answer with it."""
        if self._client is not None:
            self._client.unreachable(reason, now)

    # --- time

    def fire(self, now: float) -> None:
        if now < self._timeout_at:
            if self.node is not None and not self.heard:
                self._context.core.pool.owes_answer(self.node, now)
            self._context.core.timers.arm(self, self._timeout_at)
        elif self.heard:
            self.cancel(now)
            self._end(408, "rang for too long", None, now)
        else:
            if self.node is not None:
                self._context.core.pool.silent(self.node, now, "an attempt got no answer")
            self._give_up(408, "no answer in time", now)

    def node_down(self, now: float) -> None:
        """The pool learnt that the node is gone: there is nothing more to wait for."""
        if self._leave_when_down and not self.closed:
            self._give_up(408, "node down", now)

    def _give_up(self, status: int, why: str, now: float) -> None:
        """Stop repeating the request, so that a node that returns isn't met by calls given up long ago."""
        self.cancel(now)
        if self._client is not None:
            self._client.stop_resending()
        self._end(status, why, None, now)

    # --- giving up

    def cancel(self, now: float) -> None:
        """No longer wanted: CANCEL now if the target has said anything, else when it does."""
        self._unwanted = True
        if self.heard:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        client = self._client
        if self._cancel_sent or client is None or client.request is None or client.request.method != b"INVITE":
            return
        self._cancel_sent = True
        core = self._context.core
        core.layer.send(cancel_of(client.request, *self._context.cancel_reasons), client.flow, UNATTENDED, now)
        client.cancelled(now)

    # --- ends

    def _end(self, status: int, why: str, response: Response | None, now: float) -> None:
        self._left_node()
        self.release()
        if self.closed:
            return
        self.closed = True
        self.status = status
        if response is None:
            self._void_offer(status, now)
        context = self._context
        node = self.node
        if node is not None and context.by_policy:
            if status in (408, 503):
                node.failures += 1
            context.core.out.append(
                AttemptEnded(context.call_id, node.name, self.number, status, why, now - self._started_at)
            )
        context.on_failure(self, status, response, now)

    def _left_node(self) -> None:
        if self.node is not None:
            self._context.core.attempts_at(self.node).pop(self, None)
        elif self._client is not None and self._client.flow.stream:
            self._context.core.left(self._client.flow, self)

    def _leave_leg(self, now: float) -> None:
        """No further response will come, so that the leg ends, unless a dialog has it."""
        if self._makes_leg and self._leg is not None:
            self._leg.branch_over(now)

    def _void_offer(self, status: int, now: float) -> None:
        """We end the request, without a response that the relay sees: an offer in it is void (RFC 3261 §14.1)."""
        void, self._void = self._void, None
        if void is not None:
            void(status, now)

    def release(self) -> None:
        """Give the channel back, unless a dialog took it over."""
        if self._holds_channel and self.node is not None:
            self._holds_channel = False
            self.node.give(self.resource)

    @property
    def callee(self) -> Flow | None:
        """Where the request was sent, if a leg begins with it."""
        return self._client.flow if self._makes_leg and self._client is not None else None

    def is_news(self, tag: bytes) -> bool:
        """Whether a 2xx with this tag makes a dialog: one that comes again may be of a dialog that is over."""
        if tag in self._tags:
            return False
        self._tags += (tag,)
        return True

    def hand_over_channel(self) -> None:
        """A dialog takes the channel over; where this branch gave it back before, it is taken again."""
        if not self._holds_channel and self.node is not None:
            self.node.take(self.resource)
        self._holds_channel = False


def _retry_after_s(response: Response, usual_s: float) -> float:
    """Retry-After is delta-seconds, then perhaps a comment or parameters (§20.33)."""
    digits = (response.get("retry-after") or b"").split(b";")[0].split(b"(")[0].strip()
    return float(digits) if digits.isdigit() and len(digits) < 10 else usual_s
