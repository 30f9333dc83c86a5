"""Who may stand at the doors of the API, and for how long; and health checks, which come without a token."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path

import pytest
from live_machines import in_loop, until
from test_live_api import fetch

from engine.live.api.door import DoorSettings
from tests.live.deployed import TOKEN, deployed


def test_health_fails_as_soon_as_the_edge_drains_or_has_no_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            host, port = place.server.addresses["health"]
            url = f"http://{host}:{port}"
            beacon = place.server.addresses["tcp"]
            _, writer = await asyncio.open_connection(*beacon)
            writer.close()
            status, _, said = await asyncio.to_thread(fetch, f"{url}/health")
            assert (status, said["why"], said["nodes_active"]) == (200, "", 1)
            assert (await asyncio.to_thread(fetch, f"{url}/v1/nodes"))[0] == 404  # health and nothing else
            await place.post("v1", "nodes", "FS1", "disable")
            status, _, said = await asyncio.to_thread(fetch, f"{url}/health")
            assert (status, said["why"]) == (503, "no node takes calls")
            assert (await asyncio.to_thread(place.client.health))["why"] == "no node takes calls"
            place.server.drain()
            status, _, said = await asyncio.to_thread(fetch, f"{url}/health")
            assert (status, said["why"]) == (503, "draining")
            with pytest.raises(OSError, match="refused"):
                await asyncio.open_connection(*beacon)

    in_loop(scenario)


@pytest.mark.parametrize(("name", "orders"), [("edge1", ("drain", "resume")), ("FS1", ("disable", "enable"))])
def test_a_health_check_over_tcp_follows_the_one_over_http(
    tmp_path: Path, name: str, orders: tuple[str, str], fast: bool
) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, door=DoorSettings(look_s=0.01)) as place:
            host, port = place.server.addresses["tcp"]

            async def accepted() -> bool:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except ConnectionError:
                    return False
                writer.close()
                return True

            for order, healthy in zip(orders, (False, True), strict=True):
                await place.post("v1", "nodes", name, order)
                assert place.server.service.health().healthy == healthy
                async with asyncio.timeout(5):
                    while await accepted() != healthy:
                        await asyncio.sleep(0.005)

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize("listener", ["api", "health"])
def test_who_holds_connections_keeps_no_operator_and_no_health_check_out(
    tmp_path: Path, listener: str, fast: bool
) -> None:
    """Of those that stand there idle the oldest of the address with most gives way; few stay."""

    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            host, port = place.server.addresses[listener]
            regular = http.client.HTTPConnection(host, port, source_address=("127.0.0.9", 0))
            await asyncio.to_thread(healthy, regular)
            kept = regular.sock
            held = [await asyncio.open_connection(host, port) for _ in range(200)]
            for _, writer in held:
                writer.write(b"GET /health HTTP/1.1\r\nHost:")  # and no end
            await asyncio.to_thread(healthy, http.client.HTTPConnection(host, port))
            await asyncio.to_thread(healthy, regular)
            assert regular.sock is kept
            endings = [asyncio.create_task(reader.read(1)) for reader, _ in held]
            await until(lambda: sum(ending.done() for ending in endings) >= 200 - 64)
            assert not any(ending.done() for ending in endings[-60:])
            for ending in endings:
                ending.cancel()
            for _, writer in held:
                writer.close()
            regular.close()

    in_loop(scenario, fast=fast)


def test_who_is_served_does_not_give_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, door=DoorSettings(connections=4)) as place:
            host, port = place.server.addresses["api"]
            trace = http.client.HTTPConnection(host, port)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            trace.request("GET", "/v1/captures?call_id=x", headers=headers)
            assert (await asyncio.to_thread(trace.getresponse)).status == 200
            held = [await asyncio.open_connection(host, port) for _ in range(20)]
            await asyncio.to_thread(healthy, http.client.HTTPConnection(host, port))
            assert not place.server.service.host.tap.idle  # it goes on
            for _, writer in held:
                writer.close()
            trace.close()

    in_loop(scenario)


@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: x\r\n"], ids=len)
def test_who_does_not_say_what_it_wants_is_shown_out(tmp_path: Path, sent: bytes) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, door=DoorSettings(idle_s=0.1)) as place:
            reader, writer = await asyncio.open_connection(*place.server.addresses["api"])
            writer.write(sent)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()

    in_loop(scenario)


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, door=DoorSettings(body_s=0.1, linger_s=0.1)) as place:
            reader, writer = await asyncio.open_connection(*place.server.addresses["api"])
            for token, status in ((TOKEN, b"408"), ("wrong", b"401")):
                writer.write(
                    f"POST /v1/nodes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                    "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
                )
                async with asyncio.timeout(5):
                    answer = await reader.read()
                assert answer.split()[1] == status
                writer.close()
                reader, writer = await asyncio.open_connection(*place.server.addresses["api"])
            writer.close()

    in_loop(scenario)


def healthy(connection: http.client.HTTPConnection) -> None:
    connection.timeout = 5
    connection.request("GET", "/health")
    response = connection.getresponse()
    assert response.status == 200
    assert response.read()
