"""The event socket of one node: log-in, subscription, what stood before, and then its word, event by event.

A connection that ends is opened again, later and later. FreeSWITCH answers commands in their order, so a queue
says which answer is whose; events may stand between them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from engine.boundary import NEVER, Close, Flow, Send
from engine.config import EventsConfig
from engine.events.calls import NodeCalls
from engine.events.channels import uuids_of
from engine.events.frames import Event, Frame, Framer, FramingError
from engine.nodes import Node
from engine.nodes.node import NodeLoad
from engine.notes import EventsConnected, EventsLost
from engine.timers import Timed

if TYPE_CHECKING:
    from engine.events.watch import NodeEvents

WAITING: Final = "waiting"  # until the next try
CONNECTING: Final = "connecting"  # the connection is being opened, or the node has not greeted yet
ENTERING: Final = "entering"  # log-in, subscription, and what stood before
WATCHING: Final = "watching"
STOPPED: Final = "stopped"  # not begun, or ended for good

_PAUSE_CHECK = b"api fsctl pause_check inbound"
_ASKED_AT_ONCE = 8  # channels; each answer has some 10 KB
_COMMANDS_MAX = 64
_SESSIONS = re.compile(rb"(\d{1,9}) session\(s\) - peak")
_MAX_SESSIONS = re.compile(rb"(\d{1,9}) session\(s\) max")
_IDLE = re.compile(rb"min idle cpu [\d.]{1,9}/(\d{1,3}(?:\.\d{1,6})?)")
_UUID = re.compile(r"[A-Za-z0-9-]{1,64}")

Answered = Callable[[Frame, float], None]


class Client(Timed):
    """One node's event socket. Its timer is the next try, the end of patience, or the next question."""

    __slots__ = (
        "_answers",
        "_born",
        "_framer",
        "_known_from",
        "_stream",
        "_unasked",
        "_watch",
        "calls",
        "config",
        "flow",
        "handlers",
        "lost_at",
        "node",
        "retry_s",
        "state",
    )

    def __init__(self, watch: NodeEvents, node: Node, config: EventsConfig, flow: Flow) -> None:
        super().__init__()
        self.node = node
        self.config = config
        self.flow = flow  # to open a connection; its number is not known yet
        self.calls = NodeCalls()
        self.state = STOPPED
        self.retry_s = config.retry_min_s
        self.lost_at = -NEVER  # when it was last left off, watching
        self._watch = watch
        self._stream: Flow | None = None
        self._framer = Framer()
        self._answers: deque[Answered] = deque()
        self._unasked: list[str] = []
        self._born: set[str] = set()  # channels that began while the list of those that stand was under way
        self._known_from = NEVER
        calls = self.calls
        self.handlers: dict[str, Callable[[Event, float], None]] = {
            "HEARTBEAT": self._heartbeat,
            "CHANNEL_CREATE": self._created,
            "CHANNEL_ANSWER": lambda event, _now: calls.answered(event),
            "CHANNEL_BRIDGE": lambda event, _now: calls.bridged(event),
            "CHANNEL_UNBRIDGE": lambda event, _now: calls.unbridged(event),
            "CHANNEL_UUID": lambda event, _now: calls.renamed(event),
            "CHANNEL_HANGUP": self._hung_up,
        }

    # --- life

    def start(self, now: float) -> None:
        """Open the connection."""
        self.state = CONNECTING
        self._watch.out.append(Send(self.flow, b""))
        self._watch.timers.arm(self, now + self.config.timeout_s)

    def stop(self, now: float) -> None:
        """The node is not ours any more, or has no event socket any more."""
        self._leave()
        self.state = STOPPED
        self.node.load = None
        self._watch.timers.arm(self, NEVER)

    def fire(self, now: float) -> None:
        if self.state == WAITING:
            self.start(now)
        elif self.state == WATCHING and not self._answers:
            self._ask(_PAUSE_CHECK, self._pause_checked)
            self._watch.timers.arm(self, now + self.config.timeout_s)
        elif self.state != STOPPED:
            self._lost("no answer in time", now)

    def can_kill(self, uuid: str) -> bool:
        return self.state == WATCHING and _UUID.fullmatch(uuid) is not None and len(self._answers) < _COMMANDS_MAX

    def kill(self, uuid: str) -> bool:
        """Order the node to end this channel, and with it the call; False where it can't be told."""
        can = self.can_kill(uuid)
        if can:
            self._ask(b"api uuid_kill " + uuid.encode(), self._ignored)
        return can

    # --- what happens to the connection

    def opened(self, flow: Flow, now: float) -> None:
        """The connection stands; the node speaks first."""
        if self.state != CONNECTING or self._stream is not None:
            self._watch.out.append(Close(flow))
            return
        self._stream = flow
        self._framer = Framer()
        self._watch.timers.arm(self, now + self.config.timeout_s)

    def closed(self, flow: Flow, reason: str, now: float) -> None:
        """The connection ended, or could not be opened."""
        if flow == self._stream or (self._stream is None and self.state == CONNECTING):
            self._stream = None
            self._lost(reason, now)

    def receive(self, flow: Flow, data: bytes, now: float) -> None:
        """Bytes of the node."""
        if flow != self._stream:
            return
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            self._lost(str(error), now)
            return
        for frame in frames:
            if self._stream is None:
                return
            self._take(frame, now)

    def _take(self, frame: Frame, now: float) -> None:
        kind = frame.kind
        if kind == b"text/event-plain":
            event = Event(frame.body)
            handler = self.handlers.get(event.get(b"Event-Name"))
            if handler is not None:
                handler(event, now)
        elif kind in (b"command/reply", b"api/response"):
            if self._answers:
                self._answers.popleft()(frame, now)
        elif kind == b"auth/request" and self.state == CONNECTING:
            self.state = ENTERING
            password = self.config.password.encode()
            self._ask(b"auth " + password.replace(b"\n", b"").replace(b"\r", b""), self._authenticated)
        elif kind == b"text/rude-rejection":
            self._lost("the node does not admit this address (apply-inbound-acl of its event socket)", now, True)
        elif kind == b"text/disconnect-notice":
            self._lost("the node shuts down", now)

    # --- entering

    def _authenticated(self, frame: Frame, now: float) -> None:
        if not frame.reply.startswith(b"+OK"):
            self._lost("the node does not accept the password", now, True)
            return
        self._watch.timers.arm(self, now + self.config.timeout_s)
        self._ask(b"event plain " + " ".join(self.handlers).encode(), self._subscribed)

    def _subscribed(self, frame: Frame, now: float) -> None:
        if not frame.reply.startswith(b"+OK"):
            self._lost("the node refuses the subscription", now, True)
            return
        self._known_from = now
        self._born.clear()
        self._watch.timers.arm(self, now + self.config.timeout_s)
        self._ask(b"api status", self._status)
        self._ask(b"api show channels as json", self._channels)

    def _status(self, frame: Frame, now: float) -> None:
        sessions, bound = _SESSIONS.search(frame.body), _MAX_SESSIONS.search(frame.body)
        idle = _IDLE.search(frame.body)
        if sessions and bound:
            self._load(int(sessions[1]), int(bound[1]), float(idle[1]) if idle else 100.0)

    def _channels(self, frame: Frame, now: float) -> None:
        uuids = uuids_of(frame.body)
        known = {leg.uuid for leg in self.calls}
        self.calls.keep_only(uuids.keys() | self._born)
        self._unasked = [uuid for uuid in uuids if uuid not in known and _UUID.fullmatch(uuid)]
        for _ in range(_ASKED_AT_ONCE):
            self._ask_next(now)
        if not self._answers:
            self._entered(now)

    def _ask_next(self, now: float) -> None:
        if self._unasked:
            self._ask(b"api uuid_dump " + self._unasked.pop().encode() + b" txt", self._dumped)

    def _dumped(self, frame: Frame, now: float) -> None:
        self.calls.dumped(Event(frame.body))
        self._watch.timers.arm(self, now + self.config.timeout_s)
        self._ask_next(now)
        if not self._answers:
            self._entered(now)

    def _entered(self, now: float) -> None:
        self.state = WATCHING
        self.retry_s = self.config.retry_min_s
        self._watch.timers.arm(self, now)  # is it paused?
        load = self.node.load
        sessions, bound = (load.sessions, load.max_sessions) if load is not None else (0, 0)
        self._watch.out.append(EventsConnected(self.node.name, sessions, bound, len(self.calls)))
        self._watch.entered(self, self._known_from, now)

    # --- watching

    def _pause_checked(self, frame: Frame, now: float) -> None:
        self._watch.timers.arm(self, now + self.config.poll_s)
        self._watch.pool.paused(self.node, frame.body.strip() == b"true")

    def _ignored(self, frame: Frame, now: float) -> None:
        """What the node answers changes nothing: its events tell what it did."""

    def _heartbeat(self, event: Event, now: float) -> None:
        sessions, bound = event.number(b"Session-Count"), event.number(b"Max-Sessions")
        if sessions is None or bound is None:
            return
        idle = event.number(b"Idle-CPU")
        self._load(int(sessions), int(bound), 100.0 if idle is None else min(idle, 100.0))

    def _load(self, sessions: int, max_sessions: int, idle_percent: float) -> None:
        load = self.node.load
        if load is None:
            load = self.node.load = NodeLoad()
        load.current = True
        load.sessions = sessions
        load.max_sessions = max_sessions
        load.idle_share = idle_percent / 100.0

    def _created(self, event: Event, now: float) -> None:
        if not self.calls.created(event):
            return
        if self.node.load is not None:
            self.node.load.sessions += 1
        if self.state == ENTERING:
            self._born.add(event.get(b"Unique-ID"))

    def _hung_up(self, event: Event, now: float) -> None:
        load = self.node.load
        if load is not None and load.sessions > 0:
            load.sessions -= 1
        leg = self.calls.ended(event)
        if leg is not None:
            self._watch.hung_up(self, leg, now)

    # --- inside

    def _ask(self, command: bytes, answered: Answered) -> None:
        assert self._stream is not None
        self._answers.append(answered)
        self._watch.out.append(Send(self._stream, command + b"\n\n"))

    def _leave(self) -> None:
        if self._stream is not None:
            self._watch.out.append(Close(self._stream))
            self._stream = None
        self._answers.clear()
        self._unasked.clear()
        self._born.clear()
        if self.node.load is not None:
            self.node.load.current = False

    def _lost(self, why: str, now: float, refused: bool = False) -> None:
        """Try again later; what only a person can mend, at the longest interval."""
        watched = self.state in (ENTERING, WATCHING) and not refused
        if self.state == WATCHING:
            self.lost_at = now
        self._leave()
        self.state = WAITING
        retry_s = self.config.retry_max_s if refused else self.retry_s
        self.retry_s = min(self.retry_s * 2.0, self.config.retry_max_s)
        self._watch.timers.arm(self, now + retry_s)
        self._watch.out.append(EventsLost(self.node.name, why, retry_s))
        if watched:
            self._watch.pool.doubt(self.node, now, f"event socket: {why}")
