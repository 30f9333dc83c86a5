"""The health check over TCP, by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from live_machines import HOST, until

from engine.live.api.beacon import Beacon


async def accepts(beacon: Beacon) -> bool:
    try:
        _, writer = await asyncio.open_connection(*beacon.address)
    except OSError:
        return False
    writer.close()
    return True


def test_a_look_that_fails_is_told_and_refuses_until_one_succeeds() -> None:
    told: list[dict[str, Any]] = []
    faults = [KeyError("a fault of ours")]

    def healthy() -> bool:
        if faults:
            raise faults[0]
        return True

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        beacon = Beacon(HOST, 0, healthy, look_s=0.001)
        await beacon.start()
        await until(lambda: len(told) > 2)
        assert not await accepts(beacon)
        assert {type(each["exception"]) for each in told} == {KeyError}
        faults.clear()
        async with asyncio.timeout(5):
            while not await accepts(beacon):
                await asyncio.sleep(0)
        beacon.close()

    asyncio.run(scenario())
