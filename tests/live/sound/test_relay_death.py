"""One of two rtpengines is killed in the midst of calls: everybody is heard again, and the calls go on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.live import run
from engine.nodes import state
from engine.notes import MediaEnded, MediaMoved, MediaNotMoved, RelayStateChanged
from tests.live.live_machines import until
from tests.live.peers import rtpengine
from tests.live.sound import conversations as c
from tests.live.sound.cast import MISSING, asked_of_rtpengines, cast
from tests.live.sound.stage import CROWD, Stage

pytestmark = pytest.mark.skipif(bool(rtpengine.MISSING), reason=rtpengine.MISSING)

CALLS = 50
PATIENCE_S = 30.0  # for what has no bound of its own
MOST_S = 3.0  # of silence in any call: detection, two re-INVITEs for each call at 50 a second, and a busy machine


@pytest.mark.parametrize(
    "most_s", [PATIENCE_S, pytest.param(MOST_S, marks=pytest.mark.slow)], ids=["at all", "within three seconds"]
)
def test_fifty_calls_are_heard_again(tmp_path: Path, most_s: float) -> None:
    async def scenario(one: rtpengine.Rtpengine, two: rtpengine.Rtpengine) -> None:
        async with Stage.open(tmp_path, asked_of_rtpengines(one, two), crowd=True) as stage:
            beacons = stage.beacons
            await until(lambda: stage.registered(CROWD), PATIENCE_S)
            for _ in range(CALLS):
                stage.call(CROWD)
            await until(lambda: beacons.back_since(0.0) == CALLS, PATIENCE_S)
            beacons.measure()
            one.kill()
            await until(lambda: len(stage.of("edge", MediaMoved)) == CALLS / 2, PATIENCE_S)
            moved = time.time()
            await until(lambda: beacons.back_since(moved) == CALLS, PATIENCE_S)
            print(f"longest silence {beacons.longest_gap_s():.2f} s")
            assert beacons.longest_gap_s() < most_s
            (died,) = [note for note in stage.of("edge", RelayStateChanged) if note.after == state.DOWN]
            assert died.calls == CALLS / 2
            assert not stage.of("edge", MediaNotMoved)
            stage.hang_up()
            await until(lambda: stage.edge.relayed_calls() == 0, PATIENCE_S)

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
            await until(lambda: company.stage.of("edge", MediaMoved), PATIENCE_S)
            for phone in phones:
                phone.forget()
            await c.both_hear(*phones)
            await c.held(*phones)
            await c.end(company.stage, *phones)
            await until(lambda: len(company.stage.of("edge", MediaEnded)) >= 2, PATIENCE_S)  # of the caller's leg
            assert all(note.packets > 50 and note.codec for note in company.stage.of("edge", MediaEnded))
            assert not company.stage.of("edge", MediaNotMoved)

    with rtpengine.rtpengine(tmp_path) as one, rtpengine.rtpengine(tmp_path) as two:
        run(scenario(one, two))
