"""Phones in headless Chromium, driven by playwright (``browser.mjs``); and where their parts are."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.boundary import Transport
from sim.agents.notes import BindingStored
from tests.live.live_machines import until
from tests.live.peers.deployment import PASSWORD, USER, Deployment, Relay

PARTS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "siptwin" / "peers"  # `make peers`


def _library(name: str) -> Path:
    return PARTS / f"{name}.js"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LIBRARIES = ("jssip", "sipjs")
MISSING = (
    ("node is not installed" if not shutil.which("node") else "")
    or ("chromium (Debian: chromium) is not installed" if not CHROMIUM else "")
    or next((f"{name}.js is not in {PARTS}: make peers" for name in LIBRARIES if not _library(name).is_file()), "")
)
START_S = 15.0  # of a browser, on a busy machine


class Browser:
    """What the page has told, and orders to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.told: list[dict[str, Any]] = []
        self._process = process

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.told.append(json.loads(line))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.told if each["event"] == event]

    def order(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n".encode())


@asynccontextmanager
async def browser(
    folder: Path,
    deployment: Deployment,
    *,
    library: str = "jssip",
    port: int | None = None,
    expires_s: int = 60,
    answers: bool = True,
) -> AsyncIterator[Browser]:
    """A page that registers; ``port`` is where it connects to, if not the edge's own."""
    certificate = x509.load_pem_x509_certificate(deployment.files.certificate.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings = {
        "modules": str(PARTS / "node_modules"),
        "library": str(_library(library)),
        "phone": str(Path(__file__).with_name(f"phone_{library}.js")),
        "chromium": CHROMIUM,
        "url": f"{deployment.transport}://{deployment.host}:{port or deployment.port}",
        "domain": deployment.host,
        "user": USER,
        "password": PASSWORD,
        "expires_s": expires_s,
        "answers": answers,
        "spki": b64encode(sha256(key).digest()).decode(),
    }
    script = str(Path(__file__).with_name("browser.mjs"))
    with (folder / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "node",
            script,
            json.dumps(settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    phone = Browser(process)
    listening = asyncio.create_task(phone.listen())
    try:
        yield phone
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        listening.cancel()


@asynccontextmanager
async def registered(
    folder: Path,
    transport: Transport,
    *,
    library: str = "jssip",
    relayed: bool = False,
    answers: bool = True,
    **more: Any,
) -> AsyncIterator[tuple[Deployment, Browser, Relay]]:
    """An edge with its node, and a page that has registered there; ``relayed``: over what can be cut."""
    async with (
        Deployment.open(folder, transport, **more) as deployment,
        Relay.open((deployment.host, deployment.port)) as relay,
        browser(
            folder, deployment, library=library, port=relay.port if relayed else None, answers=answers
        ) as phone,
    ):
        await until(lambda: phone.of("registered"), START_S)
        assert deployment.of("FS1", BindingStored)
        yield deployment, phone, relay
