"""What becomes of a valid request: answered here, sent along its route set, or given to the policy (§16.3)."""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.boundary import Flow, Send
from engine.nodes import Node
from engine.notes import CallAdmitted, MessageDropped, RequestRefused
from engine.proxy.context import ResponseContext
from engine.proxy.core import ProxyCore
from engine.proxy.following import elsewhere, passes, to_edge
from engine.proxy.forward import branch_of, check_loop, forward, loop_key
from engine.proxy.homecoming import hold
from engine.proxy.legs import Leg
from engine.proxy.marks import unmark
from engine.proxy.routes import Routed, next_hop, take_routes
from engine.registrar import FlowFailedError, Relay, Target
from engine.sip.errors import RefusalError, SipError
from engine.sip.headers import parse_number
from engine.sip.message import Request, Response, respond
from engine.sip.transactions import ServerTransaction
from engine.sip.uri import parse_uri

ALLOW: Final = (
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE, MESSAGE"
)

_GONE: Final = (b'Reason: Q.850;cause=27;text="DESTINATION_OUT_OF_ORDER"',)


class Admission:
    """The transaction user of the edge: looks at each new request and sends it on its way."""

    __slots__ = ("_core", "draining")

    def __init__(self, core: ProxyCore) -> None:
        self._core = core
        self.draining = False  # no new calls: the edge is about to stop

    # --- TransactionUser

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if request.method == b"CANCEL":
            self._cancel(transaction, now)
            return
        try:
            self._route(transaction, now)
        except SipError as error:
            self._refuse(transaction, error, now)

    def on_ack(self, request: Request, flow: Flow, now: float) -> None:
        """The ACK of a 2xx goes along the route set without a transaction (§16.11); a stray one is dropped."""
        core = self._core
        try:
            self._count_hops(request)
            routed, away = self._take_routes(request)
            key = loop_key(request)
            check_loop(request, core.here, key)
            if core.rescue is not None and core.rescue.takes_ack(request, now):
                return
            target = None if away is not None else self._target(request, flow, routed)
            if away is not None:
                to = away
            elif target is not None:
                to = target.flow
            else:
                to = next_hop(request, core.here, routed.interface)
        except SipError as error:
            core.out.append(MessageDropped(_text(flow), f"ACK: {error.why}"))
            return
        if target is None and away is None and core.pool.at(to.peer) is None:
            from_node = core.pool.at(flow.peer) is not None
            if not routed.popped or not self._is_of_call(request, routed, from_node):
                core.out.append(MessageDropped(_text(flow), "ACK that belongs to nothing"))
                return
        if core.rescue is not None:
            core.rescue.acknowledged(request)
        via = core.here.via(to.interface, branch_of(core.token(), key))
        ack = forward(request, via)
        to_edge(core, ack, target, to)
        if core.pool.at(to.peer) is not None:
            unmark(ack)
        leg = core.legs.of(ack) if core.legs is not None else None
        if leg is None:
            core.out.append(Send(to, ack.wire()))
        else:
            leg.request(ack, partial(self._ack_described, leg, ack, to), now)

    def _ack_described(self, leg: Leg, ack: Request, to: Flow, _error: SipError | None, now: float) -> None:
        leg.count_up(ack)
        self._core.out.append(Send(to, ack.wire()))

    def on_stray_response(self, response: Response, flow: Flow, now: float) -> None:
        """Dropped: forwarding one without its transaction is what RFC 6026 §7.3 forbids."""
        why = f"stray {response.status} to {response.cseq.method.decode('ascii')}"
        self._core.out.append(MessageDropped(_text(flow), why))

    # --- requests

    def _route(self, transaction: ServerTransaction, now: float) -> None:
        core = self._core
        request = transaction.request
        self._count_hops(request)
        if request.has("proxy-require"):
            tags = b", ".join(request.values("proxy-require"))
            raise RefusalError(420, "Proxy-Require", b"Unsupported: " + tags)  # §16.3 step 5: we know no extension
        routed, away = self._take_routes(request)
        key = loop_key(request)
        check_loop(request, core.here, key)
        flow = transaction.flow
        if core.peers is not None and (notice := core.peers.moved(request, now)) is not None:
            if not core.peers.is_outrun(notice):
                core.registrar.moved(notice.key, notice.edge, now)
            transaction.respond(respond(request, 200, b"", core.tag()), now)
            return
        in_dialog = bool(request.to.tag)
        from_node = core.pool.at(flow.peer) is not None
        if in_dialog and core.endings.takes(transaction, now):
            return
        if in_dialog and core.rescue is not None and core.rescue.takes(transaction, from_node, now):
            return
        context = ResponseContext(core, transaction, flow, routed.interface, key, now)
        if away is not None:
            if request.method == b"INVITE":
                transaction.respond(respond(request, 100), now)
            context.relay(None, now, away)
            return
        try:
            target = self._target(request, flow, routed)
        except FlowFailedError as failed:
            if hold(context, failed.key, partial(self._target, request, flow, routed), now):
                if in_dialog:
                    passes(core, request)
                if request.method == b"INVITE":
                    transaction.respond(respond(request, 100), now)
                return
            target = elsewhere(core, request, failed)
            if target is None:
                raise
        if in_dialog or from_node or target is not None:
            if target is None:
                self._check_way(request, routed, in_dialog, from_node)
            if in_dialog:
                passes(core, request)
            if request.method == b"INVITE":
                transaction.respond(respond(request, 100), now)
            context.relay(target, now)
            return
        if self._answered_here(transaction, now):
            transaction.release(context)
            return
        if request.has("route"):
            raise RefusalError(403, "pre-loaded Route to elsewhere")  # else anyone could send through us to anyone
        self._check_room(request)
        if request.method == b"REGISTER":
            answer = core.registrar.receive(request, flow, core.tag(), now)
            if not isinstance(answer, Relay):
                core.records.respond("bindings", transaction, answer, now)
                transaction.release(context)
                return
            context.registration = answer
        elif request.method == b"INVITE":
            transaction.respond(respond(request, 100), now)  # §17.2.1: before the policy takes its time
        if core.tells_details:
            method = request.method.decode("ascii")
            uri = request.uri.decode("utf-8", "replace")
            core.out.append(CallAdmitted(context.call_id, method, uri, _text(flow)))
        context.route_by_policy(now)

    def _take_routes(self, request: Request) -> tuple[Routed, Flow | None]:
        """Our own Routes are taken off; or those of another edge on top, that an agent brought which came here.

        Where that edge lives, the request goes to it as it is.
        """
        core = self._core
        routed = take_routes(request, core.here)
        if routed.popped or core.peers is None:
            return routed, None
        theirs, away = core.peers.take_route(request)
        return theirs or routed, away

    def _target(self, request: Request, flow: Flow, routed: Routed) -> Target | None:
        """The agent that a flow token leads to; the Request-URI becomes its own."""
        core = self._core
        target = core.registrar.targets.find(request, routed.user, core.pool.at(flow.peer) is not None)
        if target is not None:
            request.uri = target.uri
        return target

    def _count_hops(self, request: Request) -> None:
        value = request.get("max-forwards")
        if value is not None and parse_number(value, "Max-Forwards", 255) == 0:
            raise SipError("Max-Forwards exhausted", 483)

    def _check_way(self, request: Request, routed: Routed, in_dialog: bool, from_node: bool) -> None:
        """A request within a dialog, or from a node, must name its way: a Route of ours, or a node's address.

        A node judges its dialogs itself. Elsewhere go those of calls alone that went through us, for anybody can
        write a To tag and our address into a Route.
        """
        uri = parse_uri(request.uri)
        if not request.has("route") and self._core.here.interface_of(uri) is not None:
            if in_dialog:
                raise SipError("in-dialog request whose target is this edge", 481)
            raise SipError("a node asks for a user whom this edge does not know", 404)
        core = self._core
        if not in_dialog or (routed.popped and (from_node or core.dialogs.of(request) is not None)):
            return
        if not request.has("route") and core.pool.at(core.here.flow_to(uri).peer) is not None:
            return
        if not routed.popped:
            raise SipError("in-dialog request for elsewhere, without a Route of ours", 404)
        if not self._is_made_for(request, routed):  # last, for a token must be decrypted
            raise SipError("in-dialog request of no call of ours, for elsewhere", 403)

    def _is_of_call(self, request: Request, routed: Routed, from_node: bool) -> bool:
        """Whether this in-dialog request belongs to a call that went through us, in this life or an earlier one.

        It does where the dialog stands here, and where a Route was made for its Call-ID.
        """
        return from_node or self._core.dialogs.of(request) is not None or self._is_made_for(request, routed)

    def _is_made_for(self, request: Request, routed: Routed) -> bool:
        return self._core.registrar.tokens.made_for(request.call_id, routed.marks, routed.users)

    def _answered_here(self, transaction: ServerTransaction, now: float) -> bool:
        """OPTIONS to the edge itself: load balancers and phones ask so whether it lives (§11)."""
        request = transaction.request
        if request.method != b"OPTIONS":
            return False
        uri, here = parse_uri(request.uri), self._core.here
        if uri.user is not None:
            return False
        if here.interface_of(uri) is None and not here.asked_at(uri, transaction.flow.interface):
            return False
        if self._core.peers is not None:
            self._core.peers.heard(transaction.flow, now)
        if self.draining:
            raise self._unavailable("draining")
        response = respond(request, 200, b"", self._core.tag(), ALLOW, b"Accept: application/sdp")
        transaction.respond(response, now)
        return True

    def _check_room(self, request: Request) -> None:
        if self.draining:
            raise self._unavailable("draining")
        limit = self._core.config.limits.dialogs
        if request.method == b"INVITE" and len(self._core.dialogs) + self._core.open_attempts >= limit:
            raise self._unavailable(f"{limit} dialogs stand")

    def _unavailable(self, why: str) -> RefusalError:
        return RefusalError(503, why, b"Retry-After: %d" % self._core.config.limits.retry_after_s)

    def node_down(self, node: Node, now: float) -> None:
        """Cancel what a node has asked of agents and they have not answered: nobody is left to take the answer."""
        for transaction in self._core.layer.unanswered(node.flow.peer):
            if isinstance(transaction.user, ResponseContext) and transaction.request.method == b"INVITE":
                transaction.user.cancel(_GONE, now)

    def _cancel(self, transaction: ServerTransaction, now: float) -> None:
        core = self._core
        request = transaction.request
        invite = core.layer.invite_of(request)
        status = 481 if invite is None else 200
        transaction.respond(respond(request, status, b"", core.tag()), now)
        if invite is not None and isinstance(invite.user, ResponseContext):
            reasons = tuple(b"Reason: " + value for value in request.all("reason"))  # RFC 3326
            invite.user.cancel(reasons, now)

    def _refuse(self, transaction: ServerTransaction, error: SipError, now: float) -> None:
        core = self._core
        request = transaction.request
        method = request.method.decode("ascii")
        core.out.append(RequestRefused(_text(transaction.flow), method, error.status, error.why))
        lines = error.lines if isinstance(error, RefusalError) else ()
        transaction.respond(respond(request, error.status, b"", core.tag(), *lines), now)
        transaction.release(transaction.user)


def _text(flow: Flow) -> str:
    return f"{flow.peer[0]}:{flow.peer[1]}"
