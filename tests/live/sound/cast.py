"""The phones of the sound tests, all registered at one stage, for as long as one test runs."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.live.live_machines import until
from tests.live.peers import browser, rtpengine
from tests.live.peers.browser import LIBRARIES
from tests.live.sound import aiortc_phone
from tests.live.sound.phones import MODULES, Phone, baresip, chromium
from tests.live.sound.stage import Stage

MISSING = (
    browser.MISSING
    or ("" if shutil.which("baresip") and MODULES.is_dir() else "baresip is not installed")
    or aiortc_phone.MISSING
)
FIRST_HZ, STEP_HZ = 700.0, 140.0  # of the phones' tones, none a multiple of another
SERVES = {"outside": {"serves": ["agents", "web", "secure"]}, "inside": {"serves": ["inside"]}}
# Opus stays outside, so that the node's two legs have one codec: it joins them without transcoding.
CODECS = {"forbid": ["opus", "g722"]}


class Cast:
    """The stage and its phones by name: ``baresip``, ``jssip-wss``, ..."""

    def __init__(self, stage: Stage, phones: dict[str, Phone]) -> None:
        self.stage = stage
        self.phones = phones

    def __getitem__(self, name: str) -> Phone:
        return self.phones[name]


def asked_of_rtpengines(*peers: rtpengine.Rtpengine, **more: Any) -> dict[str, Any]:
    """The relay section of a topology."""
    addresses = [f"{peer.control[0]}:{peer.control[1]}" for peer in peers]
    return {"rtpengine": addresses, "interfaces": SERVES, "codecs": CODECS, **more}


@asynccontextmanager
async def cast(folder: Path, relay: dict[str, Any], *names: str) -> AsyncIterator[Cast]:
    """All these phones, registered."""
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(Stage.open(folder, relay))
        phones: dict[str, Phone] = {}
        pages = None
        if any(name.startswith(LIBRARIES) for name in names):
            pages = await stack.enter_async_context(chromium(folder, stage))
        for number, name in enumerate(names):
            user, hz = f"{1000 + number}", FIRST_HZ + STEP_HZ * number
            library, _, transport = name.partition("-")
            if pages is not None and library in LIBRARIES:
                phones[name] = pages.open(user, hz, library, transport)
            elif library == "aiortc":
                opened = aiortc_phone.registering(stage, user, hz, transport)
                phones[name] = await stack.enter_async_context(opened)
            else:
                phones[name] = await stack.enter_async_context(baresip(folder / name, stage, user, hz))
        await until(lambda: all(stage.registered(phone.user) for phone in phones.values()), 60.0)
        yield Cast(stage, phones)
