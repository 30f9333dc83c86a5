"""The control socket: orders and questions to a running ``serve``, one JSON object a line each way.

Requests are ``{"op": "nodes"}``, ``{"op": "order", "node": NAME, "order": ORDER}`` and ``{"op": "stats"}``;
answers ``{"ok": true, ...}`` or ``{"ok": false, "error": TEXT}``. The socket's mode, 0600, is all its protection.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, get_args, get_type_hints, runtime_checkable

from engine.boundary import NodeOrder
from engine.live.errors import LiveError, reason_of
from engine.live.host import LiveHost

REQUEST_BYTES_MAX = 64 * 1024
_REPLY_BYTES_MAX = 64 * 1024 * 1024
_CLIENTS_MAX = 16
_CLIENT_IDLE_S = 30.0
ORDERS: tuple[str, ...] = get_args(get_type_hints(NodeOrder)["order"])


@runtime_checkable
class HasNodes(Protocol):
    """A machine with a pool of nodes; each snapshot is a dataclass with a ``name``."""

    def nodes_snapshot(self, now: float) -> Sequence[Any]: ...


def default_path(name: str = "control") -> Path:
    """Where ``serve`` listens: systemd's runtime directory, the user's, or /run/siptwin."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return (Path(runtime) if runtime else _directories()[0]) / f"{name}.sock"


def find_path(name: str = "control") -> Path:
    """Where a client finds ``serve``: root's shell has a directory of its own, the service has /run/siptwin."""
    paths = [directory / f"{name}.sock" for directory in _directories()]
    return next((path for path in paths if path.exists()), paths[0])


def _directories() -> list[Path]:
    user = os.environ.get("XDG_RUNTIME_DIR")
    system = Path("/run/siptwin")
    return [Path(user) / "siptwin", system] if user else [system]


class ControlServer:
    """Answers on the control socket, at most so many clients at a time, each with one request at a time."""

    def __init__(self, host: LiveHost, path: Path) -> None:
        self._host = host
        self._path = path
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "nodes": self._nodes,
            "order": self._order,
            "stats": self._stats,
        }

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        LiveError
            Another process listens there, or the path cannot be used.
        """
        self._server = await asyncio.start_unix_server(
            self._on_client, sock=_bind(self._path), limit=REQUEST_BYTES_MAX
        )

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
            with suppress(OSError):
                self._path.unlink()
        for task in self._clients:
            task.cancel()

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > _CLIENTS_MAX:
                await _reply(writer, _failure(f"more than {_CLIENTS_MAX} clients - try again later"))
                return
            while True:
                try:
                    async with asyncio.timeout(_CLIENT_IDLE_S):
                        line = await reader.readline()
                except ValueError:  # longer than the limit
                    await _reply(writer, _failure(f"a request has at most {REQUEST_BYTES_MAX} bytes"))
                    return
                if not line.endswith(b"\n"):
                    return
                async with asyncio.timeout(_CLIENT_IDLE_S):
                    await _reply(writer, self.answer(line))
        except (OSError, asyncio.CancelledError):  # TimeoutError is an OSError; we cancel only in stop()
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one request; whatever the bytes are, there is one."""
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _failure("not JSON")
        operation = self._operations.get(str(request.get("op"))) if isinstance(request, dict) else None
        if operation is None:
            return _failure(f"unknown op - use one of {', '.join(self._operations)}")
        try:
            return {"ok": True, **operation(request)}
        except LiveError as error:
            return _failure(str(error))

    def _nodes(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"nodes": self._snapshots()}

    def _order(self, request: dict[str, Any]) -> dict[str, Any]:
        name, order = str(request.get("node")), request.get("order")
        if order not in ORDERS:
            raise LiveError(f"unknown order {order!r} - use one of {', '.join(ORDERS)}")
        known = [node.name for node in self._snapshots()]
        if name not in known:
            raise LiveError(f"unknown node {name!r} - there are {', '.join(known) or 'none'}")
        self._host.deliver(NodeOrder(name, order))
        return {"nodes": [node for node in self._snapshots() if node.name == name]}

    def _stats(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"interfaces": self._host.stats()}

    def _snapshots(self) -> Sequence[Any]:
        machine = self._host.machine
        if not isinstance(machine, HasNodes):
            raise LiveError("this machine has no nodes")
        return machine.nodes_snapshot(self._host.now)


class ControlClient:
    """Asks a running ``serve``; each call is one connection. All raise LiveError with what is wrong.

    Parameters
    ----------
    path
        The control socket; None takes the first default that exists.
    timeout_s
        For each step: to connect, to send, to hear.
    """

    def __init__(self, path: Path | None = None, *, timeout_s: float = 5.0) -> None:
        self._path = path or find_path()
        self._timeout_s = timeout_s

    def nodes(self) -> list[dict[str, Any]]:
        """A snapshot of each node."""
        nodes: list[dict[str, Any]] = self._ask({"op": "nodes"})["nodes"]
        return nodes

    def order(self, node: str, order: str) -> dict[str, Any]:
        """Drain, resume, disable or enable a node; return its snapshot afterwards."""
        snapshot: dict[str, Any] = self._ask({"op": "order", "node": node, "order": order})["nodes"][0]
        return snapshot

    def stats(self) -> list[dict[str, Any]]:
        """Counters of each interface."""
        interfaces: list[dict[str, Any]] = self._ask({"op": "stats"})["interfaces"]
        return interfaces

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.settimeout(self._timeout_s)
                sock.connect(str(self._path))
                sock.sendall(json.dumps(request).encode() + b"\n")
                line = sock.makefile("rb").readline(_REPLY_BYTES_MAX)
        except OSError as error:
            raise LiveError(
                f"cannot reach a running siptwin at {self._path}: {reason_of(error)} - start `siptwin serve`, "
                "or name its control socket"
            ) from None
        try:
            reply: dict[str, Any] = json.loads(line)
        except ValueError:
            raise LiveError(f"no answer from {self._path}: is it the control socket of siptwin?") from None
        if not reply.get("ok"):
            raise LiveError(str(reply.get("error", "refused without a reason")))
        return reply


async def _reply(writer: asyncio.StreamWriter, reply: dict[str, Any]) -> None:
    writer.write(json.dumps(reply, default=_plain).encode() + b"\n")
    await writer.drain()


def _plain(value: object) -> object:
    """What JSON makes of a snapshot: unlike ``dataclasses.asdict``, it copies no read-only mapping."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(value) if isinstance(value, Mapping) else str(value)


def _failure(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}


def _bind(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path)
        mask = os.umask(0o177)  # the socket must not be open to others even for an instant
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
    except OSError as error:
        sock.close()
        reason = reason_of(error)  # Python's own for a path above 107 bytes
        raise LiveError(f"cannot open the control socket {path}: {reason} - choose another path") from None
    sock.setblocking(False)
    return sock


def _remove_stale(path: Path) -> None:
    """A killed process leaves its socket behind; one that still answers belongs to a living one."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return  # bind then fails: not ours to remove
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
