"""The table of registrations. Several nodes may share one, as over a common database; it may outlive a node."""

from __future__ import annotations

from typing import NamedTuple

from engine.boundary import Address


class Binding(NamedTuple):
    """Where one user is reached. ``paths`` are the Path URIs, nearest first; ``interface`` took the REGISTER."""

    contact: bytes
    paths: tuple[bytes, ...]
    interface: str
    expires_at: float  # with the late margin, in seconds on the host's clock
    node: str = ""  # whose registrar took it
    received: Address | None = (
        None  # where a user behind a NAT registered from; None: the Contact itself is called
    )


class Registrations:
    """One binding a user: FreeSWITCH keeps the last one (its default, without multiple-registrations)."""

    def __init__(self) -> None:
        self._bindings: dict[str, Binding] = {}

    def save(self, user: str, binding: Binding) -> None:
        """Put this in the place of what the user had."""
        self._bindings[user] = binding

    def remove(self, user: str) -> bool:
        """Forget the user's binding, whichever contact it has; whether there was one."""
        return self._bindings.pop(user, None) is not None

    def find(self, user: str) -> Binding | None:
        """The binding of this user; one that is overdue counts until it is swept."""
        return self._bindings.get(user)

    def sweep(self, now: float) -> list[str]:
        """Forget what is overdue; the users that had it."""
        gone = [user for user, binding in self._bindings.items() if binding.expires_at <= now]
        for user in gone:
            del self._bindings[user]
        return gone

    def __len__(self) -> int:
        return len(self._bindings)
