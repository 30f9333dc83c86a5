"""The machines of a client: a call generator for all its users, or a softphone or browser for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

from engine.boundary import Interface
from sim.agents.arrivals import Arrivals
from sim.agents.browser import Browser, BrowserConfig, Throttling
from sim.agents.durations import Duration
from sim.agents.phones import PhonesConfig
from sim.agents.softphone import Softphone
from sim.agents.traffic import Load, Traffic
from sim.host import Birth
from sim.nodes import node_host
from sim.part import MODELLED, AgentMedia, Maker, Part
from topologies import Topology
from topologies.clients import Client
from topologies.scenarios import Scenario, Spread
from topologies.scenarios import Traffic as Calls

CLIENT_INTERFACE = "sip"
_THROTTLING: dict[str, Throttling] = {"shown": "none", "hidden": "hidden", "throttled": "intensive"}
_REFRESH_SHARE = 0.9  # baresip's
_RETRY_S = 30.0
_FIRST_MEDIA_PORT, _LAST_MEDIA_PORT = 20_000, 60_000
MEDIA_PORTS = 40
"""Of one softphone or browser: ten calls with four each."""


def client_parts(
    topology: Topology,
    name: str,
    scenario: Scenario | None,
    duration_s: float,
    *,
    first_media_port: int = _FIRST_MEDIA_PORT,
    media: AgentMedia = MODELLED,
) -> list[Part]:
    """One part for a call generator, one for each user of any other kind."""
    client = topology.clients[name]
    users = client.users.names
    talks = topology.media_mode(scenario) != "none"
    if client.lone:
        calls = scenario.traffic if scenario else ()
        loads = [load_of(each, duration_s) for each in calls if each.source == name]
        config = replace(_phones(topology, name, name, users, client.port), talks=talks, media_calls=10_000)
        return [_part(name, config, partial(_traffic, config, loads))]
    ports = client.ports or [0] * len(users)
    found = []
    for index, (user, port) in enumerate(zip(users, ports, strict=True)):
        place = f"{name}/{user}"
        comes_s = index * client.register_spread_s / len(users)
        config = replace(
            _phones(topology, name, place, (user,), port, comes_s),
            talks=talks,
            certificate=media.certificate if client.kind == "browser" else None,
            codecs=media.codecs,
            media_port=first_media_port + index * MEDIA_PORTS % (_LAST_MEDIA_PORT - first_media_port),
        )
        make: Maker = partial(_softphone, config)
        if client.kind == "browser":
            make = partial(_browser, _browser_config(client, config))
        found.append(_part(name, config, make))
    return found


def _part(name: str, config: PhonesConfig, make: Maker) -> Part:
    return Part(place=config.name, name=name, role="client", interfaces=(config.interface,), make=make)


def _phones(
    topology: Topology, name: str, place: str, users: tuple[str, ...], port: int, comes_s: float = 0.0
) -> PhonesConfig:
    client = topology.clients[name]
    edge_name, entry = topology.entry(name)
    servers = [(node_host(topology, node), topology.nodes[node].port) for node in client.nodes]
    turn = client.users.names.index(users[0]) % len(servers) if servers else 0
    share, retry_s = client.refresh_share, client.retry_s
    keep_alive = client.keep_alive
    return PhonesConfig(
        name=place,
        interface=Interface(
            name=CLIENT_INTERFACE,
            transport=client.transport,
            host=client.host,
            port=port,
            listens=client.listens,
        ),
        server=servers[turn] if servers else topology.server(name),
        other_servers=(*servers[turn + 1 :], *servers[:turn]),
        media=client.media,
        webrtc=client.kind == "browser",
        asymmetric=client.asymmetric,
        media_port=_FIRST_MEDIA_PORT,
        domain=next(iter(topology.edges[edge_name].domains), entry.public_host),
        users=users,
        password=client.password,
        registers=client.does_register,
        expires_s=client.expires_s,
        refresh_share=_REFRESH_SHARE if share is None else share,
        retry_s=_RETRY_S if retry_s is None else retry_s,
        outbound=client.outbound,
        keep_alive_s=keep_alive.interval_s if keep_alive.method == "crlf" else 0.0,
        comes_s=comes_s,
        register_spread_s=client.register_spread_s,
        ring_delay_s=client.ring_delay_s,
        answer_delay_s=client.answer_delay_s,
    )


def _browser_config(client: Client, phones: PhonesConfig) -> BrowserConfig:
    config = BrowserConfig(
        phones=phones,
        reconnects=client.reconnect is not None,
        refresh_share=client.refresh_share,
        retry_s=client.retry_s,
        throttling=_THROTTLING[client.tab],
    )
    if client.reconnect is None:
        return config
    return replace(config, reconnect_min_s=client.reconnect.min_s, reconnect_max_s=client.reconnect.max_s)


def _traffic(config: PhonesConfig, loads: Sequence[Load], _birth: Birth, rng: Random) -> Traffic:
    return Traffic(config, loads, rng)


def _softphone(config: PhonesConfig, birth: Birth, rng: Random) -> Softphone:
    return Softphone(_come_back(config, birth), rng)


def _browser(config: BrowserConfig, birth: Birth, rng: Random) -> Browser:
    return Browser(replace(config, phones=_come_back(config.phones, birth)), rng)


def _come_back(config: PhonesConfig, birth: Birth) -> PhonesConfig:
    """Only the first start is spread; one that is started again comes at once."""
    return replace(config, comes_s=0.0) if birth.number else config


def load_of(calls: Calls, duration_s: float) -> Load:
    """The traffic of a scenario as a call generator takes it."""
    arrivals = Arrivals(law=calls.arrivals, rate_per_s=calls.rate_per_s or 0.0, profile=calls.profile)
    return Load(
        to=calls.numbers,
        arrivals=arrivals,
        hold=_duration(calls.hold_s),
        patience=_duration(calls.patience_s),
        calls=calls.calls,
        ends_s=duration_s,
    )


def _duration(spread: Spread) -> Duration:
    return Duration(
        distribution=spread.distribution,
        mean=spread.mean or 0.0,
        deviation=spread.deviation,
        low=spread.low or 0.0,
        high=spread.high or 0.0,
    )
