"""The machine that plays a script."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from engine.boundary import Drain, Effect, Flow, Input
from engine.config import TimersConfig
from engine.sip.errors import SipError
from engine.sip.message import Request, Response
from engine.sip.transactions import ServerTransaction, TransactionLayer
from engine.sip.uri import parse_uri, unescape
from engine.timers import TimerQueue
from engine.ua.parts import reply
from sim.agents.player.credentials import Wallet
from sim.agents.player.script import Incoming, Script
from sim.agents.player.taken import Taken
from sim.agents.player.told import Told
from sim.agents.wire import Wire, reliable_among


class Player:
    """One agent. ``busy`` tells whether a call of its still goes on."""

    def __init__(self, script: Script, random: Random) -> None:
        self.script = script
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        interfaces = (script.interface,)
        self.layer = TransactionLayer(self, self.out, self.timers, TimersConfig(), reliable_among(interfaces))
        self.way = Flow(script.interface.name, script.server)
        self.told: dict[bytes, Told] = {}
        self.taken: dict[bytes, Taken] = {}
        self.wallet = Wallet(script.password.encode(), self.token)
        self._random = random
        self._wire = Wire(self.layer, self.out, interfaces)
        self._cues: dict[str, deque[Incoming]] = {}
        for story in script.incoming:
            self._cues.setdefault(story.user, deque()).append(story)
        self._plays = True

    # --- the machine ------------------------------------------------------------------------------------------

    def start(self, now: float) -> Sequence[Effect]:
        """Wait for the first cue."""
        for story in self.script.outgoing:
            told = Told(self, story)
            self.timers.arm(told, now + story.at_s)
        return self._effects()

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        """Take a message; Drain lets nothing more begin."""
        if isinstance(event, Drain):
            self._plays = False
        else:
            self._wire.receive(event, now)
        return self._effects()

    def tick(self, now: float) -> Sequence[Effect]:
        """Let due timers fire."""
        self.timers.fire_due(now)
        return self._effects()

    def deadline(self) -> float:
        """When the next timer is due."""
        return self.timers.deadline()

    @property
    def busy(self) -> bool:
        """Whether a call stands, or something is under way."""
        return bool(self.told or self.taken or len(self.layer))

    @property
    def plays(self) -> bool:
        """Whether new stories may begin."""
        return self._plays

    def token(self) -> bytes:
        """What nobody else has: a tag, or the end of a branch."""
        return b"%016x" % self._random.getrandbits(64)

    def via_line(self) -> bytes:
        """A Via of its own, for requests that nobody recorded."""
        interface = self.script.interface
        transport = interface.transport.upper().encode()
        return b"Via: SIP/2.0/%b %b:%d;rport;branch=z9hG4bKplayed%b" % (
            transport,
            interface.host.encode(),
            interface.port or 5060,
            self.token(),
        )

    def _effects(self) -> list[Effect]:
        effects = self.out.copy()
        self.out.clear()
        return effects

    # --- requests that come in --------------------------------------------------------------------------------

    def on_request(self, transaction: ServerTransaction, now: float) -> None:
        """A new request, CANCEL included."""
        request = transaction.request
        known = self.told.get(request.call_id) or self.taken.get(request.call_id)
        if request.method == b"CANCEL":
            invite = self.layer.invite_of(request)
            transaction.respond(reply(request, 200 if invite else 481), now)
            taken = self.taken.get(request.call_id)
            if invite is not None and taken is not None:
                taken.cancelled(now)
        elif request.to.tag:
            if known is None:
                transaction.respond(reply(request, 481), now)
            else:
                known.on_request(transaction, now)
        elif request.method == b"INVITE":
            self._called(transaction, now)
        else:
            transaction.respond(reply(request, 200, self.token()), now)

    def _called(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        user = user_of(request.uri) or user_of(request.to.uri)
        waiting = self._cues.get(user) or self._cues.get(user_of(request.to.uri))
        if not waiting:
            transaction.respond(reply(request, 480, self.token()), now)
            return
        # The last one is kept: who is called more often than then answers as before.
        story = waiting.popleft() if len(waiting) > 1 else waiting[0]
        Taken(self, story, transaction, now)

    def on_ack(self, request: Request, _flow: Flow, now: float) -> None:
        """An ACK of a 2xx."""
        known = self.taken.get(request.call_id) or self.told.get(request.call_id)
        if known is not None:
            known.on_ack(now)

    def on_stray_response(self, response: Response, flow: Flow, now: float) -> None:
        """A 2xx that came again is acknowledged again; anything else is over."""
        told = self.told.get(response.call_id)
        if told is not None:
            told.on_stray(response)


def user_of(uri: bytes) -> str:
    """The user part of a URI as text; empty where there is none, or no SIP URI."""
    try:
        return unescape(parse_uri(uri).user or b"").decode("utf-8", "replace")
    except SipError:
        return ""
