"""Hand-shakes with another program: OpenSSL's own client and server, whose keys must be ours."""

from __future__ import annotations

import asyncio
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Play
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from relay_desk import FAR, NEAR, PATIENCE_S, Desk, loopback_host
from srtp_peers import Secured, peer_certificate

from engine.media.profiles import Setup
from engine.media.rules import Dtls, DtlsEnded, SecurePort

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")

PEER_PORT = 4_433


async def keying_material(program: asyncio.subprocess.Process) -> bytes:
    """What it prints of the keys."""
    assert program.stdout is not None
    text = b""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            line = await program.stdout.readline()
            assert line, f"openssl ended: {text.decode()}"
            text += line
            found = re.search(rb"Keying material: ([0-9A-F]+)", line)
            if found is not None:
                return bytes.fromhex(found[1].decode())


@pytest.mark.parametrize("part", ["active", "passive"])
def test_openssl_and_the_relay_hear_each_other(play: Play, part: Setup, tmp_path: Path) -> None:
    certificate = peer_certificate()
    pem = tmp_path / "peer.pem"
    pem.write_bytes(
        certificate.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.certificate.public_bytes(Encoding.PEM)
    )
    options = ["-dtls1_2", "-cert", str(pem), "-key", str(pem), "-use_srtp", "SRTP_AES128_CM_SHA1_80"]
    options += ["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "60"]

    async def scenario(desk: Desk) -> None:
        desk.connect()
        host = loopback_host()
        here, there = f"{host}:{PEER_PORT}", "{}:{}".format(*desk.address(FAR))
        awaited = Dtls(part, (certificate.fingerprint,), (host, PEER_PORT))
        if part == "passive":
            desk.plane.carry_out(SecurePort(FAR, awaited))
            command = ["s_client", "-connect", there, "-bind", here]
        else:
            command = ["s_server", "-accept", here, "-verify", "1", "-mtu", "1200"]
        program = await asyncio.create_subprocess_exec(
            str(OPENSSL),
            *command,
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            if part == "active":
                desk.plane.carry_out(SecurePort(FAR, awaited))
            text = await keying_material(program)
            client, server = text[:16] + text[32:46], text[16:32] + text[46:]
            ours, theirs = (client, server) if part == "passive" else (server, client)
            keys = Secured(b"AES_CM_128_HMAC_SHA1_80", ours, theirs)
            assert (await desk.told(DtlsEnded))[0] == DtlsEnded(FAR)
            packet, back = desk.near.rtp(), desk.far.rtp()
            desk.near.send(packet, desk.address(NEAR))
            assert keys.back.unprotect(await desk.far.receive()) == packet
            desk.far.send(keys.out.protect(back), desk.address(FAR))
            assert await desk.near.receive() == back
        finally:
            with suppress(ProcessLookupError):
                program.kill()
            await program.wait()

    play(scenario)
