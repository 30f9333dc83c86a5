"""One user's registration: kept alive for as long as the phone runs (RFC 3261 §10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.boundary import NEVER
from engine.sip import digest
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction
from engine.timers import Timed
from sim.agents.notes import Registered, RegistrationFailed, Unregistered

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones
    from sim.agents.phones.user import User

_CHALLENGES_ANSWERED = 2  # in one round: the second one is for the stale nonce of another node
_HEADERS = {401: ("www-authenticate", b"Authorization"), 407: ("proxy-authenticate", b"Proxy-Authorization")}


class Registration(Timed):
    """Its timer is the next REGISTER: the first, a refresh, or a new attempt after a failure."""

    __slots__ = (
        "_answer_header",
        "_began_at",
        "_call_id",
        "_challenge",
        "_challenged",
        "_nonce_count",
        "_number",
        "_phones",
        "_sent",
        "_tag",
        "_user",
        "_withdrawing",
    )

    def __init__(self, phones: Phones, user: User) -> None:
        super().__init__()
        self._phones = phones
        self._user = user
        self._call_id = f"r{phones.token().decode()}-{user.name}@{phones.config.name}"
        self._tag = phones.token()
        self._number = 0
        self._challenge: digest.Challenge | None = None  # kept: its nonce serves the refreshes too
        self._answer_header = b""
        self._nonce_count = 0
        self._challenged = 0
        self._began_at = 0.0
        self._sent: ClientTransaction | None = None
        self._withdrawing = False

    def fire(self, now: float) -> None:
        self._begin_round(now)

    def withdraw(self, now: float) -> None:
        """Take the binding back, and don't register again."""
        if not self._withdrawing:
            self._withdrawing = True
            self._phones.timers.arm(self, NEVER)
            self._begin_round(now)

    def _begin_round(self, now: float) -> None:
        self._began_at = now
        self._challenged = 0
        self._send(now)

    def _send(self, now: float) -> None:
        phones = self._phones
        self._number += 1
        authorization = b""
        if self._challenge is not None:
            self._nonce_count += 1
            credentials = digest.answer(
                self._challenge,
                username=self._user.name.encode(),
                password=phones.password,
                method=b"REGISTER",
                uri=phones.registrar,
                cnonce=phones.token(),
                nc=self._nonce_count,
            )
            authorization = self._answer_header + b": " + bytes(credentials)
        expires_s = 0 if self._withdrawing else phones.config.expires_s
        request = self._user.register(phones, self._call_id, self._tag, self._number, expires_s, authorization)
        self._sent = phones.layer.send(request, phones.way, self, now)

    # --- ClientUser

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        status = response.status
        if status < 200 or transaction is not self._sent:
            return
        if status in _HEADERS and self._challenged < _CHALLENGES_ANSWERED:
            header, self._answer_header = _HEADERS[status]
            self._challenge = digest.choose(response.all(header))
            self._challenged += 1
            self._nonce_count = 0
            if self._challenge is not None:
                self._send(now)
                return
        if status >= 300:
            self._failed(status, response.reason.decode("utf-8", "replace"), now)
        elif self._withdrawing:
            self._phones.out.append(Unregistered(self._user.name))
        else:
            granted_s = self._granted_s(response)
            self._phones.out.append(Registered(self._user.name, granted_s, now - self._began_at))
            self._phones.timers.arm(self, now + max(granted_s * self._phones.config.refresh_share, 1.0))

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        if transaction is self._sent:
            self._failed(408, "no response", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        if transaction is self._sent:
            self._failed(503, reason, now)

    def _failed(self, status: int, reason: str, now: float) -> None:
        self._challenge = None
        self._phones.out.append(RegistrationFailed(self._user.name, status, reason))
        if not self._withdrawing:
            self._phones.timers.arm(self, now + self._phones.config.retry_s)

    def _granted_s(self, response: Response) -> float:
        """The expiry of our own contact, else of the Expires header, else what was asked for (§10.2.4)."""
        for value in response.values("contact"):
            try:
                contact = parse_name_addr(value, "Contact")
            except SipError:
                continue
            expires = contact.params.get(b"expires")
            if contact.uri == self._user.contact and expires is not None and expires.isdigit():
                return float(expires)
        header = response.get("expires")
        return float(header) if header and header.isdigit() else float(self._phones.config.expires_s)
