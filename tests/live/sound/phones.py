"""Real clients that say a tone, tell what they hear, and take the same orders: baresip, pages of Chromium."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.live.live_machines import closed_port
from tests.live.peers.browser import CHROMIUM, PARTS
from tests.live.sound.stage import PASSWORD, Stage
from tests.live.sound.tones import read_wav, share, tone, write_wav

HERE = Path(__file__).parent
PEERS = HERE.parent / "peers"
STILL_S = 0.5  # nothing came for so long: nothing is heard
MODULES = Path("/usr/lib/baresip/modules")


class Phone(Protocol):
    """One user's client. Orders: call, answer, reject, hangup, hold, resume, renew."""

    user: str
    hz: float
    deaf_after_hold: bool  # whether it tells nothing of what it hears once it has held

    def order(self, order: str, argument: str = "") -> None: ...

    def happened(self, event: str) -> int:
        """How often since ``forget``: incoming, progress, confirmed, ended, ..."""
        ...

    def heard(self, hz: float) -> float:
        """Which part of what it heard lately is this tone."""
        ...

    def forget(self) -> None:
        """Begin anew: nothing has happened, nothing was heard."""
        ...


# --- baresip ---------------------------------------------------------------------------------------------------

CONFIG = """
net_interface {host}
sip_cafile {authority}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {control}
audio_source aufile,{tone}
audio_player aubridge,nowhere
snd_path {folder}
"""
_EVENTS = {
    "CALL_INCOMING": "incoming",
    "CALL_PROGRESS": "progress",
    "CALL_RINGING": "progress",
    "CALL_ESTABLISHED": "confirmed",
    "CALL_CLOSED": "ended",
}
_ORDERS = {
    "call": "dial",
    "answer": "accept",
    "reject": "hangup",
    "hangup": "hangup",
    "hold": "hold",
    "resume": "resume",
}


class Baresip:
    """A softphone, ordered over its control socket; what it hears it writes into a file, until its first hold."""

    deaf_after_hold = True

    def __init__(self, user: str, hz: float, folder: Path, writer: asyncio.StreamWriter) -> None:
        self.user, self.hz = user, hz
        self._folder = folder
        self._writer = writer
        self._events: list[str] = []
        self._heard_before = 0
        self._grown = (0, 0.0)  # to how many samples the file has grown, and when

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Netstrings of JSON."""
        while size := await _size(reader):
            told = json.loads(await reader.readexactly(size))
            await reader.readexactly(1)
            if told.get("event") and (event := _EVENTS.get(told.get("type", ""))):
                self._events.append(event)

    def order(self, order: str, argument: str = "") -> None:
        text = json.dumps({"command": _ORDERS[order], "params": argument, "token": order}).encode()
        self._writer.write(b"%d:%b," % (len(text), text))

    def happened(self, event: str) -> int:
        return self._events.count(event)

    def heard(self, hz: float) -> float:
        samples, rate_hz = self._recorded()
        now = asyncio.get_running_loop().time()
        if len(samples) != self._grown[0]:
            self._grown = (len(samples), now)
        if now - self._grown[1] > STILL_S:
            return 0.0
        return share(samples[self._heard_before :][-rate_hz:], hz, rate_hz)

    def forget(self) -> None:
        self._events.clear()
        self._heard_before = len(self._recorded()[0])

    def _recorded(self) -> tuple[Any, int]:
        files = sorted(self._folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime_ns)
        return read_wav(files[-1]) if files else (tone(0, 0), 8_000)


@asynccontextmanager
async def baresip(folder: Path, stage: Stage, user: str, hz: float) -> AsyncIterator[Baresip]:
    """One that registers over UDP."""
    folder.mkdir()
    sound = folder / "tone.wav"
    write_wav(sound, tone(hz, 120.0))
    control = (stage.client_host, closed_port())
    (folder / "config").write_text(
        CONFIG.format(
            host=stage.client_host,
            authority=stage.files.authority,
            modules=MODULES,
            control=f"{control[0]}:{control[1]}",
            tone=sound,
            folder=folder,
        )
    )
    account = f"<sip:{user}@{stage.host}:{stage.ports['udp']}>;auth_pass={PASSWORD};regint=60\n"
    (folder / "accounts").write_text(account)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "baresip", "-f", str(folder), "-v", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        reader, writer = await _connected(control)
        phone = Baresip(user, hz, folder, writer)
        listening = asyncio.create_task(phone.listen(reader))
        yield phone
        listening.cancel()
        writer.close()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _size(reader: asyncio.StreamReader) -> int:
    """Of the next netstring; 0 at the end."""
    try:
        return int((await reader.readuntil(b":"))[:-1])
    except asyncio.IncompleteReadError:
        return 0


async def _connected(address: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(10):
        while True:
            try:
                return await asyncio.open_connection(*address)
            except OSError:
                await asyncio.sleep(0.02)


# --- pages of one Chromium -------------------------------------------------------------------------------------


class Page:
    """A WebRTC phone made with JsSIP or SIP.js."""

    deaf_after_hold = False

    def __init__(self, chromium: Chromium, user: str, hz: float) -> None:
        self.user, self.hz = user, hz
        self._chromium = chromium
        self.told: list[dict[str, Any]] = []

    def order(self, order: str, argument: str = "") -> None:
        self._chromium.order({"page": self.user, "order": order, "argument": argument})

    def happened(self, event: str) -> int:
        return sum(each["event"] == event for each in self.told)

    def heard(self, hz: float) -> float:
        lately = [each for each in self.told if each["event"] == "heard"][-5:]
        shares = [each["share"] if abs(each["hz"] - hz) < 30 else 0.0 for each in lately]
        return sum(shares) / len(shares) if len(shares) == 5 else 0.0

    def forget(self) -> None:
        self.told.clear()


class Chromium:
    """One browser for all pages."""

    def __init__(self, process: asyncio.subprocess.Process, stage: Stage) -> None:
        self._process = process
        self._stage = stage
        self.pages: dict[str, Page] = {}

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            self.pages[told["page"]].told.append(told)

    def order(self, content: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(content).encode() + b"\n")

    def open(self, user: str, hz: float, library: str, transport: str) -> Page:
        """A page that registers."""
        page = self.pages[user] = Page(self, user, hz)
        stage = self._stage
        scripts = [HERE / "sound.js", PARTS / f"{library}.js", PEERS / f"phone_{library}.js"]
        self.order(
            {
                "open": {
                    "name": user,
                    "hz": hz,
                    "scripts": [str(path) for path in scripts],
                    "url": f"{transport}://{stage.host}:{stage.ports[transport]}",
                    "domain": stage.host,
                    "user": user,
                    "password": PASSWORD,
                    "expires_s": 60,
                    "answers": False,
                }
            }
        )
        return page


@asynccontextmanager
async def chromium(folder: Path, stage: Stage) -> AsyncIterator[Chromium]:
    """A browser without pages."""
    certificate = x509.load_pem_x509_certificate(stage.files.certificate.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings = {
        "modules": str(PARTS / "node_modules"),
        "chromium": CHROMIUM,
        "spki": [b64encode(sha256(key).digest()).decode()],
    }
    with (folder / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "pages.mjs"),
            json.dumps(settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=1 << 20,
        )
    browser = Chromium(process, stage)
    listening = asyncio.create_task(browser.listen())
    try:
        yield browser
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
