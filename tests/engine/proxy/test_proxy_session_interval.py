"""Session intervals (RFC 4028): what FreeSWITCH would refuse is raised on the way to it."""

from __future__ import annotations

import pytest

from tests.engine.harness import World


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("90", "120"),
        ("90;refresher=uac", "120;refresher=uac"),
        ("119 ;refresher=uas", "120 ;refresher=uas"),
        ("120", "120"),
        ("1800;refresher=uac", "1800;refresher=uac"),
        ("soon", "soon"),
    ],
)
def test_an_interval_below_the_nodes_least_is_raised(asked: str, sent: str) -> None:
    world = World()
    world.caller.invite("sip:9196@192.0.2.1", f"Session-Expires: {asked}", "Supported: timer")
    assert world.called().got("INVITE")[0]["session-expires"] == sent


def test_the_compact_form_is_known() -> None:
    world = World()
    world.caller.invite("sip:9196@192.0.2.1", "x: 90;refresher=uac")
    assert world.called().got("INVITE")[0]["session-expires"] == "120;refresher=uac"


def test_a_min_se_below_it_is_raised_too() -> None:
    world = World()
    world.caller.invite("sip:9196@192.0.2.1", "Session-Expires: 100", "Min-SE: 90")
    assert world.called().got("INVITE")[0]["min-se"] == "120"


def test_an_invite_within_the_call_as_well() -> None:
    world = World()
    call = world.caller.invite("sip:9196@192.0.2.1", "Session-Expires: 90")
    node = call.establish()
    world.caller.within("INVITE", call.final, "Session-Expires: 90;refresher=uac", cseq=2)
    assert node.got("INVITE")[-1]["session-expires"] == "120;refresher=uac"


def test_what_goes_to_agents_stays_as_it_came() -> None:
    world = World()
    call = world.caller.invite()
    node = call.establish()
    node.within("INVITE", node.got("INVITE")[0], "Session-Expires: 90", cseq=2)
    assert world.caller.got("INVITE")[0]["session-expires"] == "90"


def test_it_can_be_let_alone() -> None:
    world = World(min_session_expires_s=0)
    world.caller.invite("sip:9196@192.0.2.1", "Session-Expires: 90")
    assert world.called().got("INVITE")[0]["session-expires"] == "90"
