"""When each agent could be reached, and why not: from what agents and edges tell about registrations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from engine import notes as edge
from engine.boundary import Note
from sim.agents import notes as agent
from sim.faults import FaultApplied

Reachability: TypeAlias = Literal["reachable", "unreachable", "logged off"]
"""Logged off is who un-registered or closed the tab; unreachable, who wants to be registered and is not."""

_GONE: Final = {"kill": "killed", "freeze": "frozen", "sleep": "asleep"}
_BACK: Final = ("start", "thaw", "wake")


@dataclass(slots=True)
class Registration:
    """A time in which an agent's state was the same; ``ended_at_s`` is None for the one that the run ended in."""

    agent: str
    user: str
    state: Reachability
    began_at_s: float
    ended_at_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """A node asked a registered user by OPTIONS; ``status`` is the final answer's, 408 and 503 stand for none."""

    time_s: float
    node: str
    user: str
    status: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class ReachFigures:
    """How well agents could be reached while they wanted to be. ``share`` is of their time; None without agents.

    A log-out is the passage from reachable to unreachable, whoever noticed it first.
    """

    agents: int
    share: float | None
    log_outs: int
    agents_logged_out: int
    unreachable_s: float
    longest_s: float
    pings: int
    pings_failed: int


@dataclass(slots=True)
class _Agent:
    """What is known of one user at one place."""

    believes: bool = False
    wants: bool = False
    span: Registration | None = None


@dataclass(slots=True)
class _User:
    """The contacts that each edge holds of one user; and why the last one went."""

    contacts: set[tuple[str, str]] = field(default_factory=set)
    why: str = ""


class Reach:
    """Takes notes in the order of time; ``registrations`` are its rows."""

    def __init__(self) -> None:
        self.registrations: list[Registration] = []
        self.pings: list[Ping] = []
        self._agents: dict[str, dict[str, _Agent]] = {}  # by user, then by place
        self._users: dict[str, _User] = {}
        self._gone: dict[str, str] = {}  # places whose process does not work, and why

    def take(self, time_s: float, place: str, note: Note) -> None:
        """Look at a note; most are none of ours."""
        match note:
            case agent.Registered():
                known = self._agent(place, note.user)
                known.believes = known.wants = True
                self._look(time_s, place, note.user, "")
            case agent.RegistrationLost():
                self._agent(place, note.user).believes = False
                self._look(time_s, place, note.user, note.why)
            case agent.Unregistered() | agent.TabClosed():
                known = self._agent(place, note.user)
                known.believes = known.wants = False
                self._look(time_s, place, note.user, "")
            case edge.ContactBound():
                self._user(note.aor).contacts.add((place, note.contact))
                self._look_at_user(time_s, note.aor)
            case edge.ContactUnbound() | edge.ContactLost():
                user = self._user(note.aor)
                user.contacts.discard((place, note.contact))
                user.why = f"{place}: {note.why}"
                self._look_at_user(time_s, note.aor)
            case agent.UserPinged():
                self.pings.append(Ping(time_s, note.agent, note.user, note.status, note.elapsed_s))
            case FaultApplied():
                self._befallen(time_s, note)

    def _befallen(self, time_s: float, fault: FaultApplied) -> None:
        place = fault.target
        if fault.kind in _GONE:
            self._gone[place] = f"{place} {_GONE[fault.kind]}"
        elif fault.kind in _BACK:
            self._gone.pop(place, None)
        else:
            return
        for user, places in self._agents.items():
            at_edge = any(where == place for where, _ in self._contacts(user))
            for where in places:
                if at_edge or where == place:
                    self._look(time_s, where, user, "")

    def _look_at_user(self, time_s: float, aor: str) -> None:
        user = _name(aor)
        for place in self._agents.get(user, ()):
            self._look(time_s, place, user, "")

    def _look(self, time_s: float, place: str, user: str, why: str) -> None:
        """Begin another row where the agent's state has changed."""
        known = self._agent(place, user)
        state: Reachability = "logged off"
        if known.wants:
            why = why or self._hindrance(place, user)
            state = "reachable" if known.believes and not self._hindrance(place, user) else "unreachable"
        span = known.span
        if span is not None:
            if span.state == state:
                return
            span.ended_at_s = time_s
        elif state == "logged off":
            return
        known.span = Registration(place, user, state, time_s, None, why if state == "unreachable" else "")
        self.registrations.append(known.span)

    def _hindrance(self, place: str, user: str) -> str:
        """What stands between the agent's belief and a call that reaches it; empty where nothing does."""
        if place in self._gone:
            return self._gone[place]
        contacts = self._contacts(user)
        if not contacts:
            return self._users[user].why if user in self._users else "bound at no edge"
        down = [self._gone[where] for where, _ in contacts if where in self._gone]
        return down[0] if len(down) == len(contacts) else ""

    def _contacts(self, user: str) -> set[tuple[str, str]]:
        return self._users[user].contacts if user in self._users else set()

    def _agent(self, place: str, user: str) -> _Agent:
        return self._agents.setdefault(user, {}).setdefault(place, _Agent())

    def _user(self, aor: str) -> _User:
        return self._users.setdefault(_name(aor), _User())


def _name(aor: str) -> str:
    return aor.rpartition("@")[0]


def reach_figures(
    registrations: Iterable[Registration], pings: Iterable[Ping], from_s: float, until_s: float
) -> ReachFigures:
    """The figures of a run between two instants, in seconds from its start.

    Examples
    --------
    >>> rows = [Registration("web/1", "1", "reachable", 0, 6), Registration("web/1", "1", "unreachable", 6, 8)]
    >>> figures = reach_figures(rows, [], 0, 10)
    >>> figures.share, figures.log_outs, figures.longest_s
    (0.75, 1, 2.0)
    """
    agents: set[str] = set()
    logged_out: set[str] = set()
    reachable_s = unreachable_s = longest_s = 0.0
    log_outs = 0
    before: dict[tuple[str, str], str] = {}
    for each in registrations:
        who = (each.agent, each.user)
        after, before[who] = before.get(who), each.state
        end_s = until_s if each.ended_at_s is None else min(each.ended_at_s, until_s)
        length_s = max(end_s - max(each.began_at_s, from_s), 0.0)
        if each.state == "logged off" or each.began_at_s >= until_s:
            continue
        agents.add(each.agent)
        if each.state == "reachable":
            reachable_s += length_s
        else:
            unreachable_s += length_s
            longest_s = max(longest_s, length_s)
            if after == "reachable" and each.began_at_s >= from_s:
                log_outs += 1
                logged_out.add(each.agent)
    asked = [ping for ping in pings if from_s <= ping.time_s < until_s]
    wanted_s = reachable_s + unreachable_s
    return ReachFigures(
        agents=len(agents),
        share=reachable_s / wanted_s if wanted_s else None,
        log_outs=log_outs,
        agents_logged_out=len(logged_out),
        unreachable_s=unreachable_s,
        longest_s=longest_s,
        pings=len(asked),
        pings_failed=sum(not 200 <= ping.status < 300 for ping in asked),
    )
