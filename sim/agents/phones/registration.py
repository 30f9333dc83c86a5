"""One user's registration: kept alive for as long as the phone runs (RFC 3261 §10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.boundary import NEVER
from engine.sip import digest
from engine.sip.errors import SipError
from engine.sip.headers import parse_name_addr
from engine.sip.message import Response
from engine.sip.transactions import ClientTransaction
from engine.timers import Timed
from sim.agents.notes import Registered, RegistrationFailed, RegistrationLost, Unregistered

if TYPE_CHECKING:
    from sim.agents.phones.phones import Phones
    from sim.agents.phones.user import User

NOT: Final = float("-inf")  # registered until
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
        "_expires_s",
        "_nonce_count",
        "_number",
        "_phones",
        "_registered_until",
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
        self._expires_s = phones.config.expires_s
        self._registered_until = NOT  # as far as the user knows

    @property
    def registered(self) -> bool:
        """Whether the user believes to be registered."""
        return self._registered_until > NOT

    def fire(self, now: float) -> None:
        self.begin(now)

    def begin(self, now: float) -> None:
        """Register, or refresh; a round that is under way is given up."""
        if not self._withdrawing:
            self._begin_round(now)

    def withdraw(self, now: float) -> None:
        """Take the binding back, and don't register again."""
        if not self._withdrawing:
            self._withdrawing = True
            self._phones.timers.arm(self, NEVER)
            self._sent = None
            if self.registered:
                self._begin_round(now)

    def move(self, user: User, now: float) -> None:
        """The user has another Contact now."""
        self._user = user
        self._phones.timers.arm(self, now)

    def flow_failed(self, reason: str, now: float, retry_after_s: float = NEVER) -> None:
        """The connection that the user is reached by is gone; without a new one nothing can be done at once."""
        self._sent = None
        if not self._withdrawing:
            self._phones.timers.arm(self, now + retry_after_s)
            self._lose(reason)

    def _begin_round(self, now: float) -> None:
        self._began_at = now
        self._challenged = 0
        if not self._phones.dialect.keeps_nonce:
            self._challenge = None
        self._send(now)

    def _lose(self, why: str) -> None:
        if self.registered:
            self._registered_until = NOT
            self._phones.out.append(RegistrationLost(self._user.name, why))

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
        expires_s = 0 if self._withdrawing else self._expires_s
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
        if status == 423 and not self._withdrawing and self._ask_for_more(response):
            self._begin_round(now)
        elif status >= 300:
            self._failed(status, response.reason.decode("utf-8", "replace"), now)
        elif self._withdrawing:
            self._registered_until = NOT
            self._phones.out.append(Unregistered(self._user.name))
        else:
            phones = self._phones
            granted_s = self._granted_s(response)
            self._registered_until = now + granted_s
            phones.out.append(Registered(self._user.name, granted_s, now - self._began_at))
            phones.timers.arm(self, now + phones.dialect.refresh_after_s(phones, granted_s))

    def on_timeout(self, transaction: ClientTransaction, now: float) -> None:
        if transaction is self._sent:
            self._failed(408, "no response", now)

    def on_unreachable(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        if transaction is self._sent:
            self._failed(503, reason, now)

    def _failed(self, status: int, reason: str, now: float) -> None:
        phones = self._phones
        self._challenge = None
        phones.out.append(RegistrationFailed(self._user.name, status, reason))
        if not self._withdrawing:
            retry_after_s = phones.dialect.retry_after_s(phones)
            if phones.config.other_servers and (status == 408 or status >= 500) and phones.next_server():
                retry_after_s = 0.0
            phones.timers.arm(self, now + retry_after_s)
            if retry_after_s == NEVER or now >= self._registered_until:
                self._lose(f"{status} {reason}")

    def _ask_for_more(self, response: Response) -> bool:
        """Take over the shortest expiry that the registrar grants (§10.2.8), where it names a longer one."""
        shortest = response.get("min-expires")
        if shortest is None or not shortest.isdigit() or int(shortest) <= self._expires_s:
            return False
        self._expires_s = int(shortest)
        return True

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
        return float(header) if header and header.isdigit() else float(self._expires_s)
