"""One of two rtpengines is killed in the midst of calls: everybody is heard again, and the calls go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.live import run
from engine.nodes import state
from engine.notes import MediaMoved, MediaNotMoved, RelayStateChanged
from tests.live.live_machines import until
from tests.live.peers import rtpengine
from tests.live.sound import conversations as c
from tests.live.sound.cast import MISSING, asked_of_rtpengines, cast
from tests.live.sound.stage import CROWD, Stage

pytestmark = pytest.mark.skipif(bool(rtpengine.MISSING), reason=rtpengine.MISSING)

CALLS = 50
AGAIN_S = 30.0  # on a busy machine; the simulated edge is held to the seconds that it should take


def test_fifty_calls_are_heard_again(tmp_path: Path) -> None:
    async def scenario(one: rtpengine.Rtpengine, two: rtpengine.Rtpengine) -> None:
        async with Stage.open(tmp_path, asked_of_rtpengines(one, two), crowd=True) as stage:
            loop, beacons = asyncio.get_running_loop(), stage.beacons
            await until(lambda: stage.registered(CROWD), AGAIN_S)
            for _ in range(CALLS):
                stage.call(CROWD)
            await until(lambda: beacons.back_since(0.0) == CALLS, AGAIN_S)
            one.kill()
            killed = loop.time()
            await until(lambda: stage.of("edge", MediaMoved), AGAIN_S)
            moving = loop.time()
            await until(lambda: beacons.back_since(moving) == CALLS, AGAIN_S)
            print(f"all heard again {loop.time() - killed:.2f} s after the death")
            (died,) = [note for note in stage.of("edge", RelayStateChanged) if note.after == state.DOWN]
            assert died.calls == CALLS / 2
            assert len(stage.of("edge", MediaMoved)) == CALLS / 2
            assert not stage.of("edge", MediaNotMoved)
            stage.hang_up()
            await until(lambda: stage.edge.relayed_calls() == 0, AGAIN_S)

    with rtpengine.rtpengine(tmp_path) as one, rtpengine.rtpengine(tmp_path) as two:
        run(scenario(one, two))


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize(("caller", "callee"), [("baresip", "jssip-wss"), ("jssip-ws", "sipjs-wss")])
def test_real_clients_take_it_and_their_calls_go_on(caller: str, callee: str, tmp_path: Path) -> None:
    """What each sends later - here hold, resume and BYE - is counted on from the edge's own requests."""

    async def scenario(one: rtpengine.Rtpengine, two: rtpengine.Rtpengine) -> list[str]:
        async with cast(tmp_path, asked_of_rtpengines(one, two), caller, callee) as company:
            phones = company[caller], company[callee]
            await c.set_up(company.stage, *phones)
            await c.both_hear(*phones)
            one.kill()
            await until(lambda: company.stage.of("edge", MediaMoved), AGAIN_S)
            for phone in phones:
                phone.forget()
            await c.both_hear(*phones)
            await c.held(*phones)
            await c.end(company.stage, *phones)
            assert not company.stage.of("edge", MediaNotMoved)

    with rtpengine.rtpengine(tmp_path) as one, rtpengine.rtpengine(tmp_path) as two:
        run(scenario(one, two))
