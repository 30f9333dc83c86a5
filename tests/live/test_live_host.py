"""The life of a host: start, timer, freeze, kill, and interfaces that cannot be bound."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from time import monotonic

import pytest
from live_machines import (
    HOST,
    Echo,
    Recorder,
    Sender,
    in_loop,
    interface,
    receive,
    some_turns,
    started,
    udp_peer,
    until,
)

from engine.boundary import NEVER, Drain, Flow, Level, Note, Send
from engine.live import LiveError, LiveHost
from engine.live.notes import MachineFailed, MediaLost
from engine.live.relay.plane import MediaPlane
from engine.media.rules import MediaEffect, Port, ReleasePorts


class Alarm(Recorder):
    """Wants a tick ``after_s`` its start, then none."""

    def __init__(self, after_s: float) -> None:
        super().__init__()
        self.after_s = after_s

    def start(self, now):  # type: ignore[no-untyped-def]  # as its base class
        self.due = now + self.after_s
        return ()


def test_a_tick_comes_at_the_deadline_and_never_before(fast: bool) -> None:
    async def scenario() -> None:
        began = monotonic()
        world = await started(Alarm(0.03))
        due = world.machine.due
        await until(lambda: world.machine.ticks)
        assert len(world.machine.ticks) == 1
        assert world.machine.ticks[0] >= due >= began + 0.03
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_an_earlier_deadline_overtakes_the_armed_one(fast: bool) -> None:
    class Impatient(Alarm):
        def answer(self, event, now):  # type: ignore[no-untyped-def]  # as its base class
            self.due = now + 0.01
            return ()

    async def scenario() -> None:
        world = await started(Impatient(3600))
        world.host.deliver(Drain())
        await until(lambda: world.machine.ticks)
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_later_deadline_is_met_after_an_early_look(fast: bool) -> None:
    class Patient(Alarm):
        def answer(self, event, now):  # type: ignore[no-untyped-def]  # as its base class
            self.due = now + 0.1
            return ()

    async def scenario() -> None:
        world = await started(Patient(0.02))
        world.host.deliver(Drain())
        due = world.machine.due
        await until(lambda: world.machine.ticks)
        assert world.machine.ticks[0] >= due
        assert len(world.machine.ticks) == 1
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_tick_that_raises_does_not_spin(fast: bool) -> None:
    class Broken(Alarm):
        def tick(self, now):  # type: ignore[no-untyped-def]  # as its base class
            self.ticks.append(now)
            raise RuntimeError("no")

    async def scenario() -> None:
        world = await started(Broken(0))
        await until(lambda: len(world.machine.ticks) >= 3)
        _, second, third = world.machine.ticks[:3]
        assert third - second > 0.05
        assert len(world.of(MachineFailed)) == 1
        world.host.kill()

    in_loop(scenario, fast=fast)


def test_frozen_it_neither_reads_nor_ticks_and_thawed_it_does_both(fast: bool) -> None:
    class AlarmedEcho(Alarm, Echo):
        pass

    async def scenario() -> None:
        world = await started(AlarmedEcho(0.02))
        world.host.freeze()
        with udp_peer() as peer:
            peer.sendto(b"asleep?", world.address)
            world.host.deliver(Drain())
            due = world.machine.due
            await until(lambda: monotonic() > due + 0.02)
            assert not world.machine.ticks
            assert not world.machine.inputs
            world.host.thaw()
            assert world.machine.inputs == [Drain()]
            assert await receive(peer) == b"asleep?"
            await until(lambda: world.machine.ticks)
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_killed_its_port_is_free_at_once_and_it_hears_nothing(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Alarm(0.02))
        address = world.address
        world.host.kill()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(address)
        world.host.deliver(Drain())
        due = world.machine.due
        await until(lambda: monotonic() > due + 0.02)
        assert not world.machine.ticks
        assert not world.machine.inputs
        assert not world.host.running
        again = await started(Echo(), interface(port=address[1]))
        assert again.address == address
        await again.host.stop()

    in_loop(scenario, fast=fast)


def test_a_kill_from_within_its_own_note_ends_it() -> None:
    class Bang(Note):
        level = Level.ERROR

    async def scenario() -> None:
        machine = Sender()
        told: list[Note] = []

        def on_note(note: Note, _now: float) -> None:
            told.append(note)
            if isinstance(note, Bang):
                host.kill()

        host = LiveHost(machine, [interface()], on_note=on_note)
        await host.start()
        machine.orders = [Bang(), Send(Flow("a", (HOST, 9)), b"never")]
        host.deliver(Drain())
        await some_turns()
        assert not host.running
        assert len(machine.inputs) == 1

    in_loop(scenario)


def test_several_hosts_share_a_loop_and_a_machine_may_be_made_from_bound_interfaces() -> None:
    async def scenario() -> None:
        far = await started(Echo())
        seen: dict[str, int] = {}

        def make(bound):  # type: ignore[no-untyped-def]  # a MachineFactory
            seen.update({name: each.port for name, each in bound.items()})
            return Sender()

        host = LiveHost(make, [interface(), interface(name="b")], on_note=lambda note, now: None)
        await host.start()
        assert seen == {"a": host.interface("a").port, "b": host.interface("b").port}
        assert 0 not in seen.values()
        host.machine.orders = [Send(Flow("b", far.address), b"hi")]  # type: ignore[attr-defined]  # a Sender
        host.deliver(Drain())
        await until(lambda: len(host.machine.inputs) == 2)  # type: ignore[attr-defined]  # a Sender
        await host.stop()
        await far.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_in_use_is_one_clear_line_and_leaves_nothing_open(transport) -> None:  # type: ignore[no-untyped-def]
    async def scenario() -> None:
        world = await started(Recorder(), interface(transport))
        port = world.address[1]
        second = LiveHost(
            Recorder(),
            [interface(name="free"), interface(transport, port=port, name="agents")],
            on_note=lambda note, now: None,
        )
        with pytest.raises(LiveError) as caught:
            await second.start()
        assert str(caught.value) == (
            f"cannot bind {transport} 127.0.0.1:{port} (interface agents): address already in use - "
            "stop the other process or change the port"
        )
        assert not second.interfaces
        await world.host.stop()

    in_loop(scenario)


@pytest.mark.parametrize("host", ["203.0.113.7", "nowhere.invalid", "a" * 80])
def test_an_address_that_is_not_ours_is_one_clear_line(host: str) -> None:
    async def scenario() -> None:
        with pytest.raises(LiveError, match=rf"^cannot bind udp {host}:0 \(interface a\): .+ - .+$"):
            await started(Recorder(), interface(host=host))

    in_loop(scenario)


def test_a_machine_that_fails_to_start_leaves_no_socket_open() -> None:
    class Stillborn(Recorder):
        def start(self, now):  # type: ignore[no-untyped-def]  # as its base class
            raise RuntimeError("no")

    async def scenario() -> None:
        host = LiveHost(Stillborn(), [interface()], on_note=lambda note, now: None)
        with pytest.raises(RuntimeError):
            await host.start()
        assert not host.interfaces

    in_loop(scenario)


def test_never_is_never(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Recorder())
        assert world.machine.deadline() == NEVER
        await some_turns()
        assert not world.machine.ticks
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_media_order_that_fails_is_told_and_holds_up_no_signalling(fast: bool) -> None:
    class Broken(MediaPlane):
        def start(self, on_lost: Callable[[MediaLost], None] | None = None) -> None:
            pass

        def carry_out(self, effect: MediaEffect) -> None:
            raise ValueError("no IP address")

    async def scenario() -> None:
        machine, told = Sender(), list[Note]()
        host = LiveHost(
            machine, [interface()], on_note=lambda note, now: told.append(note), media=lambda on: Broken({}, on)
        )
        await host.start()
        with udp_peer() as peer:
            machine.orders = [ReleasePorts(Port("a", 20_000)), Send(Flow("a", peer.getsockname()), b"180")]
            host.deliver(Drain())
            assert await receive(peer) == b"180"
        (fault,) = (note for note in told if isinstance(note, MachineFailed))
        assert fault.on == "ReleasePorts"
        await host.stop()

    in_loop(scenario, fast=fast)


def test_it_may_have_as_many_connections_as_the_system_lets_it_open_files() -> None:
    """The usual soft limit, 1,024, would refuse the thousandth browser."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    usual = min(before[1] - 1, 1024)

    async def scenario() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, before[1]))
        world = await started(Echo())
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
        world.host.kill()

    try:
        in_loop(scenario)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
