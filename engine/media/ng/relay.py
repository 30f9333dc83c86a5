"""rtpengines as the relay of an edge: each call at one of them, and elsewhere when that one dies.

An offer is the moment at which a call can be moved, for it and its answer tell both sides of new ports. So a call
whose rtpengine has died is moved by the next offer in it; where it stands, ``renew`` asks for one. Calls are moved
one after another, ``reanchored_per_s``, so that those who take them over, and the peers, can follow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Final, TypeAlias

from engine.boundary import NEVER, Datagram, Effect, Input, StreamClosed, StreamData, StreamOpened, Unreachable
from engine.config import RELAYS, RelayConfig
from engine.media.configured import media_settings, places
from engine.media.ng import commands
from engine.media.ng.call import Content, Known, NgCall, NgSide, Question
from engine.media.ng.client import NgClient, Outcome, Silence
from engine.media.ng.commands import CallName
from engine.media.ng.joined import End, NgJoined
from engine.media.ng.servers import NgServer, NgServers
from engine.media.ng.settings import NgConfig
from engine.media.ng.statistics import Statistics
from engine.media.ng.wire import NgMessage
from engine.media.offer_answer import Carrier, Side
from engine.media.relay import JoinedMedia, Passage, Peer, RelayedMedia, Then
from engine.media.rules import MediaInput
from engine.media.sdp.description import parse
from engine.notes import DescriptionForgiven, MediaMoved
from engine.sip.errors import SipError
from engine.tally import Tally
from engine.timers import Timed, TimerQueue

_OF_FLOWS: Final = (Datagram, StreamData, StreamOpened, StreamClosed, Unreachable)
_MOST_TRIES: Final = 3
_LONGEST_REASON: Final = 100


class NgRelay(Timed):
    """The calls of one edge at its rtpengines.

    ``renew`` is set by who can have both sides of a call offer anew; it says whether it could.
    """

    def __init__(
        self, config: RelayConfig, out: list[Effect], timers: TimerQueue, tally: Tally, rng: Random
    ) -> None:
        super().__init__()
        self.config = ng = config.rtpengine or NgConfig()
        self.settings = media_settings(config, {})
        self.out = out
        self.rng = rng
        self.timers = timers
        control: dict[str, str] = {transport: RELAYS + transport for transport in ng.transports}
        self._interfaces = frozenset(control.values())
        self.client = NgClient(ng, control, timers, tally, out, rng)
        self.servers = NgServers(ng, self.client, timers, out, rng, self._server_down, self._server_lives)
        self.renew: Callable[[NgMedia, float], bool] = lambda media, now: True
        self._place_of = places(config.interfaces)
        self._open: dict[NgMedia, None] = {}
        self._calls: dict[NgServer, dict[NgMedia, None]] = {}
        self._to_renew: dict[NgMedia, None] = {}  # first come, first moved

    def start(self, now: float) -> None:
        """Begin to watch the servers."""
        self.servers.start(now)

    def took(self, event: Input, now: float) -> bool:
        """Whether it happened on an interface by which rtpengines are spoken to; it is dealt with then."""
        if not isinstance(event, _OF_FLOWS) or event.flow.interface not in self._interfaces:
            return False
        if isinstance(event, Datagram):
            self.client.datagram(event.flow, event.data, now)
        elif isinstance(event, StreamData):
            self.client.stream_data(event.flow, event.data, now)
        elif isinstance(event, StreamClosed):
            self.client.stream_closed(event.flow, event.reason, now)
        elif isinstance(event, Unreachable):
            self.client.unreachable(event.flow, event.reason, now)
        return True

    def reconfigure(self, config: RelayConfig, now: float) -> None:
        """Other servers, and other patience with them."""
        if config.rtpengine is not None:
            self.config = config.rtpengine
            self.servers.replace(config.rtpengine, now)

    # --- Relay

    def open(self, passage: Passage, now: float) -> NgMedia:
        sides: dict[Side, NgSide] = {"caller": self._side(passage.caller), "callee": self._side(passage.callee)}
        media = NgMedia(self, passage, sides)
        self._open[media] = None
        return media

    def receive(self, event: MediaInput, now: float) -> None:
        """The data plane is rtpengine's: there is nothing that it could report here."""

    def __len__(self) -> int:
        return len(self._open)

    def _side(self, peer: Peer) -> NgSide:
        return NgSide(peer.kind, self._place_of(peer.interface).name, peer.host)

    # --- for the calls

    def settle(self, media: NgMedia, server: NgServer, now: float) -> None:
        """A call is at this server from now on. One that was only slow is told to forget it."""
        before, left = media.home, media.server
        self.leave(media)
        if left is not None:
            self.forget(media, left, _nothing, now)
        media.server = server
        media.home = server.name
        if media.stands and before != server.name:
            self.out.append(MediaMoved(media.call_id, before, server.name))
        self.servers.took(server)
        self._calls.setdefault(server, {})[media] = None

    def forget(self, media: NgMedia, server: NgServer, then: Callable[[float], None], now: float) -> None:
        """Have a server forget a call, and take what it measured in it."""
        name = media.call.name

        def told(outcome: Outcome, now: float) -> None:
            if isinstance(outcome, NgMessage):
                if media.stands and outcome.text(b"warning"):  # no answer has reached it: it knows no such tag
                    self.servers.order(server, commands.delete(name), lambda *_: None, now)
                media.statistics.add(name, outcome.content)
            then(now)

        self.servers.order(server, commands.delete(name, name.caller if media.stands else ""), told, now)

    def leave(self, media: NgMedia) -> None:
        """A call is at no server."""
        server, media.server = media.server, None
        if server is not None:
            calls = self._calls[server]
            calls.pop(media, None)
            if not calls:
                del self._calls[server]
            self.servers.lost(server)

    def closed(self, media: NgMedia) -> None:
        """A call is over."""
        self.leave(media)
        self._open.pop(media, None)
        self._to_renew.pop(media, None)

    def join(self, one: _Joinable, other: _Joinable, now: float) -> NgJoined:
        """Let a side of one call and one of another hear each other. Raises SipError where that can't be."""
        return NgJoined(self, _end_of(*one), _end_of(*other), now)

    # --- moving calls

    def _server_down(self, server: NgServer, now: float) -> None:
        for media in list(self._calls.get(server, ())):
            self.lost(media, now)

    def lost(self, media: NgMedia, now: float) -> None:
        """A call is known to its server no more."""
        self.leave(media)
        if media.stands:
            self.renew_soon(media, now)

    def renew_soon(self, media: NgMedia, now: float) -> None:
        """The sides of a call must hear of new ports."""
        media.lost = True
        self._to_renew[media] = None
        if self.due == NEVER:
            self.timers.arm(self, now)

    def fire(self, now: float) -> None:
        """Have the next call moved that its sides have not moved themselves."""
        while self._to_renew:
            media = next(iter(self._to_renew))
            if media.lost and media.server is None and self.servers.choose() is None:
                break  # none can serve: look again
            del self._to_renew[media]
            if media.lost:
                if not (self.renew(media, now) if media.joined is None else media.joined.move(media, now)):
                    self._to_renew[media] = None  # its dialog doesn't stand yet
                break
        if self._to_renew:
            self.timers.arm(self, now + 1.0 / self.config.reanchored_per_s)

    def _server_lives(self, server: NgServer, now: float) -> None:
        """See whether a server that lives still knows a call of ours: one that restarted between two pings answers
        the next as if nothing had been. Where it doesn't, the call after it is looked at, too."""
        calls = self._calls.get(server)
        media = next((each for each in calls if each.stands), None) if calls else None
        if calls and media is not None:
            calls[media] = calls.pop(media)  # the next look is at another
            self.servers.order(server, commands.query(media.call.name), partial(self._known, media, server), now)

    def _known(self, media: NgMedia, server: NgServer, outcome: Outcome, now: float) -> None:
        if is_unknown(outcome) and media.server is server:
            self.lost(media, now)
            self._server_lives(server, now)


class NgMedia:
    """The media of one passage. Its orders are given one after another."""

    def __init__(self, relay: NgRelay, passage: Passage, sides: Mapping[Side, NgSide]) -> None:
        self._relay = relay
        self.call_id = passage.call_id
        self.call = NgCall(
            CallName(f"{passage.call_id};{passage.branch}"),
            sides,
            relay.settings,
            relay.rng,
        )
        self.server: NgServer | None = None
        self.home = ""  # the server's name, also when it is gone
        self.lost = False  # its rtpengine has died or forgotten it, and no offer has moved it yet
        self.stands_since = NEVER  # when an answer was sent on first, so that there are media
        self.statistics = Statistics()
        self.joined: NgJoined | None = None  # its agent speaks with one of another call, and its node is gone
        self._busy = False
        self._waiting: deque[Callable[[float], None]] = deque()
        self._over = False

    @property
    def stands(self) -> bool:
        """Whether there are media."""
        return self.stands_since < NEVER

    # --- RelayedMedia

    def described(self, carrier: Carrier, tag: str, text: bytes, then: Then, now: float) -> None:
        if self._busy:
            self._waiting.append(partial(self.described, carrier, tag, text, then))
            return
        try:
            wanted = self.call.described(carrier, tag, text)
        except SipError as error:
            then(error, now)
            return
        out = self._relay.out
        out += [DescriptionForgiven(self.call_id, carrier.sender, fault) for fault in wanted.faults]
        if isinstance(wanted, Known):
            then(wanted.body, now)
            return
        self._busy = True
        _Asking(self, self._relay, wanted, carrier, tag, then).ask(now)

    def last_said(self, side: Side, tag: str) -> bytes | None:
        """What a side has said last that was agreed on."""
        return self.call.last_said(side, tag)

    def ended(self, carrier: Carrier, tag: str, now: float) -> None:
        if self._busy:
            self._waiting.append(partial(self.ended, carrier, tag))
            return
        if self.call.ended(carrier, tag) and self.server is not None and self.stands:
            self.tell(deque(self.call.agreement(tag)), now)

    def told(self, side: Side) -> bytes:
        return self.call.told(side)

    def join(self, side: Side, other: RelayedMedia | JoinedMedia, other_side: Side, now: float) -> JoinedMedia:
        return self._relay.join((self, side), (other, other_side), now)

    def release(self, now: float) -> None:
        if self.joined is None:  # else its agent goes on without it
            self.end(now)

    def end(self, now: float) -> None:
        """Nobody needs these media any more."""
        self._over = True
        if not self._busy:
            self._close(now)

    # --- orders

    def after(self, begin: Callable[[float], None], now: float) -> None:
        """Begin orders of another's, who says ``free`` in the end, when none is under way."""
        if self._busy:
            self._waiting.append(partial(self.after, begin))
            return
        self._busy = True
        begin(now)

    def tell(self, contents: deque[Content], now: float) -> None:
        """Tell rtpengine something that nobody waits for."""
        server = self.server
        if server is None or not contents:
            self.free(now)
            return
        self._busy = True
        self._relay.servers.order(server, contents.popleft(), lambda _, now: self.tell(contents, now), now)

    def free(self, now: float) -> None:
        """No order is under way."""
        self._busy = False
        while self._waiting and not self._busy:
            self._waiting.popleft()(now)
        if self._over and not self._busy:
            self._close(now)

    def _close(self, now: float) -> None:
        relay, server = self._relay, self.server
        relay.closed(self)
        if server is None:
            self._tell_end(now, now)
        else:
            relay.forget(self, server, partial(self._tell_end, now), now)

    def _tell_end(self, ended_at: float, now: float) -> None:
        """Tell what came from each side, as far as rtpengines have said."""
        if self.stands:
            self._relay.out += self.statistics.told(self.call_id, ended_at - self.stands_since)


class _Asking:
    """One question, to one server after another until it is answered."""

    def __init__(
        self, media: NgMedia, relay: NgRelay, question: Question, carrier: Carrier, tag: str, then: Then
    ) -> None:
        self._media = media
        self._relay = relay
        self._question = question
        self._carrier = carrier
        self._tag = tag
        self._then = then
        self._tried: set[str] = set()
        self._replayed = False
        self._error = SipError("no rtpengine can serve", 503)

    def ask(self, now: float) -> None:
        """Ask the call's server, or the next."""
        media, relay = self._media, self._relay
        server = media.server
        if server is None or server.name in self._tried:
            server = relay.servers.choose(self._tried) if len(self._tried) < _MOST_TRIES else None
            if server is None:
                self._fail(self._error, now)
                return
            relay.settle(media, server, now)
            if not self._question.is_offer:
                self._replay(server, now)
                return
        self._order(server, now)

    def _order(self, server: NgServer, now: float) -> None:
        self._tried.add(server.name)
        self._relay.servers.order(server, self._question.content, partial(self._answered, server), now)

    def _replay(self, server: NgServer, now: float) -> None:
        """An answer means nothing to a server that hasn't heard the offer. Who was offered was told of ports that
        are gone, so the exchange must be made once more when it is complete."""
        offered = self._media.call.offered
        self._replayed = True
        self._tried.add(server.name)
        if offered is None:
            self._fail(self._error, now)
            return
        self._relay.servers.order(server, offered, partial(self._offered, server), now)

    def _offered(self, server: NgServer, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, NgMessage) and outcome.text(b"result") == b"ok":
            self._order(server, now)
        else:
            self._answered(server, outcome, now)

    def _answered(self, server: NgServer, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, Silence):
            self._error = SipError(f"rtpengine {server.name}: {outcome.why}", 503)
            self.ask(now)
            return
        result = outcome.text(b"result")
        if result == b"ok":
            self._done(outcome, now)
        elif result == b"load limit":
            self._error = SipError(f"rtpengine {server.name} is full", 503)
            self.ask(now)
        elif is_unknown(outcome) and not self._replayed:
            self._replay(server, now)
        else:
            why = outcome.text(b"error-reason")[:_LONGEST_REASON].decode("utf-8", "replace")
            self._fail(SipError(f"rtpengine {server.name}: {why or 'no result'}", 500), now)

    def _done(self, message: NgMessage, now: float) -> None:
        media, question = self._media, self._question
        try:
            body = question.write(parse(message.text(b"sdp"), self._relay.settings.limits))
        except SipError as error:
            self._fail(SipError(error.why, 500), now)
            return
        if not question.is_offer:
            media.stands_since = min(media.stands_since, now)
            media.lost = False
            if self._replayed:
                self._relay.renew_soon(media, now)
        self._then(body, now)
        media.free(now)

    def _fail(self, error: SipError, now: float) -> None:
        self._media.call.refused(self._carrier, self._tag)
        self._then(error, now)
        self._media.free(now)


_Joinable: TypeAlias = tuple[RelayedMedia | JoinedMedia, Side]


def _end_of(media: RelayedMedia | JoinedMedia, side: Side) -> End:
    end = None
    if isinstance(media, NgJoined):
        end = media.end(side)
    elif isinstance(media, NgMedia):
        end = End(media, side)
    if end is None or end.media.server is None:
        raise SipError("its media are at no rtpengine", 488)
    return end


def _nothing(now: float) -> None:
    pass


def is_unknown(outcome: Outcome) -> bool:
    """Whether rtpengine doesn't know a call."""
    return isinstance(outcome, NgMessage) and outcome.text(b"error-reason") == b"Unknown call-id"
