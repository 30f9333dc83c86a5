"""UDP on real sockets: batches, ICMP errors, peers that cannot be, names, losses."""

from __future__ import annotations

import socket
from collections import deque

import pytest
from live_machines import (
    HOST,
    Echo,
    Recorder,
    Sender,
    closed_port,
    in_loop,
    interface,
    receive,
    some_turns,
    started,
    udp_peer,
    until,
)

from engine.boundary import Datagram, Flow, Send, Unreachable
from engine.live import LiveSettings
from engine.live.notes import DatagramsLost, MachineFailed


def test_a_datagram_goes_in_and_out(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Echo())
        with udp_peer() as peer:
            peer.sendto(b"hello", world.address)
            assert await receive(peer) == b"hello"
            assert world.machine.inputs == [Datagram(Flow("a", peer.getsockname()), b"hello")]
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_ipv6_peers_are_host_and_port(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Echo(), interface(host="::1"))
        with udp_peer("::1") as peer:
            peer.sendto(b"six", world.address)
            assert await receive(peer) == b"six"
            assert world.machine.inputs[0].flow.peer == peer.getsockname()[:2]
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_burst_keeps_its_order_whatever_the_batch(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Recorder(), settings=LiveSettings(batch=7))
        sent = [b"%d" % number for number in range(300)]
        with udp_peer() as peer:
            for data in sent:
                peer.sendto(data, world.address)
            await until(lambda: len(world.machine.inputs) == 300)
        assert [event.data for event in world.machine.inputs] == sent
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_an_empty_datagram_is_one(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Recorder())
        with udp_peer() as peer:
            peer.sendto(b"", world.address)
            await until(lambda: world.machine.inputs)
        assert world.machine.inputs[0].data == b""
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_closed_port_is_told_and_the_interface_lives_on(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Sender())
        gone = Flow("a", (HOST, closed_port()))
        with udp_peer() as peer:
            for _ in range(3):
                world.order(Send(gone, b"anyone?"))
                await until(lambda: world.machine.unreachable)
                assert world.machine.unreachable == [Unreachable(gone, "port unreachable")]
                peer.sendto(b"still there?", world.address)
                await until(
                    lambda: Datagram(Flow("a", peer.getsockname()), b"still there?") in world.machine.inputs
                )
                world.machine.inputs.clear()
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_an_icmp_error_costs_no_datagram_to_anyone_else(fast: bool) -> None:
    """The kernel reports a pending error on the next call, whoever that is for, and does not send then."""

    async def scenario() -> None:
        world = await started(Sender())
        with udp_peer() as peer:
            gone, alive = Flow("a", (HOST, closed_port())), Flow("a", peer.getsockname())
            world.order(*(Send(flow, b"%d" % n) for n in range(50) for flow in (gone, alive)))
            assert [await receive(peer) for _ in range(50)] == [b"%d" % n for n in range(50)]
            await until(lambda: len(world.machine.unreachable) == 50)
        assert {event.flow for event in world.machine.unreachable} == {gone}
        await world.host.stop()

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize(
    ("peer", "data"),
    [
        ((HOST, 0), b"x"),
        ((HOST, 70_000), b"x"),
        ((HOST, -1), b"x"),
        (("255.255.255.255", 5060), b"x"),
        (("::1", 5060), b"x"),
        (("", 5060), b"x"),
        (("nowhere.invalid", 5060), b"x"),
        (("nul\0byte", 5060), b"x"),
        (("a" * 70 + ".example", 5060), b"x"),
        (("1.2.3.4.", 5060), b"x"),
        ((HOST, 5060), bytes(65_536)),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_send_that_cannot_be_is_unreachable_and_harms_nothing(peer: tuple[str, int], data: bytes) -> None:
    async def scenario() -> None:
        world = await started(Sender())
        world.order(Send(Flow("a", peer), data))
        await until(lambda: world.machine.unreachable)
        assert [event.flow for event in world.machine.unreachable] == [Flow("a", peer)]
        assert world.machine.unreachable[0].reason
        with udp_peer() as other:
            world.order(Send(Flow("a", other.getsockname()), b"alive"))
            assert await receive(other) == b"alive"
        await world.host.stop()

    in_loop(scenario)


def test_an_interface_that_does_not_exist_is_unreachable() -> None:
    async def scenario() -> None:
        world = await started(Sender())
        world.order(Send(Flow("b", (HOST, 5060)), b"x"))
        await until(lambda: world.machine.unreachable)
        await world.host.stop()

    in_loop(scenario)


def test_a_machine_that_answers_each_failure_with_a_send_starves_nobody(fast: bool) -> None:
    class Stubborn(Echo):
        def answer(self, event, now):  # type: ignore[no-untyped-def]  # as its base class
            return (Send(event.flow, b"again"),) if isinstance(event, Unreachable) else super().answer(event, now)

    async def scenario() -> None:
        world = await started(Stubborn())
        world.host.deliver(Unreachable(Flow("a", (HOST, 0)), "begin"))
        with udp_peer() as peer:
            peer.sendto(b"me too", world.address)
            assert await receive(peer) == b"me too"
        world.host.kill()

    in_loop(scenario, fast=fast)


def test_names_are_resolved_and_keep_the_order_of_sends(fast: bool) -> None:
    async def scenario() -> None:
        world = await started(Sender())
        with udp_peer() as peer:
            flow = Flow("a", ("localhost", peer.getsockname()[1]))
            world.order(*(Send(flow, b"%d" % n) for n in range(5)))
            assert [await receive(peer) for _ in range(5)] == [b"%d" % n for n in range(5)]
            world.order(Send(flow, b"cached"))
            assert await receive(peer) == b"cached"
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_an_icmp_error_is_told_under_the_name_as_well() -> None:
    async def scenario() -> None:
        world = await started(Sender())
        port = closed_port()
        world.order(Send(Flow("a", ("localhost", port)), b"x"))
        await until(lambda: len(world.machine.unreachable) == 2)
        assert {event.flow.peer for event in world.machine.unreachable} == {(HOST, port), ("localhost", port)}
        await world.host.stop()

    in_loop(scenario)


def test_waiting_for_names_is_bounded() -> None:
    async def scenario() -> None:
        world = await started(Sender(), settings=LiveSettings(lookups=2, lookup_queue=3))
        world.order(*(Send(Flow("a", (f"n{n}.invalid", 5060)), b"x") for n in range(10)))
        await until(lambda: len(world.machine.unreachable) == 10)
        reasons = [event.reason for event in world.machine.unreachable]
        assert reasons.count("too many names are looked up") == 8
        await world.host.stop()

    in_loop(scenario)


def test_what_the_kernel_drops_is_counted_and_told() -> None:
    async def scenario() -> None:
        world = await started(Recorder(), settings=LiveSettings(socket_buffer_bytes=4096))
        world.host.freeze()
        with udp_peer() as peer:
            for _ in range(200):
                peer.sendto(bytes(1000), world.address)
        world.host.thaw()
        await until(lambda: world.of(DatagramsLost))
        assert world.of(DatagramsLost)[0].count == 200 - len(world.machine.inputs)
        assert world.host.stats()[0].lost_kernel == world.of(DatagramsLost)[0].count
        await world.host.stop()

    in_loop(scenario)


class _FullSocket(socket.socket):
    """A kernel that takes nothing while ``full``."""

    full = False

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.setblocking(False)
        self.taken: deque[bytes] = deque()

    def sendto(self, data, peer):  # type: ignore[no-untyped-def, override]  # one of its overloads
        if self.full:
            raise BlockingIOError
        self.taken.append(data)
        return len(data)


def test_while_the_kernel_takes_nothing_sends_wait_in_order_up_to_the_bound(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        sock = _FullSocket()
        sock.bind((HOST, 0))
        monkeypatch.setattr("engine.live.host.bind_udp", lambda interface, host: sock)
        world = await started(Sender(), settings=LiveSettings(send_queue=3))
        sock.full = True
        flow = Flow("a", (HOST, 9))
        world.order(*(Send(flow, b"%d" % n) for n in range(5)))
        await some_turns()
        assert not sock.taken
        sock.full = False
        world.order(Send(flow, b"later"))
        await until(lambda: list(sock.taken) in ([b"0", b"1", b"2"], [b"0", b"1", b"2", b"later"]))
        await until(lambda: world.of(DatagramsLost))
        assert world.of(DatagramsLost)[0].where == "send queue"
        await world.host.stop()

    in_loop(scenario, fast=fast)


def test_a_machine_that_raises_loses_that_input_alone() -> None:
    class Fragile(Echo):
        def answer(self, event, now):  # type: ignore[no-untyped-def]  # as its base class
            if event.data == b"bad":
                raise ValueError("no such thing")
            return super().answer(event, now)

    async def scenario() -> None:
        world = await started(Fragile())
        with udp_peer() as peer:
            for data in (b"bad", b"bad", b"good"):
                peer.sendto(data, world.address)
            assert await receive(peer) == b"good"
        (fault,) = world.of(MachineFailed)
        assert fault.error == "ValueError: no such thing"
        assert "answer" in fault.traceback
        await world.host.stop()

    in_loop(scenario)
