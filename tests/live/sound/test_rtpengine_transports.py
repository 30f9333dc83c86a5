"""rtpengine itself takes orders over each transport that it offers: calls are set up, heard, and ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.live import run
from engine.notes import MediaEnded, MediaRefused, RelayAnswersDropped
from tests.live.live_machines import until
from tests.live.peers import rtpengine
from tests.live.sound.cast import asked_of_rtpengines
from tests.live.sound.stage import CROWD, Stage

pytestmark = pytest.mark.skipif(bool(rtpengine.MISSING), reason=rtpengine.MISSING)
CALLS = 5
PATIENCE_S = 30.0


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_calls_are_heard(transport: str, tmp_path: Path) -> None:
    async def scenario(relay: dict[str, Any]) -> None:
        async with Stage.open(tmp_path, relay, crowd=True) as stage:
            await until(lambda: stage.registered(CROWD), PATIENCE_S)
            for _ in range(CALLS):
                stage.call(CROWD)
            await until(lambda: stage.beacons.back_since(0.0) == CALLS, PATIENCE_S)
            stage.hang_up()
            await until(lambda: len(stage.of("edge", MediaEnded)) == 2 * CALLS, PATIENCE_S)
            assert stage.edge.relayed_calls() == 0
            assert stage.of("edge", MediaRefused) == stage.of("edge", RelayAnswersDropped) == []

    with rtpengine.rtpengine(tmp_path) as peer:
        host, port = peer.http if transport == "ws" else peer.control
        relay = asked_of_rtpengines(peer) | {"rtpengine": [{"host": host, "port": port, "transport": transport}]}
        run(scenario(relay))
