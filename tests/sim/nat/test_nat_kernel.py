"""The machine does what the Linux kernel does: the same probes, answer by answer.

The kernel's time-outs are shortened, so that the whole takes a quarter of a minute. Its "2 s" of a stream
(nf_conntrack_proto_udp.c) cannot be.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from random import Random

import pytest

from lab.nat_table import nat_table
from sim.nat import PRESETS, Dropped, Nat
from tests.sim.nat.probes import In, Out, Probe, ask_kernel, ask_machine
from tests.sim.nat.rig import GUARDED_PORTS, INSIDE, OUTSIDE, RANDOM_PORTS, ROUTER, NotPermittedError, Rig, why_not

UNREPLIED_S = 2
REPLIED_S = 5
ESTABLISHED_S = 2

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# No firewall stands before the router of the rig: what is for nobody is for itself, and refused.
LINUX = replace(
    PRESETS["linux_masquerade"].stages[0],
    unreplied_s=UNREPLIED_S,
    replied_s=REPLIED_S,
    tcp_established_s=ESTABLISHED_S,
    unsolicited="refuse",
)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    sysctls = {
        "nf_conntrack_udp_timeout": UNREPLIED_S,
        "nf_conntrack_udp_timeout_stream": REPLIED_S,
        "nf_conntrack_tcp_timeout_established": ESTABLISHED_S,
    }
    with ExitStack() as stack:
        try:
            made = stack.enter_context(Rig(sysctls))
        except NotPermittedError as error:
            pytest.skip(f"not permitted here: {error}")
        yield made


def machine(settings: object = LINUX) -> Nat:
    return Nat(settings, [ROUTER], Random(1))


MAPPING: list[Probe] = [
    Out("first", 0.0, ("A", 5001), ("S1", 6001)),
    Out("another port there", 0.1, ("A", 5001), ("S1", 6002)),
    Out("another host there", 0.2, ("A", 5001), ("S2", 6001)),
    Out("again", 0.3, ("A", 5001), ("S1", 6001)),
    In("reply", 0.4, ("S1", 6001), "first"),
    In("from a port never sent to", 0.5, ("S1", 6003), "first"),
    In("from a host never sent to", 0.5, ("S2", 6009), "first"),
    Out("hairpin", 0.6, ("B", 5009), "first"),
]

COLLISION: list[Probe] = [
    # Both to one peer: the second cannot keep its port.
    Out("A keeps its port", 0.0, ("A", 5002), ("S1", 6001)),
    Out("B cannot", 0.1, ("B", 5002), ("S1", 6001)),
    Out("nor does B elsewhere", 0.2, ("B", 5002), ("S2", 6001)),
    In("reply to A", 0.3, ("S1", 6001), "A keeps its port"),
    In("reply to B", 0.3, ("S1", 6001), "B cannot"),
    # To different peers: both keep it, and one outside port serves two inside hosts.
    Out("A again", 0.4, ("A", 5003), ("S1", 6001)),
    Out("B to another", 0.5, ("B", 5003), ("S2", 6001)),
    In("reply to A at the shared port", 0.6, ("S1", 6001), "A again"),
    In("reply to B at the shared port", 0.6, ("S2", 6001), "B to another"),
    Out("B to A's peer", 0.7, ("B", 5003), ("S1", 6001)),
    Out("B to its own peer again", 0.8, ("B", 5003), ("S2", 6001)),
    Out("B to a third", 0.9, ("B", 5003), ("S2", 6002)),
]

TIME: list[Probe] = [
    Out("a", 0.0, ("A", 5010), ("S1", 6001)),
    In("a: reply in time", 1.4, ("S1", 6001), "a"),
    In("a: the reply refreshed", 2.9, ("S1", 6001), "a"),
    Out("b", 0.0, ("A", 5011), ("S1", 6001)),
    In("b: reply too late", 2.6, ("S1", 6001), "b"),
    Out("b: sent again", 3.2, ("A", 5011), ("S1", 6001)),
    In("b: and replied", 3.4, ("S1", 6001), "b: sent again"),
    In("b: where the stray packet left room", 3.5, ("S1", 6001), "b"),
    # Seen both ways, but not for two seconds: still the short time-out.
    Out("c", 0.0, ("A", 5012), ("S1", 6001)),
    In("c: reply", 0.2, ("S1", 6001), "c"),
    In("c: late reply", 2.8, ("S1", 6001), "c"),
    # The packet within the two seconds counts short, the one after them long.
    Out("d", 0.0, ("A", 5013), ("S1", 6001)),
    In("d: reply", 0.2, ("S1", 6001), "d"),
    Out("d: within two seconds", 1.2, ("A", 5013), ("S1", 6001)),
    Out("d: after two seconds", 2.6, ("A", 5013), ("S1", 6001)),
    In("d: long after", 7.0, ("S1", 6001), "d"),
    In("d: inbound refreshed too", 11.4, ("S1", 6001), "d"),
    # A first reply that comes after two seconds is itself still counted short.
    Out("e", 0.0, ("A", 5014), ("S1", 6001)),
    Out("e: outbound refreshes", 1.4, ("A", 5014), ("S1", 6001)),
    In("e: first reply", 2.8, ("S1", 6001), "e"),
    In("e: too late", 5.6, ("S1", 6001), "e"),
    Out("f", 0.0, ("A", 5015), ("S1", 6001)),
    Out("f: outbound refreshes", 1.4, ("A", 5015), ("S1", 6001)),
    In("f: first reply", 2.8, ("S1", 6001), "f"),
    In("f: second reply", 4.0, ("S1", 6001), "f"),
    In("f: long after the second", 8.2, ("S1", 6001), "f"),
    # One peer's session runs out, another's stays; and each is filtered by itself.
    Out("g", 0.0, ("A", 5016), ("S1", 6001)),
    Out("g: to another", 1.2, ("A", 5016), ("S2", 6001)),
    In("g: the first has run out", 2.6, ("S1", 6001), "g"),
    In("g: the other has not", 2.6, ("S2", 6001), "g"),
]

GUARDED: list[Probe] = [
    Out("first", 0.0, ("A", GUARDED_PORTS[1]), ("S1", 6001)),
    In("from a port never sent to", 0.1, ("S1", 6003), "first"),
    In("too late", 2.6, ("S1", 6001), "first"),
    Out("sent again", 3.2, ("A", GUARDED_PORTS[1]), ("S1", 6001)),
    In("and replied", 3.4, ("S1", 6001), "sent again"),
]

SYMMETRIC: list[Probe] = [
    Out("first", 0.0, ("A", 5020), ("S1", RANDOM_PORTS[1])),
    Out("another port there", 0.1, ("A", 5020), ("S1", RANDOM_PORTS[2])),
    Out("another host there", 0.2, ("A", 5020), ("S2", RANDOM_PORTS[1])),
    Out("again", 0.3, ("A", 5020), ("S1", RANDOM_PORTS[1])),
    In("reply", 0.4, ("S1", RANDOM_PORTS[1]), "first"),
    In("to the mapping of another peer", 0.5, ("S1", RANDOM_PORTS[1]), "another host there"),
]


@pytest.mark.parametrize("probes", [MAPPING, COLLISION, TIME], ids=["mapping", "collision", "time"])
def test_masquerade(rig: Rig, probes: list[Probe]) -> None:
    kernel, times = ask_kernel(rig, probes)
    assert ask_machine(machine(), probes, times) == kernel


def kept_alive(interval_s: float, port: int) -> list[Probe]:
    """An agent registers, answers the keep-alives that reach it, and is called just before the next one."""
    name = f"every {interval_s:g} s"
    probes: list[Probe] = [Out(name, 0.0, ("A", port), ("S1", 6001)), In(f"{name}: 200", 0.05, ("S1", 6001), name)]
    arriving = 2 if interval_s < UNREPLIED_S else 0
    for number in range(1, arriving + 1):
        at_s = number * interval_s
        probes.append(In(f"{name}: OPTIONS {number}", at_s, ("S1", 6001), name))
        probes.append(Out(f"{name}: answer {number}", at_s + 0.05, ("A", port), ("S1", 6001)))
    probes.append(In(f"{name}: INVITE", (arriving + 0.97) * interval_s, ("S1", 6001), name))
    return probes


def test_the_table_of_keep_alives_holds_for_the_kernel(rig: Rig) -> None:
    """Its row for ``linux_masquerade``, with the time-out of 30 s shortened to two, and all else with it."""
    shortened = PRESETS["linux_masquerade"].stages[0].unreplied_s / UNREPLIED_S
    intervals_s = (1.0, 1.8, 2.5, 4.0)
    probes = [probe for port, each in enumerate(intervals_s, start=5030) for probe in kept_alive(each, port)]
    kernel, times = ask_kernel(rig, probes)
    assert ask_machine(machine(), probes, times) == kernel
    table = nat_table(["linux_masquerade"], intervals_s=[each * shortened for each in intervals_s])
    reached = [float(kernel[f"every {each:g} s: INVITE"].startswith("A:")) for each in intervals_s]
    assert list(table.reached) == reached == [1.0, 1.0, 0.0, 0.0]


def test_masquerade_behind_a_firewall(rig: Rig) -> None:
    guarded = replace(LINUX, unsolicited="drop")
    kernel, times = ask_kernel(rig, GUARDED)
    assert ask_machine(machine(guarded), GUARDED, times) == kernel


def test_fully_random_masquerade_is_symmetric(rig: Rig) -> None:
    symmetric = replace(LINUX, mapping="address_and_port_dependent", preserve_port=False)
    kernel, times = ask_kernel(rig, SYMMETRIC)
    assert ask_machine(machine(symmetric), SYMMETRIC, times) == kernel
    assert len({kernel[name] for name in ("first", "another port there", "another host there")}) == 3


@pytest.mark.parametrize("first", ["inside", "outside"])
def test_a_connection_idle_for_too_long(rig: Rig, first: str) -> None:
    """Whoever speaks first decides: what comes from inside is adopted, what comes from outside is reset."""
    port = 5301 if first == "inside" else 5302
    idle_s = ESTABLISHED_S + 1.0
    assert _tcp_machine(port, first, idle_s) == _tcp_kernel(rig, port, first, idle_s)


def _tcp_machine(port: int, first: str, idle_s: float) -> list[str]:
    nat = machine()
    inside, peer = (INSIDE["A"], port), (OUTSIDE["S1"], 6101)
    opened = nat.outbound("tcp", inside, peer, 0.0, "syn")
    assert not isinstance(opened, Dropped)
    nat.inbound("tcp", peer, opened.source, 0.0, "syn_ack")
    nat.outbound("tcp", inside, peer, 0.0)
    told = [f"port {opened.source[1]}"]
    if first == "inside":
        verdict = nat.outbound("tcp", inside, peer, idle_s)
    else:
        verdict = nat.inbound("tcp", peer, opened.source, idle_s)
    if isinstance(verdict, Dropped):
        return [*told, "reset" if verdict.refused else "lost"]
    return [*told, "arrived"]


def _tcp_kernel(rig: Rig, port: int, first: str, idle_s: float) -> list[str]:
    with ExitStack() as stack:
        listener = stack.enter_context(rig.socket("S1", 6101, socket.SOCK_STREAM))
        listener.listen()
        client = stack.enter_context(rig.socket("A", port, socket.SOCK_STREAM))
        for each in (listener, client):
            each.settimeout(5.0)
        client.connect((OUTSIDE["S1"], 6101))
        server, seen = listener.accept()
        stack.enter_context(server)
        server.settimeout(5.0)
        time.sleep(idle_s)  # the kernel's own clock: nothing tells when a connection has been forgotten
        sender, receiver = (client, server) if first == "inside" else (server, client)
        receiver.settimeout(1.0)
        sender.send(b"x")
        try:
            outcome = "arrived" if receiver.recv(10) else "closed"
        except TimeoutError:
            try:
                outcome = "lost" if sender.recv(10) else "closed"
            except ConnectionResetError:
                outcome = "reset"
        return [f"port {seen[1]}", outcome]
