"""Serves one machine until it is told to stop: signals, reload, systemd, API."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, runtime_checkable

from engine.boundary import Drain, Interface, Machine, Note
from engine.config import HomerConfig
from engine.live.api.server import ApiServer
from engine.live.api.service import Service as Api
from engine.live.capture import Capture, HomerSender, Wanted
from engine.live.errors import LiveError, endpoint
from engine.live.host import LiveHost, MachineFactory
from engine.live.notes import CertificateLoaded, DrainStarted, ReloadFailed, ServeStarted, ServeStopped
from engine.live.notify import notify, notify_reloading, watchdog_s
from engine.live.records import RecordWriter, Sink
from engine.live.relay.hosting import PlaneMaker
from engine.live.settings import LiveSettings
from engine.live.source import Change, Source
from engine.live.store.store import Store
from engine.live.tally import CallBook, Counters
from engine.live.tls import Stamp, Tls, read_tls, stamp_of

_IDLE_POLL_S = 0.05
_ENDS = (signal.SIGTERM, signal.SIGINT)


@runtime_checkable
class Drainable(Protocol):
    """A machine that knows when nothing is left to finish."""

    @property
    def idle(self) -> bool: ...


async def serve(
    build: Callable[[], tuple[Machine | MachineFactory, Sequence[Interface]]],
    source: Source,
    *,
    on_note: Callable[[Note, float], None],
    control_path: Path | None = None,
    grace_s: float = 30.0,
    settings: LiveSettings | None = None,
    store: Store | None = None,
    sinks: Sequence[Sink] = (),
    media: PlaneMaker | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: no new work, and the end when all is finished or time is up.

    Parameters
    ----------
    build
        Makes the machine and names its interfaces; what it raises is raised.
    source
        Makes the new settings on SIGHUP or by an operator's order, in a thread, since it reads files. What it
        raises is told as a ``ReloadFailed`` note and changes nothing. Of the interfaces only certificates and
        origins may differ: all else needs a restart, and ``reload`` is to say so. Certificates are read anew also
        when their files change. It also says where the API and health checks are.
    control_path
        The Unix socket of the API, None for none.
    grace_s
        How long to wait, at most, after the first signal. A second one ends at once.
    store
        Keeps the machine's records, opened; None where nothing is kept.
    sinks
        Where a record of each call goes when it is over.
    media
        Makes the data plane of the machine's relay; None where it has none built in.

    Raises
    ------
    LiveError
        An interface, the control socket or the API cannot be opened, or a certificate not be read.
    """
    machine, interfaces = build()
    keep = store.put if store else None
    counters, book = Counters(), CallBook(relays=media is not None)

    def tell(note: Note, now: float) -> None:
        counters(note, now)
        book(note, now)
        on_note(note, now)

    host = LiveHost(machine, interfaces, on_note=tell, settings=settings, keep=keep, media=media)
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (*_ENDS, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)
    api: ApiServer | None = None
    writer: RecordWriter | None = None
    try:
        await host.start()
        if store:
            store.attach(host.deliver, tell)
        writer = RecordWriter(sinks, tell)
        book.sinks.append(writer)
        service = _Service(host, signals, source, tell)
        api = ApiServer(Api(host, service, source, counters, book))
        api.service.store = store
        if source.homer is not None:
            api.service.collector = _to_homer(source.homer, host)
        await api.start(control_path, source.api, source.health)
        service.tell_started(control_path)
        look_s = (settings or LiveSettings()).certificate_look_s
        beside = [loop.create_task(service.watch_certificates(look_s)), loop.create_task(_live())]
        try:
            await service.wait_for_end()
            api.drain()
            await service.drain(grace_s)
        finally:
            for task in beside:
                task.cancel()
    finally:
        for number in (*_ENDS, signal.SIGHUP):
            loop.remove_signal_handler(number)
        if api:
            await api.stop()
        book.close()
        if writer:
            await asyncio.to_thread(writer.close)
        if store:
            await store.stop()
        await host.stop()


async def _live() -> None:
    """Show systemd, where it looks, that the event loop turns: twice as often as it wants to see."""
    wait_s = watchdog_s()
    while wait_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(wait_s / 2)


def _to_homer(config: HomerConfig, host: LiveHost) -> HomerSender:
    sender = HomerSender((config.host, config.port), config.agent_id)
    if config.everything:
        host.tap.add(Capture(Wanted(everything=True), sender))
    return sender


class _Service:
    def __init__(
        self,
        host: LiveHost,
        signals: asyncio.Queue[signal.Signals],
        source: Source,
        on_note: Callable[[Note, float], None],
    ) -> None:
        self._host = host
        self._signals = signals
        self._source = source
        self._on_note = on_note
        self._changing = asyncio.Lock()
        self._last_signal = ""
        self._loaded = {each.name: stamp_of(each) for each in host.interfaces.values() if each.secure}
        self._tried = dict(self._loaded)

    def tell_started(self, control_path: Path | None) -> None:
        bound = [each for each in self._host.interfaces.values() if each.listens]
        where = tuple(f"{each.transport} {endpoint(each.host, each.port)}" for each in bound)
        self._tell(ServeStarted(where, str(control_path or "")))
        notify("READY=1", f"STATUS=serving {', '.join(where)}")

    async def wait_for_end(self) -> None:
        """Reload on each SIGHUP until an ending signal comes."""
        while True:
            number = await self._signals.get()
            if number in _ENDS:
                self._last_signal = number.name
                return
            notify_reloading()
            await self.reload()
            notify("READY=1")

    async def reload(self) -> str:
        """Take over the settings as they are written now; why they cannot be used, "" where they can."""
        return await self._change(self._source.reload)

    async def add_node(self, node: Mapping[str, Any]) -> str:
        """Take a node into the settings in force; why that cannot be done, "" where it can."""
        return await self._change(lambda: self._source.add_node(node))

    async def _change(self, make: Callable[[], Change]) -> str:
        async with self._changing:
            try:
                change, interfaces = await asyncio.to_thread(make)
                tls = await asyncio.to_thread(read_tls, interfaces)
            except Exception as error:  # whatever is wrong with the new settings must not end the service
                why = str(error) or type(error).__name__
                self._tell(ReloadFailed(why))
                return why
            self._renew(interfaces, tls)
            self._host.deliver(change)
            return ""

    async def watch_certificates(self, look_s: float) -> None:
        """Read certificates anew when their files have changed and then stayed so for one look.

        Certificate and key are two files, and no one replaces both at once.
        """
        seen: dict[str, Stamp] = {}
        while True:
            await asyncio.sleep(look_s)
            interfaces = [each for each in self._host.interfaces.values() if each.secure]
            before, seen = seen, {each.name: stamp_of(each) for each in interfaces}
            changed = [each for each in interfaces if seen[each.name] != self._tried[each.name]]
            if changed and all(seen[each.name] == before.get(each.name) for each in changed):
                self._tried |= seen  # one try for one change
                try:
                    tls = await asyncio.to_thread(read_tls, changed)
                except LiveError as error:
                    self._tell(ReloadFailed(str(error)))
                else:
                    self._renew(changed, tls)

    def _renew(self, interfaces: Sequence[Interface], tls: Mapping[str, Tls]) -> None:
        self._host.renew(interfaces, tls)
        for name, each in tls.items():
            if each.stamp != self._loaded[name]:
                self._tell(CertificateLoaded(name, each.certificate))
            self._loaded[name] = self._tried[name] = each.stamp

    async def drain(self, grace_s: float) -> None:
        began = monotonic()
        notify("STOPPING=1", f"STATUS=draining, at most {grace_s:g} s")
        self._tell(DrainStarted(self._last_signal, grace_s))
        self._host.deliver(Drain())
        why = await self._wait_until_idle(began + grace_s)
        self._tell(ServeStopped(why, monotonic() - began))

    async def _wait_until_idle(self, ends: float) -> str:
        while True:
            machine = self._host.machine
            if not isinstance(machine, Drainable) or machine.idle:
                return "idle"
            remaining_s = ends - monotonic()
            if remaining_s <= 0:
                return "grace"
            try:
                number = await asyncio.wait_for(self._signals.get(), min(_IDLE_POLL_S, remaining_s))
            except TimeoutError:
                continue
            if number in _ENDS:
                return "signal"

    def _tell(self, note: Note) -> None:
        self._on_note(note, monotonic())
