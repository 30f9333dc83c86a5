"""TLS on real sockets: what is shown, whom we trust, and certificates that change while connections stand."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from live_machines import (
    HOST,
    Echo,
    Recorder,
    Sender,
    World,
    in_loop,
    interface,
    started,
    until,
)
from test_live_serve import Served
from websocket_peers import heard

from engine.boundary import Flow, Interface, Reconfigure, Send, StreamClosed, StreamOpened, TlsFiles, Transport
from engine.live import LiveError, LiveSettings
from engine.live.notes import CertificateLoaded, ReloadFailed
from engine.live.tls import read_tls
from engine.notes import ConnectionsRefused
from lab.certificates import CertificateFiles, make_certificate

NOTES_SOON = LiveSettings(note_interval_s=0.02)
SECURE: list[Transport] = ["tls", "wss"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_certificate(tmp_path_factory.mktemp("tls"), [HOST, "localhost"])


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """Of an authority that nobody trusts, for another host."""
    return make_certificate(tmp_path_factory.mktemp("others"), ["elsewhere.example.org"])


def trusting(files: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.authority)


async def served(files: CertificateFiles, transport: Transport = "tls", machine: Any = None) -> World:
    return await started(machine or Echo(), interface(transport, tls=files.tls), settings=NOTES_SOON)


async def connect(
    world: World, context: ssl.SSLContext, name: str = HOST
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*world.address, ssl=context, server_hostname=name)


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bool:
    writer.write(data)
    async with asyncio.timeout(5):
        return await reader.readexactly(len(data)) == data


def serial_shown(writer: asyncio.StreamWriter) -> int:
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).serial_number


def serial_of(files: CertificateFiles) -> int:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


# --- connections --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [HOST, "localhost"])
def test_it_shows_its_certificate_and_talks_under_it(files: CertificateFiles, name: str, fast: bool) -> None:
    async def scenario() -> None:
        world = await served(files)
        reader, writer = await connect(world, trusting(files), name)
        assert await echoed(reader, writer, b"OPTIONS" * 10_000)
        assert serial_shown(writer) == serial_of(files)
        assert world.host.stats()[0].transport == "tls"
        assert world.machine.of(StreamOpened)[0].accepted
        writer.close()
        await until(lambda: world.machine.of(StreamClosed))
        await world.host.stop()

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_speaks_tls_1_2_and_1_3_with_forward_secrecy(files: CertificateFiles, version: ssl.TLSVersion) -> None:
    async def scenario() -> None:
        world = await served(files)
        context = trusting(files)
        context.minimum_version = context.maximum_version = version
        reader, writer = await connect(world, context)
        assert await echoed(reader, writer, b"x")
        cipher = writer.get_extra_info("cipher")[0]
        assert "GCM" in cipher or "CHACHA20" in cipher
        assert cipher.startswith("ECDHE" if version is ssl.TLSVersion.TLSv1_2 else "TLS_")
        writer.close()
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_older_tls_and_ciphers_without_forward_secrecy_are_refused(files: CertificateFiles) -> None:
    async def scenario() -> None:
        world = await served(files)
        for old in (True, False):
            context = trusting(files)
            context.set_ciphers("ALL:@SECLEVEL=0" if old else "RSA+AESGCM")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1 if old else ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connect(world, context)
        assert not world.machine.inputs
        await until(lambda: world.of(ConnectionsRefused))
        assert all(note.why.startswith("hand-shake: TLS: ") for note in world.of(ConnectionsRefused))
        await world.host.stop()

    in_loop(scenario)


def test_a_browser_connects_by_wss(files: CertificateFiles, fast: bool) -> None:
    async def scenario() -> None:
        world = await served(files, "wss")
        url = f"https://localhost:{world.address[1]}/"
        async with (
            ClientSession() as session,
            session.ws_connect(url, protocols=["sip"], ssl=trusting(files), origin="https://any.example") as ws,
        ):
            await ws.send_bytes(message := os.urandom(65_535))
            assert (await ws.receive(5)).data == message
        await until(lambda: world.machine.of(StreamClosed))
        await world.host.stop()

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize("transport", SECURE)
def test_our_client_side_checks_name_and_authority(
    transport: Transport, files: CertificateFiles, others: CertificateFiles, fast: bool
) -> None:
    async def scenario() -> None:
        far, foreign = await served(files, transport), await served(others, transport)
        near = await started(Sender(), interface(transport, tls=files.tls, listens=False))
        port = far.address[1]
        near.order(Send(Flow("a", (HOST, port)), b"by address"), Send(Flow("a", ("localhost", port)), b"by name"))
        await until(lambda: sorted(heard(near.machine)) == [b"by address", b"by name"])
        assert len(far.machine.of(StreamOpened)) == 2  # each name was looked at
        near.order(Send(Flow("a", ("localhost", port)), b"again"))
        await until(lambda: b"again" in heard(near.machine))
        assert len(far.machine.of(StreamOpened)) == 2
        near.order(Send(Flow("a", foreign.address), b"x"))
        await until(lambda: near.machine.unreachable)
        assert near.machine.unreachable[0].reason.startswith("certificate not accepted: ")
        assert not foreign.machine.of(StreamOpened)
        for world in (near, far, foreign):
            await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_certificate_for_another_name_is_not_accepted(others: CertificateFiles) -> None:
    async def scenario() -> None:
        far = await served(others)
        near = await started(Sender(), interface("tls", tls=others.tls, listens=False))
        near.order(Send(Flow("a", far.address), b"x"))
        await until(lambda: near.machine.unreachable)
        assert "not valid for '127.0.0.1'" in near.machine.unreachable[0].reason
        await near.host.stop()
        await far.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("said", [b"OPTIONS sip:edge SIP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", bytes(300), b""])
@pytest.mark.parametrize("transport", SECURE)
def test_who_does_not_speak_tls_is_dropped_and_the_others_notice_nothing(
    transport: Transport, said: bytes, files: CertificateFiles
) -> None:
    async def scenario() -> None:
        settings = replace(NOTES_SOON, handshake_s=0.2)
        world = await started(Recorder(), interface(transport, tls=files.tls), settings=settings)
        reader, writer = await asyncio.open_connection(*world.address)
        writer.write(said)
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                await reader.read()
        await until(lambda: world.of(ConnectionsRefused))
        why = world.of(ConnectionsRefused)[0].why
        assert why.startswith("hand-shake: TLS: ") if said else why == "hand-shake: timed out"
        assert not world.machine.inputs
        writer.close()
        if transport == "tls":
            _, again = await connect(world, trusting(files))
            again.close()
        await world.host.stop()

    in_loop(scenario)


def test_killed_in_the_middle_of_hand_shakes_it_leaves_nothing_behind(files: CertificateFiles, fast: bool) -> None:
    async def scenario() -> None:
        world = await served(files)
        half = [await asyncio.open_connection(*world.address) for _ in range(5)]
        reader, writer = await connect(world, trusting(files))
        assert await echoed(reader, writer, b"x")
        world.host.kill()
        for each, _ in [*half, (reader, writer)]:
            async with asyncio.timeout(5):
                with suppress(ConnectionError):
                    assert await each.read() == b""
        for _, each in [*half, (reader, writer)]:
            each.close()

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize("transport", SECURE)
def test_a_peer_that_reads_nothing_is_cut_off(transport: Transport, files: CertificateFiles, fast: bool) -> None:
    async def scenario() -> None:
        settings = LiveSettings(write_buffer_bytes=100_000)
        world = await started(Sender(), interface(transport, tls=files.tls), settings=settings)
        near = await started(Sender(), interface(transport, tls=files.tls, listens=False))
        near.order(Send(Flow("a", world.address), b"x"))
        await until(lambda: heard(world.machine))
        flow = world.machine.of(StreamOpened)[0].flow
        near.host.freeze()
        for _ in range(1_000):
            world.order(Send(flow, bytes(65_000)))
            if world.machine.of(StreamClosed):
                break
            await asyncio.sleep(0)
        await until(lambda: world.machine.of(StreamClosed))
        assert world.machine.of(StreamClosed) == [StreamClosed(flow, "peer reads too slowly")]
        near.host.kill()
        await world.host.stop()

    in_loop(scenario, fast=fast)


# --- files that cannot be used ------------------------------------------------------------------------------


def _encrypted(files: CertificateFiles, folder: Path) -> TlsFiles:
    key = load_pem_private_key(files.private_key.read_bytes(), None)
    path = folder / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    return replace(files.tls, private_key=str(path))


def _junk(files: CertificateFiles, folder: Path) -> TlsFiles:
    (folder / "junk.pem").write_bytes(b"no certificate at all")
    return replace(files.tls, certificate=str(folder / "junk.pem"))


def _cut_short(files: CertificateFiles, folder: Path) -> TlsFiles:
    (folder / "short.pem").write_bytes(files.certificate.read_bytes()[:200])
    return replace(files.tls, certificate=str(folder / "short.pem"))


UNUSABLE: list[tuple[str, Callable[[CertificateFiles, Path], TlsFiles | None], str]] = [
    ("nothing", lambda files, folder: None, "interface a: tls needs tls: with certificate and private_key"),
    (
        "no certificate",
        lambda files, folder: replace(files.tls, certificate=str(folder / "gone.pem")),
        "gone.pem (no such file or directory) - correct tls.certificate",
    ),
    (
        "no key",
        lambda files, folder: replace(files.tls, private_key=str(folder)),
        "(is a directory) - correct tls.private_key",
    ),
    (
        "no authorities",
        lambda files, folder: replace(files.tls, trusted=str(folder / "gone.pem")),
        "gone.pem (no such file or directory) - correct tls.trusted",
    ),
    (
        "authorities that are none",
        lambda files, folder: replace(files.tls, trusted=str(files.private_key)),
        "siptwin.key holds no certificate - give a PEM file of authorities",
    ),
    ("junk", _junk, "junk.pem is not a PEM file - give tls.certificate one"),
    ("half a file", _cut_short, "short.pem and "),
    ("a key with a password", _encrypted, "locked.key has a password - take the password off: openssl pkey"),
]


@pytest.mark.parametrize(("make", "words"), [each[1:] for each in UNUSABLE], ids=[each[0] for each in UNUSABLE])
def test_files_that_cannot_be_used_are_told_with_the_remedy(
    make: Callable[[CertificateFiles, Path], TlsFiles | None], words: str, files: CertificateFiles, tmp_path: Path
) -> None:
    async def scenario() -> None:
        with pytest.raises(LiveError) as raised:
            await started(Recorder(), interface("udp", name="first"), interface("tls", tls=make(files, tmp_path)))
        text = str(raised.value)
        assert words in text
        assert "interface a: " in text
        assert " - " in text
        assert "\n" not in text

    in_loop(scenario)


def test_a_key_of_another_certificate_is_told(files: CertificateFiles, others: CertificateFiles) -> None:
    mixed = replace(files.tls, private_key=str(others.private_key))
    with pytest.raises(LiveError, match=r"is not the key of .* - give the two that were made together"):
        read_tls([interface("tls", tls=mixed)])


# --- certificates that change -------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", SECURE)
def test_new_hand_shakes_show_the_new_certificate_and_connections_that_stand_go_on(
    transport: Transport, tmp_path: Path, fast: bool
) -> None:
    async def scenario() -> None:
        files = make_certificate(tmp_path, [HOST])
        world = await served(files, transport)
        near = await started(Sender(), interface(transport, tls=files.tls, listens=False))
        near.order(Send(Flow("a", world.address), b"before"))
        await until(lambda: heard(near.machine) == [b"before"])
        make_certificate(tmp_path, [HOST], force=True)
        changed = [interface(transport, tls=files.tls)]
        world.host.renew(changed, read_tls(changed))
        near.order(Send(Flow("a", world.address), b"after"))
        await until(lambda: heard(near.machine) == [b"before", b"after"])
        assert len(world.machine.of(StreamOpened)) == 1
        _, writer = await connect(world, trusting(files))
        assert serial_shown(writer) == serial_of(files)
        writer.close()
        await near.host.stop()
        await world.host.stop()

    in_loop(scenario, fast=fast)


class Renewed:
    """A ``serve`` whose certificate the test changes."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.files = make_certificate(folder, [HOST])
        with socket.socket() as sock:
            sock.bind((HOST, 0))
            port = sock.getsockname()[1]
        self.interface = Interface(name="a", transport="tls", host=HOST, port=port, tls=self.files.tls)
        self.served = Served(interfaces=[self.interface], settings=LiveSettings(**settings))

    async def shown(self) -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(HOST, self.interface.port, ssl=context)
        writer.close()
        return serial_shown(writer)

    async def end(self) -> None:
        self.served.machine.idle = True
        self.served.signal(signal.SIGTERM)
        await self.served.ended()


def test_sighup_reads_certificates_anew_and_a_bad_one_changes_nothing(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        renewed = Renewed(tmp_path)
        served = renewed.served
        await served.ready()
        first = serial_of(renewed.files)
        make_certificate(tmp_path, [HOST], force=True)
        key = renewed.files.private_key.read_bytes()
        renewed.files.private_key.unlink()
        served.reloads = [Reconfigure("lost"), Reconfigure("new")]
        served.signal(signal.SIGHUP)
        await until(lambda: served.told(ReloadFailed))
        assert f"{renewed.files.private_key} (no such file" in served.told(ReloadFailed)[0].why
        assert not served.machine.of(Reconfigure)
        assert await renewed.shown() == first
        renewed.files.private_key.write_bytes(key)
        served.signal(signal.SIGHUP)
        await until(lambda: served.machine.of(Reconfigure) == [Reconfigure("new")])
        assert served.told(CertificateLoaded) == [CertificateLoaded("a", str(renewed.files.certificate))]
        assert await renewed.shown() == serial_of(renewed.files) != first
        await renewed.end()

    in_loop(scenario, fast=fast)


def test_a_changed_file_is_read_anew_by_itself_and_a_bad_one_is_told_once(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        renewed = Renewed(tmp_path, certificate_look_s=0.02)
        served = renewed.served
        await served.ready()
        first = serial_of(renewed.files)
        good = renewed.files.certificate.read_bytes()
        renewed.files.certificate.write_bytes(b"half a fi")
        await until(lambda: served.told(ReloadFailed))
        assert "siptwin.pem is not a PEM file" in served.told(ReloadFailed)[0].why
        assert await renewed.shown() == first
        make_certificate(tmp_path, [HOST], force=True)
        assert renewed.files.certificate.read_bytes() != good
        await until(lambda: served.told(CertificateLoaded))
        assert await renewed.shown() == serial_of(renewed.files) != first
        assert len(served.told(ReloadFailed)) == 1
        assert not served.machine.of(Reconfigure)
        await renewed.end()

    in_loop(scenario, fast=fast)
