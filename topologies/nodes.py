"""FreeSWITCH nodes: where the real ones are, and how the modelled ones behave."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from engine.boundary import Transport
from engine.config import EventsConfig, NodeConfig
from topologies.base import Host, IpAddress, Mirror, Port, Seconds, Section, Table, default_of, pairs
from topologies.errors import RefusedError

RANGE = re.compile(r"\s*(\d{1,15})\s*-\s*(\d{1,15})\s*")
"""First and last user of a range, as in 1000-1019."""

_REMEDY = "write a range such as 1000-1019 (1000-1000 for one user), or a count"


def _compact_users(given: Any) -> Any:
    if isinstance(given, bool):
        raise RefusedError(f"{given!r} names no users", _REMEDY)
    if isinstance(given, int):
        return {"first": 1000, "last": 999 + given}
    if isinstance(given, str):
        match = RANGE.fullmatch(given)
        if match is None:
            raise RefusedError(f"{given!r} names no users", _REMEDY)
        return {"first": match[1], "last": match[2]}
    return given


class UserRange(Section):
    """Users with consecutive numbers for names. Short forms: ``1000-1019``, or a count (from 1000 on)."""

    first: int = Field(default=1000, ge=0, description="First user.")
    last: int = Field(default=1019, description="Last user, included.")

    @model_validator(mode="after")
    def _in_order(self) -> UserRange:
        if not 0 <= self.last - self.first < 1_000_000:
            raise RefusedError(
                f"{self.first}-{self.last} is no range of users", "write 1 to 1000000 users, lowest first"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(number) for number in range(self.first, self.last + 1))

    def __len__(self) -> int:
        return self.last - self.first + 1


class Accounts(UserRange):
    """Users that a node knows, with one password for all."""

    password: str = Field(default="1234", description="Their password (FreeSWITCH's default_password).")


Users = Annotated[UserRange, BeforeValidator(_compact_users)]


class FreeSwitchModel(Section):
    """How a modelled FreeSWITCH behaves, in simulation and rehearsal; without meaning for a real one."""

    version: Literal["1.10.12", "1.11.2"] = Field(
        default="1.10.12", description="A full 1.10.12 answers 503 to OPTIONS, a full 1.11.2 answers 200."
    )
    max_sessions: int = Field(
        default=1000, ge=1, description="Sessions (call legs) at once; above it INVITE gets 503."
    )
    startup_s: Seconds = Field(
        default=1.6, description="From the start of its process to its first 200 to OPTIONS."
    )
    reply_delay_s: Seconds = Field(default=0.002, description="Time that it takes over each first response.")
    ring_delay_s: Seconds = Field(default=0.0, description="From INVITE to 180, besides reply_delay_s.")
    answer_delay_s: Seconds = Field(
        default=0.0, description="From 180 to 200 for the extensions that it answers itself."
    )
    auth: bool = Field(default=False, description="Whether it challenges INVITEs; REGISTER is always challenged.")
    trusts_edges: bool = Field(
        default=False, description="Whether what comes from an edge is not challenged though auth is on."
    )
    media_webrtc: bool = Field(default=False, description="Whether it offers browser media to whomever it calls.")
    media_host: IpAddress | None = Field(
        default=None, description="Address in its session descriptions (ext-rtp-ip); default: its own."
    )
    database: str | None = Field(
        default="registrations",
        description="Nodes that name the same one share their registrations, which then survive any of them; "
        "null: its own, lost with its process unless a fault says keep_registrations.",
    )
    domain: Host | None = Field(
        default=None, description="Its SIP domain and digest realm; default: the host asked for."
    )
    users: Annotated[Accounts, BeforeValidator(_compact_users)] = Field(
        default=Accounts(), description="Its users: first:, last: and password:, or a range such as 1000-1019."
    )
    force_expires_s: int = Field(
        default=180, ge=1, description="Expiry that every registration is granted, in seconds."
    )
    ping_s: Seconds = Field(
        default=0.0,
        description="Seconds between two OPTIONS to each registered user (all-reg-options-ping); 0: none.",
    )


def _compact_resources(given: Any) -> Any:
    remedy = "write it as vm=100;conf=100;pstn=500, or pstn=fs"
    return pairs(given, remedy=remedy) if isinstance(given, str) else given


class _CountOrTold:
    """Reads a number, or the word ``fs``; not as a union, of which each part would complain."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            lambda given, count: given if given == "fs" else count(given),
            core_schema.int_schema(ge=0),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda channels: channels),
        )


Channels = Annotated[int | Literal["fs"], _CountOrTold()]

Events = Annotated[
    EventsConfig,
    Mirror(
        port=Field(ge=1, le=65535, description="Port of mod_event_socket at the node's host."),
        password_env=Field(description="Environment variable that holds its password."),
        password_file=Field(description="File that holds its password; the path counts from the topology's file."),
        password=Field(description="Its password in clear: for FreeSWITCH's own default, and for models."),
        poll_s=Field(gt=0, description="Seconds between two questions whether the node is paused."),
        timeout_s=Field(gt=0, description="An answer that takes longer is a lost event socket."),
        retry_min_s=Field(gt=0, description="Seconds until the first try to connect again; doubled each time."),
        retry_max_s=Field(gt=0, description="Longest time between two tries."),
    ),
]


def _yes_or_no(given: Any) -> Any:
    """``true`` means the defaults, ``false`` none."""
    return {True: {}, False: None}[given] if isinstance(given, bool) else given


class Node(Section):
    """One FreeSWITCH."""

    host: Host = Field(description="IP address, or a name that resolves when it is served.")
    port: Port = Field(default=default_of(NodeConfig, "port"), description="SIP port towards the edge.")
    transport: Transport = Field(default=default_of(NodeConfig, "transport"), description="udp or tcp.")
    interface: str | None = Field(
        default=default_of(NodeConfig, "interface"),
        description="Interface of the edge that faces it; default: the edge's first one of the same transport.",
    )
    groups: tuple[str, ...] = Field(
        default=default_of(NodeConfig, "groups"),
        min_length=1,
        description="Groups it belongs to; policies choose by group.",
    )
    weight: int = Field(
        default=default_of(NodeConfig, "weight"), ge=0, description="Its share of calls relative to others."
    )
    priority: int = Field(default=default_of(NodeConfig, "priority"), description="Higher is tried first.")
    resources: Annotated[Table[Channels], BeforeValidator(_compact_resources)] = Field(
        default=Table(),
        description="Channels by name, {vm: 100, pstn: 500} or vm=100;pstn=500; fs for a number: as many as the "
        "node says by its event socket (pstn=fs); none: not counted.",
    )
    enabled: bool = Field(
        default=default_of(NodeConfig, "enabled"), description="Whether it takes calls from the start."
    )
    probe_mode: Literal["always", "disabled_only", "never"] | None = Field(
        default=default_of(NodeConfig, "probe_mode"),
        description="always; disabled_only: while it is down; never; default: as its edge probes all.",
    )
    events: Annotated[Events | None, BeforeValidator(_yes_or_no)] = Field(
        default=None,
        description="Its event socket, which tells its load and calls: port:, password_env:, ...; true: as "
        "FreeSWITCH has it by default.",
    )
    model: FreeSwitchModel = Field(default=FreeSwitchModel(), description="How its model behaves.")

    @model_validator(mode="after")
    def _told(self) -> Node:
        told = [name for name, channels in self.resources.items() if channels == "fs"]
        if told and self.events is None:
            raise RefusedError(f"{told[0]}=fs asks the node, which has no event socket", "add events: to it")
        return self

    def to_engine(self, name: str, base: Path | None = None) -> NodeConfig:
        """The engine's own form of it; relative paths count from ``base``."""
        events = self.events
        if base is not None and events is not None and events.password_file:
            events = replace(events, password_file=str(base / events.password_file))
        return NodeConfig(
            name=name,
            host=self.host,
            port=self.port,
            transport=self.transport,
            interface=self.interface,
            groups=self.groups,
            weight=self.weight,
            priority=self.priority,
            resources=Table({kind: count for kind, count in self.resources.items() if count != "fs"}),
            told_resources=tuple(kind for kind, count in self.resources.items() if count == "fs"),
            enabled=self.enabled,
            probe_mode=self.probe_mode,
            events=events,
        )
