"""baresip, a real softphone, registers through the live edge and is called by the node."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.boundary import Transport
from sim.agents.notes import BindingStored
from tests.live.live_machines import in_loop, until
from tests.live.peers.deployment import PASSWORD, USER, Deployment

MODULES = Path("/usr/lib/baresip/modules")

pytestmark = pytest.mark.skipif(
    shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip (Debian: baresip) is not installed"
)

START_S = 10.0

CONFIG = """
net_interface {host}
sip_cafile {authority}
sip_verify_server yes
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
audio_player aubridge,nil
audio_source aubridge,nil
"""


@asynccontextmanager
async def baresip(folder: Path, deployment: Deployment) -> AsyncIterator[asyncio.subprocess.Process]:
    folder.mkdir()
    (folder / "config").write_text(
        CONFIG.format(host=deployment.client_host, authority=deployment.files.authority, modules=MODULES)
    )
    server = f"{deployment.host}:{deployment.port};transport={deployment.transport}"
    account = f"<sip:{USER}@{server}>;auth_pass={PASSWORD};answermode=auto;regint=60\n"
    (folder / "accounts").write_text(account)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "baresip", "-f", str(folder), "-v", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_it_registers_and_the_node_calls_it_and_hangs_up(transport: Transport, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Deployment.open(tmp_path, transport) as deployment, baresip(tmp_path / "baresip", deployment):
            await until(lambda: deployment.of("FS1", BindingStored), START_S)
            steps = ("out INVITE", "out ACK", "out BYE")
            deployment.call()
            await until(lambda: deployment.passed(*steps) == ["out INVITE", "out ACK"])
            deployment.hang_up()
            await until(lambda: deployment.passed(*steps) == [*steps])

    in_loop(scenario)
