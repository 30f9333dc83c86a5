"""Who sent a request: digest with nonces of this node alone."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from engine.sip.digest import Challenge, parse_credentials, verify
from engine.sip.errors import SipError
from engine.sip.message import Request
from engine.sip.uri import parse_uri, unescape
from sim.agents.freeswitch.config import FreeSwitchConfig
from sim.agents.messages import uuid_text

MOST_NONCES: Final = 100_000  # the oldest go first: a stranger can make as many as it likes

PROVEN: Final = "proven"
FORBIDDEN: Final = "forbidden"
CHALLENGED: Final = "challenged"


class Verdict(NamedTuple):
    """``outcome`` is PROVEN (of ``user``), FORBIDDEN, or CHALLENGED (with ``challenge``)."""

    outcome: str
    user: str = ""
    challenge: Challenge | None = None


class _Nonce:
    __slots__ = ("count", "expires_at")

    def __init__(self, expires_at: float) -> None:
        self.expires_at = expires_at
        self.count = 0


class Authenticator:
    """Challenges, and checks the answers. A nonce of another node is stale here: it costs one more challenge."""

    def __init__(self, config: FreeSwitchConfig, random: Random) -> None:
        self._config = config
        self._random = random
        self._users = frozenset(config.users)
        self._password = config.password.encode()
        self._nonces: dict[bytes, _Nonce] = {}

    def check(self, request: Request, header: str, now: float) -> Verdict:
        """Judge the credentials in ``header``; the realm asked for is the host of From."""
        value = request.get(header)
        if value is None:
            return self._challenge(request, False, now)
        try:
            credentials = parse_credentials(value)
        except SipError:
            return Verdict(FORBIDDEN)
        nonce = self._nonces.get(credentials.nonce)
        if nonce is None or (credentials.qop and credentials.nc <= nonce.count):
            return self._challenge(request, True, now)
        user = credentials.username.decode("utf-8", "replace")
        if user not in self._users or not verify(credentials, request.method, self._password):
            return Verdict(FORBIDDEN)
        nonce.count = credentials.nc
        nonce.expires_at = now + self._config.nonce_ttl_s + self._config.force_expires_s
        return Verdict(PROVEN, user)

    def sweep(self, now: float) -> None:
        """Forget the nonces that are too old."""
        for nonce in [nonce for nonce, known in self._nonces.items() if known.expires_at <= now]:
            del self._nonces[nonce]

    def __len__(self) -> int:
        return len(self._nonces)

    def _challenge(self, request: Request, stale: bool, now: float) -> Verdict:
        if len(self._nonces) >= MOST_NONCES:
            del self._nonces[next(iter(self._nonces))]
        nonce = uuid_text(self._random)
        self._nonces[nonce] = _Nonce(now + self._config.nonce_ttl_s)
        realm = parts_of(request.from_.uri)[1] or self._config.domain.encode()
        return Verdict(CHALLENGED, challenge=Challenge(realm=realm, nonce=nonce, stale=stale))


def parts_of(uri: bytes) -> tuple[bytes, bytes]:
    """User and host of an address that may be anything, a tel URI for example; what it has not is empty."""
    try:
        parsed = parse_uri(uri)
    except SipError:
        return b"", b""
    return parsed.user or b"", parsed.host


def user_of(uri: bytes) -> str:
    """The user part of a SIP URI as text, empty where there is none.

    Raises
    ------
    SipError
        Where it is no SIP URI.
    """
    return unescape(parse_uri(uri).user or b"").decode("utf-8", "replace")
