"""Names to addresses: bounded, cached, never blocking. IP literals take a fast path.

``getaddrinfo`` is what the system offers (hosts file included); SRV and NAPTR (RFC 3263 §4) are not looked up.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from engine.live.errors import reason_of
from engine.live.settings import LiveSettings

_LITERALS_MAX = 65_536

OnAddress: TypeAlias = Callable[[str], None]
OnFailure: TypeAlias = Callable[[str], None]


class _Answer(NamedTuple):
    addresses: tuple[str, ...]  # empty: the name failed
    reason: str
    expires: float


class _Waiter(NamedTuple):
    on_address: OnAddress
    on_failure: OnFailure


class Names:
    """The resolver of one interface, which has one address family."""

    def __init__(
        self,
        family: socket.AddressFamily,
        settings: LiveSettings,
        loop: asyncio.AbstractEventLoop,
        thawed: asyncio.Event,
    ) -> None:
        self.literals: set[str] = set()  # known IP literals: the hot path asks this set alone
        self._family = family
        self._settings = settings
        self._loop = loop
        self._thawed = thawed
        self._answers: dict[str, _Answer] = {}
        self._names_of: dict[str, set[str]] = {}
        self._waiting: dict[str, list[_Waiter]] = {}
        self._waiters = 0
        self._lookups: dict[str, asyncio.Task[None]] = {}

    def address(self, host: str) -> str | None:
        """The literal or the cached address, at once; None if the name must be looked up (``resolve``)."""
        if host in self.literals:
            return host
        if _is_literal(host):
            if len(self.literals) >= _LITERALS_MAX:
                self.literals.clear()
            self.literals.add(host)
            return host
        answer = self._answers.get(host)
        if answer and answer.addresses and answer.expires > self._loop.time():
            return answer.addresses[0]
        return None

    def names_of(self, address: str) -> tuple[str, ...]:
        """The names that stand for this address at present; errors are told under these as well."""
        return tuple(self._names_of.get(address, ()))

    def resolve(self, host: str, on_address: OnAddress, on_failure: OnFailure) -> None:
        """Call one of the two, at once or later; calls for one name come in the order in which they were asked."""
        answer = self._answers.get(host)
        if answer and answer.expires > self._loop.time():
            if answer.addresses:
                on_address(answer.addresses[0])
            else:
                on_failure(answer.reason)
        elif not host:
            on_failure("no host")
        elif self._waiters >= self._settings.lookup_queue:
            on_failure("too many sends wait for names")
        elif host not in self._lookups and len(self._lookups) >= self._settings.lookups:
            on_failure("too many names are looked up")
        else:
            if host not in self._lookups:
                self._lookups[host] = self._loop.create_task(self._look_up(host))
            if host not in self._waiting:
                self._waiting[host] = []
                self._loop.call_later(self._settings.lookup_wait_s, self._give_up, host, self._waiting[host])
            self._waiting[host].append(_Waiter(on_address, on_failure))
            self._waiters += 1

    def close(self) -> None:
        for task in self._lookups.values():
            task.cancel()
        self._waiting.clear()

    async def _look_up(self, host: str) -> None:
        addresses: tuple[str, ...] = ()
        reason = "name does not resolve"
        try:
            found = await self._loop.getaddrinfo(host, None, family=self._family, type=socket.SOCK_DGRAM)
            addresses = tuple(str(entry[4][0]) for entry in found)
        except (OSError, ValueError) as error:  # ValueError: a label that IDNA refuses, or a NUL
            reason = reason_of(error) if isinstance(error, OSError) else "not a host name"
        finally:
            del self._lookups[host]
        self._store(host, addresses, reason)
        await self._thawed.wait()
        for waiter in self._take_waiting(host):
            if addresses:
                waiter.on_address(addresses[0])
            else:
                waiter.on_failure(reason)

    def _give_up(self, host: str, waiters: list[_Waiter]) -> None:
        if self._waiting.get(host) is waiters:  # else they were served, and others wait by now
            for waiter in self._take_waiting(host):
                waiter.on_failure("name lookup timed out")

    def _take_waiting(self, host: str) -> list[_Waiter]:
        waiters = self._waiting.pop(host, [])
        self._waiters -= len(waiters)
        return waiters

    def _store(self, host: str, addresses: tuple[str, ...], reason: str) -> None:
        self._forget(host)
        if len(self._answers) >= self._settings.names:
            self._forget(next(iter(self._answers)))  # the oldest
        ttl_s = self._settings.name_ttl_s if addresses else self._settings.name_failure_ttl_s
        self._answers[host] = _Answer(addresses, reason, self._loop.time() + ttl_s)
        for address in addresses[:1]:
            self._names_of.setdefault(address, set()).add(host)

    def _forget(self, host: str) -> None:
        answer = self._answers.pop(host, None)
        for address in answer.addresses[:1] if answer else ():
            names = self._names_of[address]
            names.discard(host)
            if not names:
                del self._names_of[address]


def _is_literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0] if family == socket.AF_INET6 else host)
        except (OSError, ValueError):
            continue
        return True
    return False
