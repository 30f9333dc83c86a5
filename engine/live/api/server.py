"""The HTTP server: on a Unix socket, whose mode is its protection, and on TCP, where a token is asked for."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from engine.config import ApiConfig, HealthConfig
from engine.live.api import models
from engine.live.api.beacon import Beacon
from engine.live.api.door import Door, DoorSettings
from engine.live.api.openapi import document
from engine.live.api.routes import OPERATIONS, Asked, Operation
from engine.live.api.service import ApiError, Service
from engine.live.control import bind_control
from engine.live.errors import LiveError, endpoint, reason_of

BODY_BYTES_MAX = 64 * 1024

_Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiServer:
    """All listeners of one edge's API and health."""

    def __init__(self, service: Service, settings: DoorSettings | None = None) -> None:
        self.service = service
        self._settings = settings or DoorSettings()
        self.addresses: dict[str, tuple[str, int]] = {}  # where TCP listeners really are: api, health
        self._runners: list[web.AppRunner] = []
        self._servers: list[asyncio.Server] = []
        self._beacon: Beacon | None = None
        self._control: Path | None = None

    async def start(
        self, control: Path | None = None, api: ApiConfig | None = None, health: HealthConfig | None = None
    ) -> None:
        """Listen where it is said.

        Raises
        ------
        LiveError
            An address or the socket cannot be opened; what is open then is closed by ``stop``.
        """
        loop = asyncio.get_running_loop()
        if control is not None:
            door = await self._door(partial(make_app, self.service, None))
            self._servers.append(await loop.create_unix_server(door, sock=bind_control(control)))
            self._control = control
        if api is not None:
            if not api.token:
                raise LiveError("the API has no token - give token_env or token_file")
            await self._listen("api", partial(make_app, self.service, api.token), api.host, api.port)
        if health is not None and health.http_port is not None:
            only = tuple(operation for operation in OPERATIONS if operation.open)
            make = partial(make_app, self.service, None, operations=only)
            await self._listen("health", make, health.host, health.http_port)
        if health is not None and health.tcp_port is not None:
            self._beacon = Beacon(health.host, health.tcp_port, self._is_healthy, self._settings.look_s)
            await self._beacon.start()
            self.addresses["tcp"] = self._beacon.address

    def _is_healthy(self) -> bool:
        return self.service.health().healthy

    def drain(self) -> None:
        """Say that no new calls are taken: health checks fail from now on, and TCP ones are refused."""
        self.service.stopping = True
        if self._beacon is not None:
            self._beacon.close()
            self._beacon = None

    async def stop(self) -> None:
        self.drain()
        for server in self._servers:
            server.close()
        if self._control is not None:
            with suppress(OSError):
                self._control.unlink()
            self._control = None
        for runner in self._runners:
            await runner.cleanup()
        self._servers.clear()
        self._runners.clear()

    async def _listen(self, name: str, make: Callable[[Door], web.Application], host: str, port: int) -> None:
        door = await self._door(make)
        loop = asyncio.get_running_loop()
        server = await _opened(loop.create_server(door, host, port), host, port)
        self._servers.append(server)
        self.addresses[name] = server.sockets[0].getsockname()[:2]

    async def _door(self, make: Callable[[Door], web.Application]) -> Door:
        door = Door(self._settings)
        self._runners.append(await door.open(make(door)))
        return door


async def _opened(opening: Awaitable[Any], host: str, port: int) -> Any:
    try:
        return await opening
    except OSError as error:
        where = endpoint(host, port)
        raise LiveError(f"cannot open the API at {where}: {reason_of(error)} - choose another address") from None


def make_app(
    service: Service, token: str | None, door: Door, operations: tuple[Operation, ...] = OPERATIONS
) -> web.Application:
    """The application; ``token`` None asks for none."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_errors])
    for operation in operations:
        guarded = None if operation.open else token
        app.router.add_route(operation.method, operation.path, _handler(service, operation, guarded, door))
    if operations is OPERATIONS:
        app.router.add_get("/openapi.json", _guard(_openapi, token, door))
    return app


async def _openapi(_request: web.Request) -> web.StreamResponse:
    return web.json_response(document())


def _handler(service: Service, operation: Operation, token: str | None, door: Door) -> _Handle:
    adapter = TypeAdapter(operation.answer) if operation.answer is not None else None

    async def handle(request: web.Request) -> web.StreamResponse:
        query = _query(operation, request)
        body = await _body(operation, request, door.settings.body_s)
        answer = await operation.handler(service, Asked(_parts(operation, request), query, body, request))
        if isinstance(answer, web.StreamResponse):
            return answer
        assert adapter is not None
        if isinstance(answer, (list, tuple)):
            answer = list(answer)
        data = adapter.dump_json(
            adapter.validate_python(answer, from_attributes=True), exclude_unset=operation.sparse
        )
        return web.Response(body=data, status=operation.status, content_type="application/json")

    return _guard(handle, token, door, in_query=operation.token_in_query)


def _guard(handle: _Handle, token: str | None, door: Door, *, in_query: bool = False) -> _Handle:
    async def busily(request: web.Request) -> web.StreamResponse:
        protocol = request.protocol
        door.busy.add(protocol)
        try:
            return await handle(request)
        finally:
            door.busy.discard(protocol)

    if token is None:
        return busily
    expected = token.encode()

    async def guarded(request: web.Request) -> web.StreamResponse:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = request.query.get("token", "") if in_query else ""
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected):
            answer = _error(401, "the token is missing or wrong - send Authorization: Bearer TOKEN")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="siptwin"'
            return answer
        return await busily(request)

    return guarded


def _parts(operation: Operation, request: web.Request) -> dict[str, str]:
    parts = dict(request.match_info)
    for name, schema in operation.parts.items():
        if "enum" in schema and parts[name] not in schema["enum"]:
            raise ApiError(400, f"{name} {parts[name]!r} is unknown - use one of {', '.join(schema['enum'])}")
        if len(parts[name]) > schema.get("maxLength", 256):
            raise ApiError(400, f"{name} is longer than {schema['maxLength']} characters")
    return parts


def _query(operation: Operation, request: web.Request) -> Any:
    if operation.query is None:
        return None
    given = dict(request.query)
    if len(given) != len(request.query):
        raise ApiError(400, "a parameter is given twice")
    return _checked(lambda: operation.query and operation.query.model_validate_strings(given))


async def _body(operation: Operation, request: web.Request, within_s: float) -> Any:
    if operation.body is None:
        return None
    if request.content_type != "application/json":
        raise ApiError(415, "the body is to be application/json")
    try:
        async with asyncio.timeout(within_s):
            data = await request.read()
    except TimeoutError:
        raise ApiError(408, f"the body did not come within {within_s:g} s") from None
    return _checked(lambda: operation.body and operation.body.model_validate_json(data))


def _checked(check: Callable[[], Any]) -> Any:
    try:
        return check()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ApiError(400, f"{where}: {first['msg']}" if where else first["msg"]) from None


@web.middleware
async def _errors(request: web.Request, handler: _Handle) -> web.StreamResponse:
    """Whatever is wrong with a request is one line of JSON."""
    try:
        return await handler(request)
    except ApiError as error:
        return _error(error.status, str(error))
    except LiveError as error:
        return _error(409, str(error))
    except web.HTTPException as error:
        answer = _error(error.status, error.reason)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer


def _error(status: int, text: str) -> web.Response:
    text = text.encode("utf-8", "replace").decode()
    return web.json_response(models.Error(error=text).model_dump(), status=status, dumps=json.dumps)
