"""JSON-RPC with OpenSIPS' names, shaped as OpenSIPS 3 answers, so that its tools and scripts work.

A node is a destination of the load balancer, with its place in the list as ``id``, and one of the dispatcher, in
a set for each of its groups.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from engine.boundary import NodeOrder
from engine.live.api import models

if TYPE_CHECKING:
    from engine.live.api.service import Service
    from engine.nodes import NodeSnapshot
    from engine.snapshots import RegistrationSnapshot

NOT_FOUND: Final = -32601
BAD_PARAMS: Final = -32602
_LIST_MAX = 10_000

Parameters = Mapping[str, Any]
Answer = Callable[["Service", Parameters], Awaitable[Any]]


class MiError(Exception):
    """An error in JSON-RPC's terms."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Method(NamedTuple):
    """One command: the names of its parameters in order, those that may be left out marked by a ``?``."""

    names: tuple[str, ...]
    answer: Answer


async def carry_out(service: Service, command: models.Command) -> models.Reply:
    """Answer one request; whatever is wrong with it is an error of JSON-RPC's own."""
    from engine.live.api.service import ApiError

    try:
        method = METHODS.get(command.method)
        if method is None:
            raise MiError(NOT_FOUND, "Method not found")
        result = await method.answer(service, _parameters(method, command.params))
    except MiError as error:
        return _refused(command, error.code, error)
    except ApiError as error:
        return _refused(command, error.status, error)
    return models.Reply(jsonrpc="2.0", id=command.id, result=result)


def _refused(command: models.Command, code: int, error: Exception) -> models.Reply:
    return models.Reply(jsonrpc="2.0", id=command.id, error={"code": code, "message": str(error)})


def _parameters(method: Method, given: dict[str, Any] | list[Any] | None) -> Parameters:
    names = [name.rstrip("?") for name in method.names]
    if isinstance(given, list):
        if len(given) > len(names):
            raise MiError(BAD_PARAMS, f"Too many parameters - {_usage(method)}")
        found = dict(zip(names, given, strict=False))
    else:
        found = dict(given or {})
    if unknown := [name for name in found if name not in names]:
        raise MiError(BAD_PARAMS, f"Unknown parameter {unknown[0]} - {_usage(method)}")
    missing = [name for name in method.names if not name.endswith("?") and name not in found]
    if missing:
        raise MiError(BAD_PARAMS, f"Missing parameter {missing[0]} - {_usage(method)}")
    return found


def _usage(method: Method) -> str:
    return f"takes {', '.join(method.names) or 'none'}"


# --- load balancer


async def _lb_list(service: Service, _given: Parameters) -> Any:
    groups = _groups(service)
    return {
        "Destinations": [
            {
                "uri": f"sip:{node.address}",
                "id": number,
                "group": groups.index(node.groups[0]) + 1 if node.groups else 0,
                "enabled": "yes" if _enabled(node) else "no",
                "auto-reenable": "on",
                "Resources": [
                    {"name": name, "max": node.capacity.get(name, -1), "load": node.in_use.get(name, 0)}
                    for name in dict.fromkeys([*node.capacity, *node.in_use])
                ],
                "attrs": node.name,
            }
            for number, node in enumerate(service.nodes(), start=1)
        ]
    }


async def _lb_status(service: Service, given: Parameters) -> Any:
    node = _destination(service, given["destination_id"])
    if "new_status" not in given:
        return {"enable": "yes" if _enabled(node) else "no"}
    wanted = _number(given["new_status"], "new_status")
    service.host.deliver(NodeOrder(node.name, "enable" if wanted else "disable"))
    return "OK"


async def _reload(service: Service, _given: Parameters) -> Any:
    await service.reload()
    return "OK"


# --- dispatcher


async def _ds_list(service: Service, _given: Parameters) -> Any:
    nodes = service.nodes()
    sets = [
        {
            "id": number,
            "Destinations": [
                {
                    "id": position,
                    "URI": f"sip:{node.address}",
                    "state": _ds_state(node),
                    "first_hit_counter": node.attempts,
                    "weight": node.weight,
                    "priority": node.priority,
                    "attrs": node.name,
                }
                for position, node in enumerate(each for each in nodes if group in each.groups)
            ],
        }
        for number, group in enumerate(_groups(service), start=1)
    ]
    return {"PARTITIONS": [{"name": "default", "SETS": sets}]}


async def _ds_set_state(service: Service, given: Parameters) -> Any:
    """``a`` active, ``i`` inactive (no new calls and no probes), ``p`` probing (no new calls)."""
    orders: dict[str, models.Order] = {"a": "enable", "i": "disable", "p": "drain"}
    order = orders.get(str(given["state"]).lower()[:1])
    if order is None:
        raise MiError(BAD_PARAMS, "Bad state - use a, i or p")
    address = str(given["address"]).removeprefix("sip:").partition(";")[0]
    for node in service.nodes():
        if address in (node.address, node.name, node.address.removesuffix(":5060")):
            service.host.deliver(NodeOrder(node.name, order))
            return "OK"
    raise MiError(404, "Destination not found")


# --- calls and users


async def _dlg_list(service: Service, given: Parameters) -> Any:
    """All calls, so many from a place on, or one by its Call-ID."""
    first = _number(given.get("index", 0), "index")
    count = min(_number(given.get("counter", _LIST_MAX), "counter"), _LIST_MAX)
    now = time.time()
    wanted = given.get("callid")
    all_calls = service.edge.calls(service.host.now)
    calls = list(islice((each for each in all_calls if wanted in (None, each.call_id)), first, first + count))
    if wanted is not None and not calls:
        raise MiError(404, "No such dialog")
    found = []
    for call in calls:
        entry = service.book.standing.get(call.call_id)
        found.append(
            {
                "ID": call.call_id,
                "state": 4,  # confirmed, in OpenSIPS' count
                "timestart": round(now - call.age_s),
                "callid": call.call_id,
                "from_uri": entry.caller if entry else "",
                "to_uri": entry.callee if entry else "",
                "to_tag": call.callee_tag,
                "destination": call.node,
                "rescue": call.rescue,
            }
        )
    return {"count": service.edge.open_calls(), "Dialogs": found}


async def _dlg_end(service: Service, given: Parameters) -> Any:
    service.end_call(str(given["dialog_id"]))
    return "OK"


async def _ul_dump(service: Service, _given: Parameters) -> Any:
    users: dict[str, list[RegistrationSnapshot]] = {}
    for each in islice(service.edge.registrations(service.host.now), _LIST_MAX):
        users.setdefault(each.aor, []).append(each)
    return {"Domains": [{"name": "location", "AORs": [_aor(*user) for user in users.items()]}]}


async def _ul_show_contact(service: Service, given: Parameters) -> Any:
    aor = str(given["aor"])
    return _aor(aor, service.registration(aor))


def _aor(aor: str, contacts: Sequence[RegistrationSnapshot]) -> Any:
    return {
        "AOR": aor,
        "Contacts": [
            {
                "Contact": each.contact,
                "Expires": round(each.expires_s),
                "Received": f"sip:{each.place}" if each.place else "",
                "Socket": each.interface,
                "Node": each.node,
            }
            for each in contacts
        ],
    }


async def _ul_rm(service: Service, given: Parameters) -> Any:
    service.kick(str(given["aor"]))
    return "OK"


# --- the process


async def _uptime(service: Service, _given: Parameters) -> Any:
    now = time.time()
    return {
        "Now": time.ctime(now),
        "Up since": time.ctime(service.started_at),
        "Up time": f"{round(now - service.started_at)} [sec]",
    }


async def _ps(_service: Service, _given: Parameters) -> Any:
    return {"Processes": [{"ID": 0, "PID": os.getpid(), "Type": "edge"}]}


async def _version(service: Service, _given: Parameters) -> Any:
    return {"Server": f"siptwin ({service.version().siptwin})"}


async def _which(_service: Service, _given: Parameters) -> Any:
    return sorted(METHODS)


async def _statistics(service: Service, given: Parameters) -> Any:
    asked = given["statistics"]
    wanted = [str(each) for each in asked] if isinstance(asked, list) else [str(asked)]
    all_of_them = _all_statistics(service)
    if "all" in wanted:
        return all_of_them
    groups = tuple(each for each in wanted if each.endswith(":"))
    found = {
        name: value
        for name, value in all_of_them.items()
        if name.startswith(groups or "\0") or name in wanted or name.partition(":")[2] in wanted
    }
    if not found:
        raise MiError(404, "Statistics Not Found")
    return found


async def _list_statistics(service: Service, _given: Parameters) -> Any:
    """What ``get_statistics`` knows, and whether it only ever grows."""
    growing = ("packets", "timestamp", "processed_dialogs", "failed_dialogs")
    return {
        name: "incremental" if name.endswith(growing) else "non-incremental" for name in _all_statistics(service)
    }


def _all_statistics(service: Service) -> dict[str, int]:
    edge, counters, ports = service.edge, service.counters, service.host.stats()
    return {
        "core:rcv_packets": sum(port.received for port in ports),
        "core:sent_packets": sum(port.sent for port in ports),
        "core:timestamp": round(time.time() - service.started_at),
        "dialog:active_dialogs": edge.open_dialogs(),
        "dialog:processed_dialogs": sum(counters.answered.values()),
        "dialog:failed_dialogs": sum(counters.failed.values()),
        "tm:inuse_transactions": edge.open_transactions(),
        "usrloc:registered_users": edge.open_bindings(),
        "net:connections": edge.open_connections(),
    }


# --- inside


def _groups(service: Service) -> list[str]:
    return list(dict.fromkeys(group for node in service.nodes() for group in node.groups))


def _enabled(node: NodeSnapshot) -> bool:
    return node.state in ("active", "suspect") and not node.paused


def _ds_state(node: NodeSnapshot) -> str:
    if node.state == "disabled":
        return "Inactive"
    return "Active" if _enabled(node) else "Probing"


def _destination(service: Service, given: Any) -> NodeSnapshot:
    number = _number(given, "destination_id")
    nodes = service.nodes()
    if not 1 <= number <= len(nodes):
        raise MiError(404, "Destination ID not found")
    return nodes[number - 1]


def _number(given: Any, name: str) -> int:
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        raise MiError(BAD_PARAMS, f"{name} is to be a number") from None
    if not 0 <= number < 2**31:
        raise MiError(BAD_PARAMS, f"{name} is out of range")
    return number


METHODS: Final[Mapping[str, Method]] = {
    "dlg_end_dlg": Method(("dialog_id",), _dlg_end),
    "dlg_list": Method(("callid?", "index?", "counter?"), _dlg_list),
    "ds_list": Method(("full?", "partition?"), _ds_list),
    "ds_reload": Method(("partition?",), _reload),
    "ds_set_state": Method(("state", "group?", "address"), _ds_set_state),
    "get_statistics": Method(("statistics",), _statistics),
    "lb_list": Method((), _lb_list),
    "list_statistics": Method((), _list_statistics),
    "lb_reload": Method((), _reload),
    "lb_status": Method(("destination_id", "new_status?"), _lb_status),
    "ps": Method((), _ps),
    "ul_dump": Method(("brief?",), _ul_dump),
    "ul_rm": Method(("table_name?", "aor"), _ul_rm),
    "ul_show_contact": Method(("table_name?", "aor"), _ul_show_contact),
    "uptime": Method((), _uptime),
    "version": Method((), _version),
    "which": Method((), _which),
}
