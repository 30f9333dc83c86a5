"""What a player proves who it is with: its recorded credentials are for nonces that nobody here made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from engine.sip import digest
from engine.sip.errors import SipError
from engine.sip.message import Request, Response

_CHALLENGED: Final = {
    401: ("www-authenticate", "authorization"),
    407: ("proxy-authenticate", "proxy-authorization"),
}
_WRITTEN: Final = {"authorization": b"Authorization", "proxy-authorization": b"Proxy-Authorization"}


class Wallet:
    """The last challenge to each user, and how often it was answered."""

    def __init__(self, password: bytes, token: Callable[[], bytes]) -> None:
        self._password = password
        self._token = token
        self._challenges: dict[tuple[str, str], tuple[digest.Challenge, int]] = {}

    def take(self, response: Response, user: str) -> bool:
        """Remember what a refusal asks for; False where it cannot be answered."""
        names = _CHALLENGED.get(response.status)
        if names is None:
            return True  # it was refused for something else
        challenge = digest.choose(response.all(names[0]))
        if challenge is None:
            return False
        self._challenges[user, names[1]] = (challenge, 0)
        return True

    def sign(self, request: Request, user: str) -> None:
        """Put credentials for this world's challenge in the place of the recorded ones, where there are any."""
        for header, written in _WRITTEN.items():
            recorded, known = request.get(header), self._challenges.get((user, header))
            if recorded is None or known is None:
                continue
            name = user.encode()
            with suppress(SipError):
                name = digest.parse_credentials(recorded).username
            challenge, count = known
            self._challenges[user, header] = (challenge, count + 1)
            credentials = digest.answer(
                challenge,
                username=name,
                password=self._password,
                method=request.method,
                uri=request.uri,
                cnonce=self._token(),
                nc=count + 1,
            )
            request.set(header, written + b": " + bytes(credentials))
