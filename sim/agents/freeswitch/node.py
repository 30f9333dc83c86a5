"""What the parts of one FreeSWITCH share: settings, timers, transactions, sessions, and its identifiers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from engine.boundary import Effect
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction, TransactionLayer, TransactionUser
from engine.timers import Timed, TimerQueue
from sim.agents.freeswitch.authenticator import Authenticator
from sim.agents.freeswitch.config import FreeSwitchConfig
from sim.agents.freeswitch.events import EventSocket
from sim.agents.freeswitch.media import Media
from sim.agents.freeswitch.pings import Pings
from sim.agents.freeswitch.registrations import Registrations
from sim.agents.freeswitch.sessions import Sessions
from sim.agents.freeswitch.wording import Place, Wording
from sim.agents.messages import uuid_text
from sim.agents.wire import reliable_among

if TYPE_CHECKING:
    from engine.sip.transactions import ServerTransaction

Handler: TypeAlias = Callable[["ServerTransaction", float], None]

_FIRST_NUMBER = 123_174_000  # its CSeq numbers come from the clock, and look like this


class Node:
    """Made once per start of the process; only ``registrations`` may be older."""

    def __init__(
        self,
        config: FreeSwitchConfig,
        random: Random,
        registrations: Registrations,
        wall_clock_offset_s: float,
        user: TransactionUser,
    ) -> None:
        self.config = config
        self.registrations = registrations
        self.wall_clock_offset_s = wall_clock_offset_s
        self.users = frozenset(config.users)
        self.out: list[Effect] = []
        self.timers = TimerQueue()
        self.layer = TransactionLayer(
            user, self.out, self.timers, config.timers, reliable_among(config.interfaces)
        )
        self.wording = Wording(config.version)
        self.media = Media(random, config.certificate)
        self.authenticator = Authenticator(config, random)
        self.sessions = Sessions(self.timers, config.linger_s)
        self.pings = Pings(self)
        self.events = EventSocket(self)
        self.places = {interface.name: Place(interface, config.media_host) for interface in config.interfaces}
        self.indifferent = Indifferent()
        self._random = random
        self._number = _FIRST_NUMBER

    def tag(self) -> bytes:
        """A tag as long as FreeSWITCH's."""
        return b"%013x" % self._random.getrandbits(52)

    def call_id(self) -> bytes:
        """A Call-ID of a call that this node begins."""
        return uuid_text(self._random)

    def via_line(self, place: Place) -> bytes:
        """A Via with a branch of its own."""
        return place.via_start + b"%013x" % self._random.getrandbits(52)

    def ping_share(self) -> float:
        """Where in its interval the first ping of a user falls."""
        return self._random.random()

    def next_number(self) -> int:
        """The CSeq number that a leg begins with."""
        self._number += 1
        return self._number

    def after(self, delay_s: float, handler: Handler, transaction: ServerTransaction, now: float) -> None:
        """Handle a request when its turn has come."""
        if delay_s <= 0:
            handler(transaction, now)
        else:
            self.timers.arm(_Later(handler, transaction), now + delay_s)

    @property
    def full(self) -> bool:
        """Whether one more session would be too many."""
        return self.sessions.in_use >= self.config.max_sessions


class _Later(Timed):
    __slots__ = ("_handler", "_transaction")

    def __init__(self, handler: Handler, transaction: ServerTransaction) -> None:
        super().__init__()
        self._handler = handler
        self._transaction = transaction

    def fire(self, now: float) -> None:
        self._handler(self._transaction, now)


class Indifferent:
    """The user of a request whose outcome changes nothing: BYE, CANCEL, NOTIFY."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Nothing to do."""

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        """Nothing to do."""

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        """Nothing to do."""
