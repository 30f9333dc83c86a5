"""The response context of RFC 3261 §16: one request being forwarded, its branches, and the answer to it."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from types import CoroutineType
from typing import Final

from engine.boundary import Flow, RecordKind
from engine.call import Answer, Attempt, Call, Pause, Waiting
from engine.dialogs import ending
from engine.nodes import Node, Pool
from engine.notes import DecisionTaken, MessageDropped
from engine.proxy import told
from engine.proxy.best import better, for_caller, rank
from engine.proxy.branch import Branch
from engine.proxy.core import ProxyCore
from engine.proxy.following import end_dialog, follow, is_taken_over, record_route, to_edge
from engine.proxy.forward import branch_of, breadth_of, forward
from engine.proxy.homecoming import Homecoming, hold_again
from engine.proxy.marks import mark
from engine.proxy.routes import next_hop
from engine.proxy.session_interval import raise_session_interval
from engine.registrar import Relay, Target
from engine.sip.errors import SipError
from engine.sip.message import Response, respond
from engine.sip.transactions import ServerTransaction
from engine.timers import Timed

_RECORDED: Final = frozenset((b"INVITE", b"SUBSCRIBE", b"REFER", b"NOTIFY"))  # methods that may begin a dialog
# What makes a dialog: a fork's 2xx may make another one after the first.
_DIALOG: Final = frozenset(("from", "to", "call-id", "cseq", "contact", "record-route", "allow"))
_NONE: Final[frozenset[str]] = frozenset()
_ALONG_THE_ROUTE: Final = Attempt((), "", timeout_s=None, ring_s=None, leave_when_down=True)
# What a policy may ask for on behalf of one call; no call is helped by more, and a loop would never end by itself.
_MOST_STEPS: Final = 1000
_MOST_ATTEMPTS: Final = 100


class ResponseContext(Timed):
    """Forwards one request, either where a policy says or along its route set, and answers it once.

    It drives the policy's coroutine: each await hands an ``Attempt`` or a ``Pause`` out, and gets the result back
    when it stands. All ways lead to ``_finish``, which sends the one final response.
    """

    __slots__ = (
        "_attempts",
        "_best",
        "_call",
        "_coroutine",
        "_early",
        "_failure",
        "_last_node",
        "_leave_by",
        "_loop_key",
        "_mark",
        "_now",
        "_open",
        "_refusal",
        "_rejection",
        "_running",
        "_started_at",
        "_stepped_at",
        "_steps",
        "_target",
        "_waiting",
        "by_policy",
        "cancel_reasons",
        "cancelled",
        "core",
        "final_sent",
        "flow",
        "homecoming",
        "registration",
        "request",
        "transaction",
    )

    def __init__(
        self,
        core: ProxyCore,
        transaction: ServerTransaction,
        flow: Flow,
        leave_by: str,
        key: int,
        now: float,
    ) -> None:
        super().__init__()
        self.core = core
        self.transaction = transaction
        self.request = transaction.request
        self.flow = flow  # the way the request came
        self.by_policy = False
        self.cancelled = False
        self.cancel_reasons: tuple[bytes, ...] = ()
        self.final_sent = False
        self.registration: Relay | None = None  # of a REGISTER
        self._target: Target | None = None  # the agent that a token led to
        self._last_node = ""
        self._leave_by = leave_by
        self._loop_key = key
        self._early = False  # whether a provisional response went back
        self._mark = b""  # of an INVITE, by which a rescue finds the other half of a conversation
        self._started_at = now
        self._now = now
        self._open: list[Branch] = []
        self._attempts = 0
        self._best: Response | None = None
        self._failure = 0  # status of the last failure that brought no response
        self.homecoming: Homecoming | None = None  # while this waits for its agent's return
        self._refusal = 0  # the status of the last branch that was not even sent
        self._rejection: tuple[int, bytes, tuple[bytes, ...]] | None = None
        self._call: Call | None = None
        self._coroutine: Coroutine[Waiting, Answer | None, None] | None = None
        self._waiting: Waiting | None = None
        self._running = False
        self._steps = 0
        self._stepped_at = now
        transaction.user = self

    @property
    def call_id(self) -> str:
        """As Notes have it."""
        return self.request.call_id.decode("utf-8", "replace")

    # --- beginnings

    def route_by_policy(self, now: float) -> None:
        """Hand the request to the policy."""
        self.by_policy = True
        method = self.request.method
        policy = self.core.policy
        self._call = call = Call(self)
        try:
            if method == b"INVITE":
                coroutine = policy.invite(call)
            elif method == b"REGISTER":
                coroutine = policy.register(call)
            else:
                coroutine = policy.request(call)
            if not isinstance(coroutine, CoroutineType):
                raise TypeError("the methods of a policy are coroutines: write 'async def'")
        except Exception as error:
            self._policy_failed(error)
            self._finish(now)
            return
        self._coroutine = coroutine
        self._advance(None, now)

    def relay(self, target: Target | None, now: float, away: Flow | None = None) -> None:
        """Forward to an agent, along the route set, or ``away`` to another edge, whose the topmost Route is."""
        self._now = now
        self.homecoming = None
        self._failure = 0
        if target is not None:
            self._target = target
            self.request.uri = target.uri
            breadth = breadth_of(self.request, len(target.edges)) if len(target.edges) > 1 else None
            for way in target.edges or (target.flow,):
                self._send(None, way, _ALONG_THE_ROUTE, now, breadth)
            return
        try:
            flow = away or next_hop(self.request, self.core.here, self._leave_by)
        except SipError as error:
            self._answer(error.status, error.why.encode(), (), now)
            return
        node = self.core.pool.at(flow.peer)
        if node is not None and not self._leave_by:
            flow = node.flow
        self._send(node, flow, _ALONG_THE_ROUTE, now)

    def end_unsent(self, status: int, now: float) -> None:
        """What waited for its agent is not sent."""
        self.homecoming = None
        self._failure = status
        self._finish(now)

    # --- what the policy asks for (CallDriver)

    @property
    def now(self) -> float:
        return self._now

    @property
    def pool(self) -> Pool:
        return self.core.pool

    @property
    def rng(self) -> random.Random:
        return self.core.rng

    def choose(
        self, group: str, resource: str, by: str, key: bytes, tried: set[str], ignore_health: bool
    ) -> Node | None:
        self._step()
        core = self.core
        home = self.registration.home if self.registration is not None else ""
        choice = core.pool.choose(
            group, resource, by, key, tried, self._now, ignore_health=ignore_health, home=home
        )
        if core.tells_details:
            name = choice.node.name if choice.node is not None else ""
            why, over = choice.why, choice.passed_over
            core.out.append(DecisionTaken(self.call_id, core.policy_name, group, resource, name, why, over))
        return choice.node

    def reject(self, status: int, reason: bytes, lines: tuple[bytes, ...]) -> None:
        self._rejection = (status, reason, lines)

    # --- driving the coroutine

    def _advance(self, answer: Answer | None, now: float) -> None:
        """Let the policy go on with a result, until it waits for something that takes time."""
        coroutine = self._coroutine
        if coroutine is None or self._running:
            return
        self._now = now
        self._waiting = None
        self._running = True
        try:
            while True:
                waiting = coroutine.send(answer)
                if self.final_sent:
                    break
                answer = self._begin(waiting, now)
                if answer is None:
                    self._waiting = waiting
                    return
        except StopIteration:
            pass
        except Exception as error:  # a policy is its author's code: anything may come out of it
            self._policy_failed(error)
        finally:
            self._running = False
        self._close()
        self._finish(now)

    def _close(self) -> None:
        """End a policy that is not waited for any longer; its clean-up is its author's code too."""
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is not None:
            try:
                coroutine.close()
            except Exception as error:
                self._policy_failed(error)

    def _step(self) -> None:
        """Count what the policy asks for while no time passes: it runs on the engine's own time."""
        if self._now != self._stepped_at:
            self._stepped_at, self._steps = self._now, 0
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise RuntimeError(f"the policy goes round in circles: {_MOST_STEPS} steps without time passing")

    def _begin(self, waiting: Waiting, now: float) -> Answer | None:
        """Begin what the policy awaits; an Answer where it ended at once."""
        self._step()
        if self.cancelled:
            return Answer(487, "", cancelled=True)
        if isinstance(waiting, Pause):
            self.core.timers.arm(self, now + waiting.duration_s)
            return None
        if not isinstance(waiting, Attempt):
            raise TypeError(f"a policy can await what its Call offers, not {waiting!r}")
        if not waiting.targets:
            raise ValueError("an attempt needs a target")
        if self._attempts >= _MOST_ATTEMPTS:
            raise RuntimeError(f"the policy made {_MOST_ATTEMPTS} attempts for one call")
        breadth = breadth_of(self.request, len(waiting.targets))
        for target in waiting.targets:
            self._attempt(target, waiting, breadth, now)
        if any(not branch.closed for branch in self._open):
            return None
        return self._outcome()

    def _attempt(self, target: Node | str, attempt: Attempt, breadth: int | None, now: float) -> None:
        if isinstance(target, Node):
            self._send(target, target.flow, attempt, now, breadth)
            return
        request = self.request
        uri = request.uri
        self._call.set_uri(target)  # type: ignore[union-attr]  # only a policy makes attempts
        flow = next_hop(request, self.core.here, self._leave_by)
        self._send(self.core.pool.at(flow.peer), flow, attempt, now, breadth)
        request.uri = uri

    def _policy_failed(self, error: Exception) -> None:
        if isinstance(error, SipError) and error.status == 440:
            self._rejection = (440, b"", ())
            return
        self.core.out.append(told.policy_failed(self.call_id, self.core.policy_name, error, self.core.errors_told))
        self._rejection = (500, b"", ())
        self._best = None

    # --- sending

    def _send(
        self, node: Node | None, flow: Flow, attempt: Attempt, now: float, breadth: int | None = None
    ) -> None:
        core = self.core
        self._attempts += 1
        self._last_node = node.name if node is not None else ""
        branch_id = branch_of(core.token(), self._loop_key)
        request = forward(self.request, core.here.via(flow.interface, branch_id))
        if breadth is not None:
            request.set("max-breadth", b"Max-Breadth: %d" % breadth)
        method = request.method
        is_for_edge = to_edge(core, request, self._target, flow)
        if method in _RECORDED and not request.to.tag:
            record_route(core, request, self.request, self.flow, flow, self._target)
        elif self.registration is not None:
            self.registration.address(request, flow.interface)
        ring_s = attempt.ring_s
        if ring_s is None:
            ring_s = core.config.timers.c_s if method == b"INVITE" else float("inf")
        if node is not None:
            raise_session_interval(request, core.config.min_session_expires_s)
        self._mark = mark(core, request, node is not None, self._mark)
        branch = Branch(self, node, attempt.resource, self._attempts, ring_s, attempt.leave_when_down)
        self._open.append(branch)
        if core.legs is not None and not is_for_edge and (method == b"INVITE" or request.to.tag):
            leg, makes = core.legs.leg_for(request, self.flow, flow, branch_id, now)
            if leg is not None:
                branch.join(leg, makes)
                branch.start_with_media(leg, request, flow, branch_id, attempt.timeout_s, now)
                return
        branch.start(request, flow, branch_id, attempt.timeout_s, now)

    # --- what the branches bring

    def on_provisional(self, response: Response, now: float) -> None:
        """101 to 199 go back at once (§16.7 step 5)."""
        if not self._early and self.request.method == b"INVITE":
            self._early = True
            self.core.early.opens(self.request.call_id)
        response.pop_value("via")
        self.transaction.respond(response, now)

    def on_success(self, branch: Branch, response: Response, now: float) -> bool:
        """A 2xx goes back at once, also one that comes late, and ends all other branches (§16.7 steps 5, 10).

        False where it can't go back any more.
        """
        core = self.core
        if not self.transaction.takes_success:
            # The sender was told of a failure, or has timed out: this 2xx can reach no one (RFC 6026 §7.1), and
            # the node, whose 2xx finds no ACK, ends the call by itself (§13.3.1.4).
            source = branch.node.name if branch.node is not None else "callee"
            core.out.append(MessageDropped(source, f"{response.status} after the end of {self.call_id}"))
            return False
        response.pop_value("via")
        node = branch.node
        if self.registration is not None:
            self.registration.granted(response, node.name if node is not None else "", now)
        request, tag = self.request, response.to.tag
        news = request.method == b"INVITE" and branch.is_news(tag)
        counts = news and self.by_policy
        if counts and node is not None and core.dialogs.begin(request, tag, node, branch.resource, now):
            branch.hand_over_channel()
        kind: RecordKind = "bindings" if self.registration is not None else "dialogs"
        core.records.respond(kind, self.transaction, response, now)
        if news or not self.final_sent:  # of a repeated one all is known
            branch.ends = follow(core, request, self.flow, response, branch, self._target, self._mark, now)
        if self.final_sent:
            return True
        self.final_sent = True
        name = node.name if node is not None else ""
        if self.by_policy and core.tells_calls:
            setup_s = now - self._started_at
            core.out.append(told.answered(request, self.call_id, name, response.status, self._attempts, setup_s))
        self._cancel_others(branch, now)
        self._advance(Answer(response.status, name), now)
        self._end(now, _DIALOG if news else _NONE)
        return True

    def on_refused(self, branch: Branch, status: int, now: float) -> None:
        """A branch was not sent: its media can't be relayed, or the call was given up before."""
        self._refusal = status
        self.on_failure(branch, status, None, now)

    def on_failure(self, branch: Branch, status: int, response: Response | None, now: float) -> None:
        """A branch has ended without success."""
        if response is not None:
            response.pop_value("via")
            self._best = better(self._best, response)
            if self.registration is not None and status in (401, 407) and branch.node is not None:
                self.registration.challenged(branch.node.name)
        else:
            self._failure = status
        if status >= 600:
            self._cancel_others(branch, now)  # §16.7 step 5
        if any(not other.closed for other in self._open):
            return
        if self._coroutine is None:
            lost = status == 430 and response is None
            if not lost or self._target is None or not hold_again(self, self._target, now):
                self._finish(now)
        elif isinstance(self._waiting, Attempt):
            self._advance(self._outcome(), now)

    def _outcome(self) -> Answer:
        """The result of the attempt whose branches have all ended; ``_open`` is emptied for the next one."""
        silent = not any(branch.heard for branch in self._open)
        best = min(self._open, key=lambda branch: rank(branch.status))  # as for the responses themselves
        self._open.clear()
        return Answer(best.status, best.node.name if best.node is not None else "", silent, self.cancelled)

    def _cancel_others(self, branch: Branch, now: float) -> None:
        for other in self._open:
            if other is not branch and not other.closed:
                other.cancel(now)

    # --- the caller gives up

    def cancel(self, reasons: tuple[bytes, ...], now: float) -> None:
        """A CANCEL came for this INVITE (§16.10)."""
        if self.final_sent or self.cancelled:
            return
        self.cancelled = True
        self.cancel_reasons = reasons
        waiting = [branch for branch in self._open if not branch.closed]
        for branch in waiting:
            branch.cancel(now)
        if self.homecoming is not None:
            self.homecoming.end()
            self.end_unsent(487, now)
        elif not waiting:  # the policy pauses
            self._advance(Answer(487, "", cancelled=True), now)

    def fire(self, now: float) -> None:
        """A pause is over."""
        if isinstance(self._waiting, Pause):
            self._advance(Answer(200, ""), now)

    # --- the end

    def _finish(self, now: float) -> None:
        """Send the final response, unless a 2xx has gone back already."""
        if self.final_sent:
            return
        if self._failure and not self.cancelled and is_taken_over(self.core, self.transaction, now):
            self._end(now, None)
            return
        if self.cancelled and (self._best is None or self._best.status != 487):
            self._answer(487, b"", (), now)
        elif self._rejection is not None:
            self._answer(*self._rejection, now)
        elif self._best is not None:
            response = for_caller(self._best)
            self._told(response.status, response.reason)
            self.transaction.respond(response, now)
            self._end(now)
        elif self.request.method != b"INVITE" and self._failure == 408:
            # RFC 4320 §4.2: never a 408 to these. After timer F the sender has timed out too; a policy is quicker.
            if self.by_policy:
                self._answer(504, b"", (), now)
            else:
                self.transaction.abandon()
                self._end(now)
        elif self._refusal:
            full = (b"Retry-After: %d" % self.core.config.limits.retry_after_s,) if self._refusal == 503 else ()
            self._answer(self._refusal, b"", full, now)
        else:
            self._answer({503: 500}.get(self._failure, self._failure) or 500, b"", (), now)

    def _answer(self, status: int, reason: bytes, lines: tuple[bytes, ...], now: float) -> None:
        """Answer with a response of our own."""
        response = respond(self.request, status, reason, self.core.tag(), *lines)
        self._told(status, response.reason)
        self.transaction.respond(response, now)
        self._end(now)

    def _told(self, status: int, reason: bytes) -> None:
        if self.by_policy:
            took_s = self._now - self._started_at
            note = told.failed(self.request, self.call_id, self._last_node, status, reason, self._attempts, took_s)
            self.core.out.append(note)

    def _end(self, now: float, keep: frozenset[str] | None = _NONE) -> None:
        """Everything is said, or another answers (``keep`` is None): let go of what only the way here needed."""
        self.final_sent = True
        if self._early:
            self.core.early.closes(self.request.call_id, now)
        request = self.request
        status = self._best.status if self._best is not None else self._failure
        if request.to.tag and (why := ending(request.method, status, bool(self._failure))):
            end_dialog(self.core, request, why, now)
        for branch in self._open:
            if not branch.closed:
                branch.cancel(now)
        self._open.clear()  # they know this context; so that it need not know them any longer
        if not self._running:
            self._close()
        self._call = self._waiting = self._best = self.registration = None
        if keep is not None:  # else who answers needs both, and perhaps later
            request.shed(keep)
            self.transaction.release(self)
        self.core.timers.arm(self, float("inf"))
