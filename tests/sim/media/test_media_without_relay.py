"""Browsers and softphones without the relay: silence, 603 and 488; with it everybody hears."""

from __future__ import annotations

import pytest

from sim.agents.notes import CallLost
from tests.sim.media.conversations import Talk, call, talk

WEBRTC_NODE = {"trusts_edges: true": "trusts_edges: true, media_webrtc: true"}


def refusals(result: Talk) -> list[int]:
    return [lost.status for lost in result.told(CallLost)]


def test_s8_a_node_that_tells_its_private_address_is_not_heard() -> None:
    result = talk(call("softphones/1010", "9196"), relay="off")
    assert result.told(CallLost) == []  # the call itself is fine
    assert result.nobody_hears()


def test_s8_through_the_relay_it_is() -> None:
    result = talk(call("softphones/1010", "9196"))
    assert result.hears("1010", "1010")


def test_s8_a_softphone_that_tells_its_private_address_is_not_heard_by_its_peer() -> None:
    result = talk(call("softphones/1010", "1015"), relay="off")
    assert result.nobody_hears()
    assert talk(call("softphones/1010", "1015")).hears("1015", "1010")


def test_s9_a_browser_that_is_offered_plain_rtp_declines() -> None:
    result = talk(call("softphones/1010", "1000"), relay="off")
    assert refusals(result) == [603]


def test_s9_a_softphone_that_is_offered_webrtc_finds_it_not_acceptable() -> None:
    result = talk(call("softphones/1010", "1011"), relay="off", **WEBRTC_NODE)
    assert refusals(result) == [488]


@pytest.mark.parametrize("settings", [{}, WEBRTC_NODE], ids=["plain node", "media_webrtc=true"])
@pytest.mark.parametrize("callee", ["1000", "1011"], ids=["browser", "softphone"])
def test_s9_through_the_relay_each_is_offered_what_it_can_take(callee: str, settings: dict[str, str]) -> None:
    result = talk(call("softphones/1010", callee), **settings)
    assert refusals(result) == []
    assert result.hears(callee, "1010")
    assert result.hears("1010", callee)
