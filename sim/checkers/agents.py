"""No agent is logged out without knowing it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar, Final

from engine.notes import ContactBound, ContactLost, ContactUnbound
from sim.agents.notes import Registered, RegistrationLost, TabClosed, Unregistered, UserPinged
from sim.checkers.checker import Checker, Inspectable
from sim.faults import FaultApplied
from sim.trace import NoteRecord

SETTLE_S: Final = 5.0
"""News of a lost connection, and the answer to a REGISTER, get so long to arrive."""

EXCUSED_S: Final = 600.0
"""For so long after a fault nobody is blamed: expiries and time-outs of kernels have run out by then."""

_HARMLESS: Final = frozenset(
    ("call", "hangup", "unregister", "close_tab", "open_tab", "hide", "show", "originate", "drain", "resume")
)


class SilentLogOuts(Checker):
    """Who believes to be registered is bound at an edge, and answers when a node pings it.

    ``watched`` names the clients with nothing between them and the edge that may forget them (a NAT, a balancer).
    Two phones of one user are told apart by nobody, so such users are left out.
    """

    name: ClassVar[str] = "silent log-outs"

    def __init__(self, watched: Collection[str]) -> None:
        super().__init__()
        self._watched = frozenset(watched)
        self._believing: dict[str, dict[str, float]] = {}  # by user: its places, and since when
        self._bound: dict[str, set[tuple[str, str]]] = {}  # by user: edge and contact
        self._forgotten: dict[str, tuple[float, str]] = {}  # users that no edge holds, since when, and why
        self._fault_s = float("-inf")  # when the last one happened

    def on_note(self, record: NoteRecord) -> None:
        time_s, place, note = record
        match note:
            case Registered():
                if place.partition("/")[0] in self._watched:
                    self._blame(note.user, time_s)
                    self._believing.setdefault(note.user, {}).setdefault(place, time_s)
            case RegistrationLost() | Unregistered() | TabClosed():
                self._blame(note.user, time_s)
                self._believing.get(note.user, {}).pop(place, None)
                self._forgotten.pop(note.user, None)
            case ContactBound() | ContactUnbound() | ContactLost():
                self._contact(time_s, place, note)
            case UserPinged():
                if not 200 <= note.status < 300:
                    self._unanswered(time_s, note)
            case FaultApplied():
                if note.kind not in _HARMLESS:
                    self._fault_s = time_s

    def finish(self, now: float, edges: Mapping[str, Inspectable]) -> None:
        for user in list(self._forgotten):
            self._blame(user, now)

    def _contact(self, time_s: float, edge: str, note: ContactBound | ContactUnbound | ContactLost) -> None:
        user = note.aor.rpartition("@")[0]
        bound = self._bound.setdefault(user, set())
        if isinstance(note, ContactBound):
            self._blame(user, time_s)
            bound.add((edge, note.contact))
            return
        bound.discard((edge, note.contact))
        if not bound and self._believing.get(user):
            self._forgotten.setdefault(user, (time_s, f"{edge} forgot it: {note.why}"))

    def _blame(self, user: str, now: float) -> None:
        """The time in which no edge held this user is over: was it too long?"""
        since_s, why = self._forgotten.pop(user, (now, ""))
        places = self._believing.get(user, {})
        if now - since_s > SETTLE_S and len(places) == 1 and not self._excused(since_s):
            (place,) = places
            self.violated(since_s, f"{place} believes to be registered, but {why}, for {now - since_s:.1f} s")

    def _unanswered(self, now: float, ping: UserPinged) -> None:
        places = self._believing.get(ping.user, {})
        asked_s = now - ping.elapsed_s
        if len(places) != 1 or self._excused(asked_s):
            return
        ((place, since_s),) = places.items()
        if since_s < asked_s - SETTLE_S:
            text = f"{place} believes to be registered, but {ping.agent} gets {ping.status} for its OPTIONS"
            self.violated(asked_s, text)

    def _excused(self, since_s: float) -> bool:
        return self._fault_s > since_s - EXCUSED_S
