"""No description and no packet makes the relay send where it must not."""

from __future__ import annotations

import pytest

from engine.media.targets import Targets

OWN = {("198.51.100.1", 30_000)}


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("0.0.0.0", "unspecified address"),
        ("::", "unspecified address"),
        ("::ffff:0.0.0.0", "unspecified address"),
        ("127.0.0.1", "loopback address"),
        ("127.8.8.8", "loopback address"),
        ("::1", "loopback address"),
        ("::ffff:127.0.0.1", "loopback address"),
        ("224.0.0.1", "multicast address"),
        ("ff02::1", "multicast address"),
        ("255.255.255.255", "broadcast or reserved address"),
        ("0.1.2.3", "broadcast or reserved address"),
        ("240.0.0.1", "broadcast or reserved address"),
        ("198.51.100.1", "port of this relay"),
        ("relay.example", "not an address"),
        ("010.0.0.1", "not an address"),
        ("", "not an address"),
    ],
)
def test_a_forbidden_target_is_named(host: str, why: str) -> None:
    assert Targets(own=OWN.__contains__).refusal((host, 30_000)) == why


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    assert Targets().refusal(("192.0.2.1", port)) == "no port"


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "fe80::1%eth0", "198.51.100.1"])
def test_other_addresses_are_served(host: str) -> None:
    assert Targets(own=OWN.__contains__).refusal((host, 30_001)) is None


def test_loopback_can_be_allowed() -> None:
    assert Targets(loopback=True).refusal(("127.0.0.1", 4000)) is None
