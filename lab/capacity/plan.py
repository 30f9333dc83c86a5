"""A deployment worked out from its busy hour: channels, nodes, agents, edges and kilobits, each with why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from lab.capacity.bandwidth import stream_kbit_per_s
from lab.capacity.erlang import (
    agents_for,
    channels_for,
    erlang_b,
    erlang_c,
    erlangs,
    mean_wait_s,
    service_level,
)
from lab.errors import InputError

Say: TypeAlias = "Callable[[str, float, str, str], None]"
"""Takes an answer: name, value, unit, why."""

EDGE_LOAD: Final = 0.7
"""The share of a core that is planned with; beyond it messages begin to queue."""
PEAK: Final = 1.5
"""Calls in the busiest minute over those of the busy hour's mean minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked of a deployment in its busy hour.

    Attributes
    ----------
    calls_per_hour : float
        Calls offered.
    hold_s : float
        Mean conversation.
    blocking : float
        The share of calls that may be refused for want of a channel.
    agents : int or None
        Who take the calls; None: as many as the waiting target takes.
    wrap_up_s : float
        What an agent needs after each call.
    level, within_s : float
        The waiting target: this share of calls is taken within so many seconds.
    node_channels : int
        Calls that one FreeSWITCH carries.
    spare : int
        Nodes, and edges, that may be away without anybody noticing (1 is called N+1).
    edge_ms_per_call : float
        CPU time of the edge for one call. The default is the slowest that `make bench` showed, in plain Python.
    codec, packet_ms
        Of the voice.
    """

    calls_per_hour: float
    hold_s: float
    blocking: float = 0.01
    agents: int | None = None
    wrap_up_s: float = 0.0
    level: float = 0.8
    within_s: float = 20.0
    node_channels: int = 500
    spare: int = 1
    edge_ms_per_call: float = 1.6
    codec: str = "PCMA"
    packet_ms: float = 20.0

    def __post_init__(self) -> None:
        for name in ("calls_per_hour", "hold_s", "node_channels", "edge_ms_per_call"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name):g} - give a number above 0")
        for name in ("wrap_up_s", "within_s", "spare"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name):g} - give a number from 0")


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of a plan: how much of what, and the sentence why."""

    name: str
    value: float
    unit: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The answers, by name in the order in which one follows from the other, and the wishes they answer."""

    wishes: Wishes
    answers: Mapping[str, Answer]

    def __getitem__(self, name: str) -> float:
        return self.answers[name].value

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "wishes": asdict(self.wishes),
            "answers": {name: asdict(answer) for name, answer in self.answers.items()},
        }


def plan(wishes: Wishes) -> Plan:
    """Work out a deployment.

    Raises
    ------
    InputError
        If the agents cannot keep up with the calls, or a wish makes no sense.

    Examples
    --------
    >>> made = plan(Wishes(calls_per_hour=2400, hold_s=180))
    >>> made["agents"], made["channels"], made["nodes"]
    (127, 146, 2)
    """
    found: dict[str, Answer] = {}

    def say(name: str, value: float, unit: str, why: str) -> None:
        found[name] = Answer(name, value, unit, why)

    wait_s = _agents(wishes, say)
    channels = _channels(wishes, wait_s, say)
    _nodes(wishes, channels, say)
    _edges(wishes, say)
    _bandwidth(wishes, channels, say)
    return Plan(wishes, MappingProxyType(found))


def _agents(wishes: Wishes, say: Say) -> float:
    """Say how many agents there are and how their callers fare; return the mean wait in seconds."""
    handling_s = wishes.hold_s + wishes.wrap_up_s
    busy = erlangs(wishes.calls_per_hour, handling_s)
    after = f" and {wishes.wrap_up_s:g} s after it" if wishes.wrap_up_s else ""
    say(
        "agent_load",
        busy,
        "Erlang",
        f"{wishes.calls_per_hour:,.0f} calls an hour keep an agent for {wishes.hold_s:g} s{after} each: "
        f"{busy:,.1f} agents talk at any moment.",
    )
    agents = wishes.agents
    needed = agents_for(busy, wishes.level, handling_s, wishes.within_s)
    if agents is None:
        agents = needed
        why = f"the fewest by whom {wishes.level:.0%} of calls are taken within {wishes.within_s:g} s (Erlang C)."
    elif agents <= busy:
        raise InputError(
            f"{busy:.1f} Erlang keep more than {agents} agents busy, so the queue grows all hour - "
            f"take {needed} agents, or shorten the calls"
        )
    else:
        why = f"as given; the target of {wishes.level:.0%} within {wishes.within_s:g} s takes {needed} (Erlang C)."
    say("agents", agents, "agents", why)
    level = service_level(busy, agents, handling_s, wishes.within_s)
    wait_s = mean_wait_s(busy, agents, handling_s)
    say(
        "service_level",
        level,
        "of calls",
        f"so many wait no longer than {wishes.within_s:g} s; {erlang_c(busy, agents):.1%} wait at all, "
        f"the mean over all is {wait_s:.1f} s.",
    )
    say("occupancy", busy / agents, "of the time", "an agent is busy; above 85 to 90 % people wear out.")
    return wait_s


def _channels(wishes: Wishes, wait_s: float, say: Say) -> int:
    offered = erlangs(wishes.calls_per_hour, wishes.hold_s + wait_s)
    say(
        "channel_load",
        offered,
        "Erlang",
        f"a channel is held while the caller waits, too: {wishes.hold_s:g} s and {wait_s:.1f} s.",
    )
    channels = channels_for(offered, wishes.blocking)
    blocked, fewer = erlang_b(offered, channels), erlang_b(offered, channels - 1)
    say(
        "channels",
        channels,
        "channels",
        f"{blocked:.2%} of calls find all taken; with one less {fewer:.2%} would, and {wishes.blocking:.2%} may "
        "(Erlang B).",
    )
    return channels


def _nodes(wishes: Wishes, channels: int, say: Say) -> None:
    carrying = ceil(channels / wishes.node_channels)
    nodes = carrying + wishes.spare
    say(
        "nodes",
        nodes,
        "nodes",
        f"{carrying} of {wishes.node_channels:,} channels suffice for the hour; {_spare(wishes.spare, 'node')}",
    )
    say(
        "channels_per_node",
        ceil(channels / carrying),
        "channels",
        "what each node needs at least (`resources: pstn=...`), for then the others carry the hour alone.",
    )


def _edges(wishes: Wishes, say: Say) -> None:
    peak_per_s = wishes.calls_per_hour / 3600 * PEAK
    cores = peak_per_s * wishes.edge_ms_per_call / 1000 / EDGE_LOAD
    say(
        "edge_cores",
        cores,
        "cores",
        f"{peak_per_s:.1f} calls/s in the busiest minute ({PEAK:g} times the mean) at "
        f"{wishes.edge_ms_per_call:g} ms each, a core at {EDGE_LOAD:.0%} at most; signalling alone, "
        "without a media relay.",
    )
    carrying = ceil(cores)
    say(
        "edges",
        carrying + wishes.spare,
        "edges",
        f"an edge is one process on one core: {carrying} would do; {_spare(wishes.spare, 'edge')}",
    )


def _bandwidth(wishes: Wishes, channels: int, say: Say) -> None:
    stream = stream_kbit_per_s(wishes.codec, wishes.packet_ms)
    cable = stream_kbit_per_s(wishes.codec, wishes.packet_ms, ethernet=True)
    say(
        "bandwidth_mbit_per_s",
        channels * stream / 1000,
        "Mbit/s",
        f"each way when all channels talk: {stream:g} kbit/s of IP for {wishes.codec} in packets of "
        f"{wishes.packet_ms:g} ms; on the cable {cable:g}.",
    )


def _spare(spare: int, what: str) -> str:
    if not spare:
        return f"no spare: the loss of one {what} costs calls."
    return f"{spare} more, so that {'one' if spare == 1 else spare} may be away (N+{spare})."
