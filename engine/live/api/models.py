"""What goes over the API, as pydantic models: they check what comes, and make the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", max_length=64)]


def _whole(given: Any) -> Any:
    """JSON's true is no number, and text is none either."""
    if isinstance(given, (bool, str)):
        raise ValueError("not a number")
    return given


Whole: TypeAlias = Annotated[int, BeforeValidator(_whole)]
PortNumber: TypeAlias = Annotated[int, Field(ge=1, le=65535), BeforeValidator(_whole)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(_whole)]
Rank: TypeAlias = Annotated[int, Field(ge=-1_000_000, le=1_000_000), BeforeValidator(_whole)]
Order: TypeAlias = Literal["drain", "resume", "disable", "enable"]
ORDERS: tuple[str, ...] = get_args(Order)


class Model(BaseModel):
    """Anything that goes out: made from the snapshots of the engine by their fields."""

    model_config = ConfigDict(from_attributes=True)


class Given(BaseModel):
    """Anything that comes in: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Error(Model):
    """What was wrong, in one line with the remedy."""

    error: str


class Node(Model):
    """One FreeSWITCH node as the edge knows it. Times are in seconds, shares from 0 to 1."""

    name: str
    address: str
    groups: tuple[str, ...]
    state: str
    priority: int
    weight: int
    in_use: dict[str, int]
    capacity: dict[str, int]
    attempts: int
    failures: int
    latency_s: float | None
    closed_for_s: float
    events: bool | None = Field(description="Whether its event socket is connected; null: it has none.")
    sessions: int | None
    max_sessions: int | None
    idle_cpu: float | None
    paused: bool


class NewNode(Given):
    """A node that is to be added until the next reload; the topology's words, each of them explained there."""

    name: Name
    host: str = Field(min_length=1, max_length=253)
    port: PortNumber = 5060
    transport: Literal["udp", "tcp"] = "udp"
    interface: str | None = Field(default=None, max_length=64)
    groups: list[Name] = Field(default=["fs"], min_length=1, max_length=32)
    weight: Count = 1
    priority: Rank = 0
    resources: dict[Name, Count] = Field(
        default={}, max_length=32, json_schema_extra={"additionalProperties": False}
    )
    enabled: StrictBool = True


class Call(Model):
    """A call that stands through a node, or has outlived it. What nobody has told is null."""

    call_id: str
    node: str
    resource: str
    age_s: float
    caller: str | None
    callee: str | None
    uuid: str | None = Field(description="The node's own name of it, by its event socket.")
    partner: str | None = Field(description="Call-ID of the leg that the node bridges it to, or the edge does.")
    rescue: str | None = Field(
        description="Of a call whose node died: rescued, moved (to node), moving, or left with nobody."
    )


class Registration(Model):
    """A contact that a node has accepted."""

    aor: str
    contact: str
    interface: str
    place: str = Field(description="Where it is reached; empty while its connection is lost.")
    node: str
    expires_s: float
    nat: tuple[str, ...]


class Page(Given):
    """Which part of a long list; ``node`` or ``aor`` narrow it."""

    limit: int = Field(default=100, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class CallsPage(Page):
    """Which calls."""

    node: str = Field(default="", max_length=64, description="Only those through this node.")


class RegistrationsPage(Page):
    """Which registrations."""

    aor: str = Field(default="", max_length=256, description="Only those of this user, as user@host.")


class Calls(Model):
    """Part of the calls; ``total`` counts all that stand."""

    total: int
    calls: list[Call]


class Registrations(Model):
    """Part of the registrations; ``total`` counts all that are held."""

    total: int
    registrations: list[Registration]


class Port(Model):
    """Counters of one interface since its start."""

    interface: str
    transport: str
    received: int
    sent: int
    lost_kernel: int
    lost_queue: int
    connections: int


class Version(Model):
    """What runs, with which settings, and since when (seconds since 1970)."""

    siptwin: str
    edge: str
    configuration: str = Field(description="SHA-256 of the topology's content, and of the nodes added since.")
    configured_at: float
    started_at: float


class Health(Model):
    """Whether the edge takes new calls."""

    healthy: bool
    why: str
    nodes_active: int


class Done(Model):
    """An order was carried out; ``what`` says what of it shows later."""

    what: str


class CaptureQuery(Given):
    """Which messages: of one call, or of one user and the calls that it takes part in."""

    call_id: str = Field(default="", max_length=256)
    user: str = Field(default="", max_length=128, description="User part of an address, as 1000.")
    seconds: float = Field(default=60.0, gt=0, le=86_400)


class CaptureOrder(CaptureQuery):
    """What is to be sent to Homer."""


class Command(Given):
    """A JSON-RPC 2.0 request with one of OpenSIPS' MI names."""

    jsonrpc: Literal["2.0"]
    method: str = Field(max_length=128)
    params: dict[str, Any] | list[Any] | None = None
    id: str | Whole | None = None


class Reply(Model):
    """A JSON-RPC 2.0 response: ``result``, or ``error`` with code and message, never both."""

    jsonrpc: Literal["2.0"]
    id: str | int | None
    result: Any = None
    error: dict[str, Any] | None = None
