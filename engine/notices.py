"""Notices between edges that an agent is reached elsewhere from now on: written, believed, and never twice.

The user part of the Request-URI is the proof: only edges with the same secret can make it (``Tokens``), and it
names the one that speaks. Where the notice comes from proves nothing - over TCP and TLS from any port, through a
NAT from any address. Whoever overhears one may repeat it; so it is dated, and what is not newer than what its edge
has said of the agent before is refused.
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

_LATE_S: Final = 64.0  # a notice is repeated for 32 s (timer F) and may be under way; older ones are refused


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

    def write(self, key: bytes, there: Here, face: str, here: Here, interface: str, now: float) -> Request:
        """This edge reaches an agent: what the edge ``there`` is told at its interface ``face``."""
        token = self._rng.getrandbits(64)
        call_id = b"moved-%016x" % token
        self._wrote_at = max(
            now + self._wall_offset_s, nextafter(self._wrote_at, NEVER)
        )  # each later than the last
        notice = Notice(key, self._name, self._wrote_at, digest_of(call_id))
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

    def read(self, request: Request) -> Notice | None:
        """What another edge says; None where this is no such notice.

        Raises
        ------
        SipError
            403 where it is not another edge's, or not new.
        """
        if request.method != b"NOTIFY" or request.get("event") != MOVED:
            return None
        user = parse_uri(request.uri).user
        if not is_token(user):
            raise SipError("notice without a token", 403)
        notice = self._tokens.open_notice(user or b"")
        if notice.edge not in self._floors or notice.call != digest_of(request.call_id):
            raise SipError("notice that is not another edge's", 403)
        self._check_new(notice)
        return notice

    def _check_new(self, notice: Notice) -> None:
        about = _Said(notice.edge, notice.key)
        before = max(self._said.pop(about, -NEVER), self._floors[notice.edge])
        if notice.at <= before:
            self._said[about] = before
            raise SipError(f"notice of {notice.edge} that is older than what it has said since", 403)
        self._said[about] = notice.at
        self._floors[notice.edge] = max(self._floors[notice.edge], notice.at - _LATE_S)
        self._forget()

    def _forget(self) -> None:
        """Keep what is needed, within the bound; what is forgotten early raises the floor."""
        while self._said:
            about, at = next(iter(self._said.items()))
            if at > self._floors[about.edge] and len(self._said) <= self._most:
                return
            self._floors[about.edge] = max(self._floors[about.edge], at)
            del self._said[about]

    def __len__(self) -> int:
        """Of how many agents something is remembered."""
        return len(self._said)
