"""Nodes from the tables of an OpenSIPS, put into a topology as if they stood in its file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from engine.live.store import Database
from engine.live.store.opensips import Destination, read_destinations
from engine.sip.errors import SipError
from engine.sip.uri import SipUri, parse_uri
from lab.deployment import read_secret
from lab.errors import InputError
from topologies import Topology
from topologies.base import Table
from topologies.checks import contradictions
from topologies.nodes import Node

_MODES: Final[Mapping[int, str]] = {0: "never", 1: "disabled_only", 2: "always"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
_RESOURCE = re.compile(r"\s*(?P<name>[^=;:/@\s]+)\s*=\s*(?P<value>[^;]*?)\s*")
# As OpenSIPS' freeswitch module reads it: fs://[user]:password@host[:port]
_EVENT_SOCKET = re.compile(
    r"fs://[^:@\s]*:(?P<password>[^:@\s]*)@(?:\[[0-9A-Fa-f:.]+\]|[^:@\[\]\s]+)(?::(?P<port>[0-9]+))?"
)


def with_opensips(topology: Topology) -> Topology:
    """The topology with the nodes that its OpenSIPS has; the same where it names none.

    Raises
    ------
    InputError
        If a row makes no sense, by its table and id.
    LiveError
        If the database cannot be read.
    """
    source = topology.opensips
    if source is None:
        return topology
    database = Database(source.url, read_secret("nodes: opensips", source.password_env, source.password_file))
    try:
        rows = read_destinations(database)
    finally:
        database.close()
    nodes = Table({**topology.nodes, **nodes_of(topology, rows)})
    read = topology.model_copy(update={"nodes": nodes, "opensips": None})
    if problems := [str(problem) for problem in contradictions(read)]:
        raise InputError(f"{database.name}: {'; '.join(problems)}")
    return read


def nodes_of(topology: Topology, rows: Iterable[Destination]) -> dict[str, Node]:
    """The nodes that rows stand for, by name; rows of one address are one node.

    Raises
    ------
    InputError
        If a row makes no sense, by its table and id.
    """
    merged: dict[tuple[str, int, str], dict[str, Any]] = {}
    names: dict[tuple[str, int, str], str] = {}
    for row in rows:
        address = _address(row)
        given = merged.setdefault(address, {"groups": ("fs",), "host": address[0], "port": address[1]})
        given["transport"] = address[2]
        _add(given, row, topology)
        if address not in names:
            names[address] = _name(row, address, {*topology.nodes, *names.values()})
    try:
        return {names[address]: Node.model_validate(given) for address, given in merged.items()}
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"OpenSIPS' {'.'.join(map(str, first['loc']))}: {first['msg']} - correct the row"
        ) from None


def _add(given: dict[str, Any], row: Destination, topology: Topology) -> None:
    """Take over what a row says."""
    if row.source == "dispatcher":
        given["groups"] = (*given["groups"], f"ds{row.number}")
        given["enabled"] = row.state != 1
        given["weight"] = int(row.weight) if row.weight.isdigit() else 1
        given["priority"] = row.priority
    else:
        given["groups"] = (*given["groups"], f"lb{row.number}")
        _take_resources(given, row)
    if row.probe_mode is not None:
        if row.probe_mode not in _MODES:
            raise InputError(f"{row.place}: probe_mode {row.probe_mode} is none - write 0, 1 or 2")
        given["probe_mode"] = _MODES[row.probe_mode]
    if row.socket:
        given["interface"] = _interface(row, topology)


def _take_resources(given: dict[str, Any], row: Destination) -> None:
    """Take over its resources. What is said to be wrong never shows a value: it may be a password."""
    resources = dict(given.get("resources", {}))
    for number, part in enumerate(filter(None, row.resources.split(";")), 1):
        match = _RESOURCE.fullmatch(part)
        if match is None:
            raise InputError(f"{row.place}: resource {number} is not name=number - write pstn=500;conf=100")
        name, value = match["name"], match["value"]
        socket = _EVENT_SOCKET.fullmatch(value)
        if socket is not None:
            resources[name] = "fs"
            port = {"port": int(socket["port"])} if socket["port"] else {}
            given["events"] = {"password": socket["password"], **port}
        elif value.isdecimal():
            resources[name] = int(value)
        else:
            raise InputError(
                f"{row.place}: resource {name} is none - write a number, or fs://:password@host[:port]"
            )
    given["resources"] = resources


def _address(row: Destination) -> tuple[str, int, str]:
    uri = _parsed(row)
    transport = (uri.params.get(b"transport") or b"udp").decode("ascii", "replace").lower()
    return uri.host_text, uri.port or 5060, transport


def _parsed(row: Destination) -> SipUri:
    text = row.uri if row.uri.startswith(("sip:", "sips:")) else f"sip:{row.uri}"
    try:
        return parse_uri(text.encode())
    except SipError as error:
        raise InputError(f"{row.place}: {row.uri!r} is no SIP URI ({error.why}) - write sip:host:port") from None


def _interface(row: Destination, topology: Topology) -> str:
    """The name of the interface that a row calls ``udp:host:port``."""
    transport, _, rest = row.socket.partition(":")
    host, _, port = rest.rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "")
    for edge in topology.edges.values():
        for name, each in edge.interfaces.items():
            here = host.strip("[]") in (each.host, each.advertised_host)
            if each.transport == transport and here and port in ("", str(each.port)):
                return name
    raise InputError(f"{row.place}: no edge has an interface {row.socket} - add one, or leave socket empty")


def _name(row: Destination, address: tuple[str, int, str], taken: set[str]) -> str:
    """What a node is called: its description where that is a name, else its address."""
    if _NAME.fullmatch(row.description) and row.description not in taken:
        return row.description
    host = re.sub(r"[^A-Za-z0-9_.\-]", "-", address[0]).lstrip("-")
    name = host if address[1] == 5060 else f"{host}-{address[1]}"
    return name if name not in taken else f"{name}-{address[2]}"
