"""Where a relay must not send to, whoever asks: what makes it a weapon against its own network or itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from engine.boundary import Address


def _nobody(address: Address) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The rule for addresses of media, from descriptions and from packets alike.

    ``own`` says whether an address is a port of this relay: two that fed each other would never stop.
    """

    loopback: bool = False  # tests and single-host set-ups allow it
    own: Callable[[Address], bool] = _nobody

    def refusal(self, address: Address) -> str | None:
        """Why nothing may be sent there; None where it may."""
        host, port = address
        if not 0 < port <= 65_535:
            return "no port"
        try:
            number = ip_address(host.partition("%")[0])
        except ValueError:
            return "not an address"
        mapped = getattr(number, "ipv4_mapped", None)
        if mapped is not None:
            number = mapped
        if number.is_unspecified:
            return "unspecified address"
        if number.is_multicast:
            return "multicast address"
        if number.version == 4 and (number.packed[0] >= 240 or number.packed[0] == 0):
            return "broadcast or reserved address"
        if number.is_loopback and not self.loopback:
            return "loopback address"
        if self.own(address):
            return "port of this relay"
        return None
