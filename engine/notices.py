"""Notices between edges that an agent is reached elsewhere from now on: written, believed, and never twice.

The user part of the Request-URI is the proof: only edges with the same secret can make it (``Tokens``), and it
names the one that speaks. Where the notice comes from proves nothing - over TCP and TLS from any port, through a
NAT from any address. Whoever overhears one may repeat it; so it is dated, and refused where it is not newer than
what its edge has said of the agent before, or where its date is not of now by our own clock. The latter holds from
the first moment of a life, which knows nothing of what was said in the one before: only what was overheard in the
last minute is good for it, once.

So the clocks of edges must agree. One whose clock is off is refused, and that is told, until it is set right, and
no longer: what it dated far in the future was never believed, and so cannot stand against what it says then.
"""

from __future__ import annotations

import random
from math import nextafter
from typing import Final, NamedTuple

from engine.boundary import NEVER
from engine.here import Here
from engine.registrar.tokens import Notice, Tokens, digest_of, is_token
from engine.sip.errors import SipError
from engine.sip.message import Request
from engine.sip.uri import parse_uri

MOVED: Final = b"siptwin-flow"
"""The event package."""

_SKEW_S: Final = 32.0  # so much the clocks of two edges may differ
_LATE_S: Final = 32.0 + _SKEW_S  # and a notice is repeated for 32 s (timer F)


class _Said(NamedTuple):
    """What one edge has said last of an agent."""

    edge: str
    key: bytes


class Notices:
    """Writes those of the edge ``name``, and reads those of ``others``.

    ``wall_offset_s`` is what the wall clock, by which they are dated, is ahead of ``now``. At most ``most`` agents
    are remembered.
    """

    def __init__(
        self,
        name: str,
        others: frozenset[str],
        tokens: Tokens,
        wall_offset_s: float,
        most: int,
        rng: random.Random,
    ) -> None:
        self._name = name
        self._tokens = tokens
        self._wall_offset_s = wall_offset_s
        self._most = most
        self._rng = rng
        self._wrote_at = -NEVER
        self._said: dict[_Said, float] = {}  # when, in the order of arrival
        self._floors = dict.fromkeys(others, -NEVER)  # what an edge dated earlier is refused, whomever it is about

    def write(
        self, key: bytes, there: Here, face: str, here: Here, interface: str, now: float, taken_at: float
    ) -> Request:
        """This edge reaches an agent since ``taken_at``: what the edge ``there`` is told at its ``face``.

        It is dated ``now``, when it is said, be it long after.
        """
        token = self._rng.getrandbits(64)
        call_id = b"moved-%016x" % token
        self._wrote_at = max(
            now + self._wall_offset_s, nextafter(self._wrote_at, NEVER)
        )  # each later than the last
        notice = Notice(key, self._name, self._wrote_at, digest_of(call_id), taken_at + self._wall_offset_s)
        address = here.address(interface)
        return Request.build(
            b"NOTIFY",
            there.uri(face, self._tokens.seal_notice(notice)),
            here.via(interface, b"z9hG4bKm%016x" % token) + b";rport",
            b"Max-Forwards: 1",
            b"From: <sip:edge@%b>;tag=%08x" % (address, token & 0xFFFFFFFF),
            b"To: <sip:edge@%b>" % address,
            b"Call-ID: " + call_id,
            b"CSeq: 1 NOTIFY",
            b"Event: " + MOVED,
            b"Subscription-State: active",
            b"Contact: <sip:edge@%b>" % address,
        )

    def read(self, request: Request, now: float) -> Notice | None:
        """What another edge says; None where this is no such notice.

        Raises
        ------
        SipError
            403 where it is not another edge's, not new, or not of now.
        """
        if request.method != b"NOTIFY" or request.get("event") != MOVED:
            return None
        user = parse_uri(request.uri).user
        if not is_token(user):
            raise SipError("notice without a token", 403)
        notice = self._tokens.open_notice(user or b"")
        if notice.edge not in self._floors or notice.call != digest_of(request.call_id):
            raise SipError("notice that is not another edge's", 403)
        self._check_new(notice, now + self._wall_offset_s)
        return notice

    def _check_new(self, notice: Notice, wall: float) -> None:
        edge, ahead_s = notice.edge, notice.at - wall
        if not -_LATE_S <= ahead_s <= _SKEW_S:
            which = "after" if ahead_s > 0 else "before"
            why = f"notice of {edge}, dated {abs(ahead_s):.0f} s {which} our clock: overheard, or set the clocks"
            raise SipError(why, 403)
        about = _Said(edge, notice.key)
        if notice.at <= max(self._said.get(about, -NEVER), self._floors[edge]):
            raise SipError(f"notice of {edge} that is older than what it has said since", 403)
        self._said.pop(about, None)
        self._said[about] = notice.at
        self._forget(wall - _LATE_S)

    def _forget(self, late: float) -> None:
        """Keep what is needed, within the bound; what is forgotten early raises the floor."""
        while self._said:
            about, at = next(iter(self._said.items()))
            if at >= late:
                if len(self._said) <= self._most:
                    return
                self._floors[about.edge] = max(self._floors[about.edge], at)
            del self._said[about]

    def __len__(self) -> int:
        """Of how many agents something is remembered."""
        return len(self._said)
