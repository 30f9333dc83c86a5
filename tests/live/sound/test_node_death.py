"""A node is killed in the midst of a conversation whose media are at real rtpengines: both agents hear on."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.live import run
from engine.notes import CallNotRescued, CallRescued, MediaNotJoined, RescuedCallEnded
from tests.live.live_machines import until
from tests.live.peers import rtpengine
from tests.live.sound import conversations as c
from tests.live.sound.cast import MISSING, asked_of_rtpengines, cast

pytestmark = [
    pytest.mark.skipif(bool(rtpengine.MISSING), reason=rtpengine.MISSING),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]
PATIENCE_S = 30.0


@pytest.mark.parametrize(("caller", "callee"), [("baresip", "jssip-wss"), ("jssip-ws", "baresip")])
def test_two_agents_hear_each_other_on_and_hold_and_hang_up(caller: str, callee: str, tmp_path: Path) -> None:
    """Each leg is at another rtpengine, for new calls go to who has fewest."""

    async def scenario(one: rtpengine.Rtpengine, two: rtpengine.Rtpengine) -> None:
        async with cast(tmp_path, asked_of_rtpengines(one, two), caller, callee) as company:
            stage, phones = company.stage, (company[caller], company[callee])
            await c.set_up(stage, *phones)
            await c.both_hear(*phones)
            stage.kill_node()
            await until(lambda: stage.of("edge", CallRescued), PATIENCE_S)
            for phone in phones:
                phone.forget()
            await c.both_hear(*phones)
            await c.held(*phones)
            await c.end(stage, *phones)
            await until(lambda: stage.edge.relayed_calls() == 0, PATIENCE_S)
            assert [note.why for note in stage.of("edge", RescuedCallEnded)] == ["bye"]
            assert stage.of("edge", MediaNotJoined) == stage.of("edge", CallNotRescued) == []

    with rtpengine.rtpengine(tmp_path) as one, rtpengine.rtpengine(tmp_path) as two:
        run(scenario(one, two))
