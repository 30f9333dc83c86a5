"""The operations of the API, as one table: the server serves it, and the OpenAPI document is read off it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from aiohttp import web
from pydantic import BaseModel

from engine.live.api import captures, metrics, mi, models
from engine.live.api.service import Service


class Asked(NamedTuple):
    """One request, read and checked: the parts of its path, its query and its body."""

    path: Mapping[str, str]
    query: Any
    body: Any
    request: web.Request


Handler = Callable[[Service, Asked], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. ``answer`` is what a success brings: a model, a list of one, or None for text."""

    method: str
    path: str
    name: str
    summary: str
    tag: str
    handler: Handler
    answer: Any = None
    status: int = 200
    media: str = "application/json"
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)  # schemas of the path's parts
    errors: Mapping[int, str] = field(default_factory=dict)
    open: bool = False  # to those without the token
    token_in_query: bool = False
    sparse: bool = False  # what the answer does not set is left out of it


_NAME = {"type": "string", "minLength": 1, "maxLength": 64}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 256}
_ORDER = {"type": "string", "enum": list(models.ORDERS)}
_NO_NODE = "There is no such node."
_NO_CALL = "No such call stands."
_NO_USER = "The user is not registered here."
_NOT_OURS = "This machine has none."


# --- handlers: each takes what was asked from the service


async def _nodes(service: Service, _asked: Asked) -> Any:
    return service.nodes()


async def _node(service: Service, asked: Asked) -> Any:
    return service.node(asked.path["name"])


async def _order(service: Service, asked: Asked) -> Any:
    return service.order(asked.path["name"], cast(models.Order, asked.path["order"]))


async def _add_node(service: Service, asked: Asked) -> Any:
    return await service.add_node(asked.body)


async def _reload(service: Service, _asked: Asked) -> Any:
    await service.reload()
    return service.version()


async def _calls(service: Service, asked: Asked) -> Any:
    return service.calls(asked.query)


async def _call(service: Service, asked: Asked) -> Any:
    return service.call(asked.path["call_id"])


async def _end_call(service: Service, asked: Asked) -> Any:
    return service.end_call(asked.path["call_id"])


async def _registrations(service: Service, asked: Asked) -> Any:
    return service.registrations(asked.query)


async def _registration(service: Service, asked: Asked) -> Any:
    return service.registration(asked.path["aor"])


async def _kick(service: Service, asked: Asked) -> Any:
    return service.kick(asked.path["aor"])


async def _version(service: Service, _asked: Asked) -> Any:
    return service.version()


async def _interfaces(service: Service, _asked: Asked) -> Any:
    return service.host.stats()


async def _health(service: Service, _asked: Asked) -> Any:
    health = service.health()
    return web.json_response(health.model_dump(), status=200 if health.healthy else 503)


async def _metrics(service: Service, _asked: Asked) -> Any:
    return web.Response(body=metrics.exposition(service), headers={"Content-Type": metrics.CONTENT_TYPE})


async def _mi(service: Service, asked: Asked) -> Any:
    return await mi.carry_out(service, asked.body)


def _op(method: str, path: str, name: str, summary: str, handler: Handler, **more: Any) -> Operation:
    tag = path.split("/")[2] if path.startswith("/v1/") else "process"
    return Operation(method=method, path=path, name=name, summary=summary, tag=tag, handler=handler, **more)


OPERATIONS: tuple[Operation, ...] = (
    _op("GET", "/v1/nodes", "list_nodes", "All nodes.", _nodes, answer=list[models.Node], errors={409: _NOT_OURS}),
    _op(
        "POST",
        "/v1/nodes",
        "add_node",
        "Add a node, until the next reload of the topology.",
        _add_node,
        body=models.NewNode,
        answer=models.Node,
        status=201,
        errors={409: "There is one of that name, or it cannot be used."},
    ),
    _op(
        "GET",
        "/v1/nodes/{name}",
        "show_node",
        "One node.",
        _node,
        answer=models.Node,
        parts={"name": _NAME},
        errors={404: _NO_NODE, 409: _NOT_OURS},
    ),
    _op(
        "POST",
        "/v1/nodes/{name}/{order}",
        "order_node",
        "Take a node out of service, or back.",
        _order,
        answer=models.Node,
        parts={"name": _NAME, "order": _ORDER},
        errors={404: _NO_NODE, 409: _NOT_OURS},
    ),
    _op(
        "POST",
        "/v1/reload",
        "reload",
        "Read the topology anew; all of it is taken over, or nothing.",
        _reload,
        answer=models.Version,
        errors={409: "It cannot be used; the old settings stay in force."},
    ),
    _op(
        "GET",
        "/v1/calls",
        "list_calls",
        "Calls that stand through a node, the oldest first.",
        _calls,
        query=models.CallsPage,
        answer=models.Calls,
        errors={409: _NOT_OURS},
    ),
    _op(
        "GET",
        "/v1/calls/{call_id}",
        "show_call",
        "One call.",
        _call,
        answer=models.Call,
        parts={"call_id": _TEXT},
        errors={404: _NO_CALL, 409: _NOT_OURS},
    ),
    _op(
        "DELETE",
        "/v1/calls/{call_id}",
        "end_call",
        "End a call: its node hangs up where it has an event socket, else the edge says BYE to both sides.",
        _end_call,
        answer=models.Call,
        status=202,
        parts={"call_id": _TEXT},
        errors={
            404: _NO_CALL,
            409: "Too little is known of it, and its node cannot be told by an event socket.",
        },
    ),
    _op(
        "GET",
        "/v1/registrations",
        "list_registrations",
        "Contacts that nodes have accepted.",
        _registrations,
        query=models.RegistrationsPage,
        answer=models.Registrations,
        errors={409: _NOT_OURS},
    ),
    _op(
        "GET",
        "/v1/registrations/{aor}",
        "show_registration",
        "The contacts of one user.",
        _registration,
        answer=list[models.Registration],
        parts={"aor": _TEXT},
        errors={404: _NO_USER, 409: _NOT_OURS},
    ),
    _op(
        "DELETE",
        "/v1/registrations/{aor}",
        "kick_registration",
        "Forget a user's contacts and close connections of its own.",
        _kick,
        answer=list[models.Registration],
        parts={"aor": _TEXT},
        errors={404: _NO_USER, 409: _NOT_OURS},
    ),
    _op(
        "GET",
        "/v1/captures",
        "capture",
        "Stream the signalling of a call or user as pcap, as it passes.",
        captures.stream,
        query=models.CaptureQuery,
        media=captures.PCAP_TYPE,
        errors={409: "Too many are under way."},
    ),
    _op(
        "POST",
        "/v1/captures",
        "capture_to_homer",
        "Send the signalling of a call or user to the topology's Homer, as it passes.",
        captures.to_homer,
        body=models.CaptureOrder,
        answer=models.Done,
        status=202,
        errors={409: "Too many are under way, or there is no collector."},
    ),
    _op(
        "DELETE",
        "/v1/captures",
        "end_captures",
        "End what is sent to Homer by order.",
        captures.end,
        answer=models.Done,
    ),
    _op("GET", "/v1/version", "version", "What runs, and its settings.", _version, answer=models.Version),
    _op("GET", "/v1/interfaces", "interfaces", "Counters.", _interfaces, answer=list[models.Port]),
    _op(
        "GET",
        "/health",
        "health",
        "Whether new calls are taken.",
        _health,
        answer=models.Health,
        errors={503: "They are not."},
        open=True,
    ),
    _op("GET", "/metrics", "metrics", "Metrics for Prometheus.", _metrics, media="text/plain"),
    _op(
        "POST",
        "/mi",
        "mi",
        "JSON-RPC 2.0 with OpenSIPS' MI names, as opensips-cli speaks it.",
        _mi,
        body=models.Command,
        answer=models.Reply,
        sparse=True,
        token_in_query=True,
    ),
)
