"""The usual actors: a FreeSWITCH, phones, call generators, and a bench that connects them."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from engine.boundary import Interface
from sim.agents.arrivals import Arrivals
from sim.agents.durations import Duration
from sim.agents.freeswitch import FreeSwitch, FreeSwitchConfig, Registrations
from sim.agents.phones import PhonesConfig
from sim.agents.softphone import Softphone
from sim.agents.traffic import Load, Traffic
from tests.sim.agents.wires import Bench, udp

NODE = udp("inside", "127.0.1.1")


def freeswitch(
    bench: Bench,
    *,
    interface: Interface = NODE,
    registrations: Registrations | None = None,
    **settings: Any,
) -> FreeSwitch:
    """A node that is ready at once and doesn't challenge INVITEs, unless told otherwise."""
    usual = FreeSwitchConfig(name="fs1", interfaces=(interface,), domain="lab.test", auth=False, startup_s=0.0)
    node = FreeSwitch(replace(usual, **settings), Random(1), registrations)
    bench.add(node, interface)
    return node


def phone_config(user: str, host: str, **settings: Any) -> PhonesConfig:
    usual = PhonesConfig(
        name=f"phone{user}",
        interface=udp("lan", host),
        server=(NODE.host, NODE.port),
        domain="lab.test",
        users=(user,),
    )
    return replace(usual, **settings)


def softphone(bench: Bench, user: str, host: str, **settings: Any) -> Softphone:
    """A phone of one user; it registers unless told otherwise."""
    config = phone_config(user, host, **settings)
    phone = Softphone(config, Random(int(user)))
    bench.add(phone, config.interface)
    return phone


def traffic(bench: Bench, load: Load, *, seed: int = 7, **settings: Any) -> Traffic:
    """A call generator of 20 users that don't register."""
    config = replace(
        phone_config("1000", "127.0.2.1"),
        name="callers",
        users=tuple(str(number) for number in range(1000, 1020)),
        registers=False,
        **settings,
    )
    machine = Traffic(config, [load], Random(seed))
    bench.add(machine, config.interface)
    return machine


def load(to: str = "9196", *, calls: int = 10, rate_per_s: float = 10.0, hold_s: float = 2.0, **more: Any) -> Load:
    """A few short calls."""
    return Load(
        to=(to,), arrivals=Arrivals(rate_per_s=rate_per_s), hold=Duration(mean=hold_s), calls=calls, **more
    )
