"""What operators ask of a running edge, and the orders that they give: over the control socket and over TCP."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from live_machines import in_loop, udp_peer, until
from prometheus_client.parser import text_string_to_metric_families

from engine.boundary import DialogRecord, Flow, Loaded
from engine.config import StoreConfig
from engine.live import LiveError
from engine.live.api import ApiClient
from engine.live.api.metrics import exposition
from engine.live.api.openapi import document
from engine.live.api.routes import OPERATIONS
from engine.live.relay.plane import PlaneStats
from engine.live.store import Database, Store
from engine.notes import ContactUnbound, DialogEnded
from tests.engine.wire import Wire, reply
from tests.live.deployed import TOKEN, deployed


def fetch(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, header fields and body of an answer, whatever the status."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=5)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        text = answer.read().decode()
    is_json = answer.headers["Content-Type"].startswith("application/json")
    return answer.status, dict(answer.headers), json.loads(text) if is_json else text


def test_nodes_are_shown_and_ordered_about(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            first, second = await place.get("v1", "nodes")
            assert (first["name"], first["state"], first["events"], first["max_sessions"]) == (
                "FS1",
                "active",
                True,
                1000,
            )
            assert (second["name"], second["state"], second["events"]) == ("FS2", "disabled", None)
            assert (await place.post("v1", "nodes", "FS1", "drain"))["state"] == "draining"
            assert (await place.get("v1", "nodes", "FS1"))["state"] == "draining"

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize(
    ("method", "parts", "why"),
    [
        ("get", ("v1", "nodes", "FS9"), "unknown node 'FS9' - there are FS1, FS2"),
        ("post", ("v1", "nodes", "FS1", "explode"), "order 'explode' is unknown - use one of drain, resume"),
        ("get", ("v1", "calls", "a/b@c"), "no call 'a/b@c' stands"),
        ("delete", ("v1", "registrations", "1000@lab"), "'1000@lab' is not registered here"),
        ("post", ("v1", "reload"), "these settings come from no file"),
        ("get", ("v2",), "Not Found"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, method: str, parts: tuple[str, ...], why: str
) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            with pytest.raises(LiveError) as refused:
                await getattr(place, method)(*parts)
            assert str(refused.value).startswith(why)

    in_loop(scenario)


def test_a_call_is_listed_shown_and_ended_by_its_node(tmp_path: Path, fast: bool) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            with udp_peer() as caller:
                await place.call(caller, "call/1@x")
                listed = await place.get("v1", "calls", node="FS1")
                assert listed["total"] == 1
                (call,) = listed["calls"]
                assert (call["call_id"], call["node"], call["callee"]) == ("call/1@x", "FS1", "sip:9196@127.0.0.1")
                assert call["caller"] == "sip:alice@127.0.0.1"
                await until(lambda: next(place.edge.calls(0.0)).uuid)
                shown = await place.get("v1", "calls", "call/1@x")
                assert shown["uuid"]
                assert (await place.get("v1", "calls", node="FS2"))["calls"] == []
                await place.delete("v1", "calls", "call/1@x")
                loop = asyncio.get_running_loop()
                while not (data := await loop.sock_recv(caller, 65_535)).startswith(b"BYE "):
                    pass
                assert b"call/1@x" in data

    in_loop(scenario, fast=fast)


@pytest.mark.parametrize("by", ["api", "mi"])
def test_a_call_whose_node_cannot_be_told_is_ended_by_the_edge(tmp_path: Path, by: str) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, events=False) as place:
            loop = asyncio.get_running_loop()
            with udp_peer() as caller:
                answer = await place.call(caller, "one")
                if by == "api":
                    assert (await place.delete("v1", "calls", "one"))["uuid"] is None
                else:
                    assert await place.mi("dlg_end_dlg", "one") == "OK"
                while not (data := await loop.sock_recv(caller, 65_535)).startswith(b"BYE "):
                    pass
                bye = Wire(data, Flow("", ("", 0)), 0.0)
                assert (bye["from"], bye["to"]) == (answer["to"], answer["from"])
                caller.sendto(reply(bye, 200), place.world.address)
            await until(lambda: not place.node.host.machine.sessions)
            assert place.edge.open_dialogs() == 0
            (ended,) = place.world.of(DialogEnded)
            assert (ended.call_id, ended.why) == ("one", "by order")
            with pytest.raises(LiveError, match="no call 'one' stands"):
                await place.delete("v1", "calls", "one")

    in_loop(scenario)


def test_a_call_of_an_earlier_life_whose_node_cannot_be_told_is_said_to_be_out_of_reach(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, events=False) as place:
            place.world.host.deliver(Loaded([DialogRecord("edge1", b"old", b"t", "FS1", "pstn", time.time())]))
            with pytest.raises(LiveError, match=r"before this start of the edge, .*, and FS1 has no event socket"):
                await place.delete("v1", "calls", "old")

    in_loop(scenario)


def test_a_user_is_shown_and_kicked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path, phone=True) as place:
            (listed,) = (await place.get("v1", "registrations"))["registrations"]
            assert (listed["aor"], listed["node"]) == ("1000@127.0.0.1", "FS1")
            (shown,) = await place.get("v1", "registrations", "1000@127.0.0.1")
            assert shown["place"] == listed["place"]
            (kicked,) = await place.delete("v1", "registrations", "1000@127.0.0.1")
            assert kicked["contact"] == listed["contact"]
            assert [note.why for note in place.world.of(ContactUnbound)] == ["by order"]
            assert (await place.get("v1", "registrations"))["total"] == 0

    in_loop(scenario)


def test_over_tcp_nothing_but_health_is_said_without_the_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            paths = [(each.method, each.path) for each in OPERATIONS] + [("GET", "/openapi.json")]
            for method, path in paths:
                path = path.format(name="FS1", order="drain", call_id="x", aor="x@y")
                for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                    status, said, body = await asyncio.to_thread(fetch, place.url + path, method, **headers)
                    expected = 200 if path == "/health" else 401
                    assert (method, path, status) == (method, path, expected)
                    if expected == 401:
                        assert "token" in body["error"]
                        assert said["WWW-Authenticate"].startswith("Bearer")
            nodes = await asyncio.to_thread(ApiClient(url=place.url, token=TOKEN).get, "v1", "nodes")
            assert [node["state"] for node in nodes] == ["active", "disabled"]
            assert TOKEN not in repr(place.world.notes)

    in_loop(scenario)


def test_a_token_in_the_query_opens_mi_alone(tmp_path: Path) -> None:
    """opensips-cli can be told no header."""

    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            body = b'{"jsonrpc": "2.0", "id": 1, "method": "uptime"}'
            kind = {"Content-Type": "application/json"}
            query = "?token=" + TOKEN.replace(" ", "%20")
            status, _, answer = await asyncio.to_thread(fetch, f"{place.url}/mi{query}", "POST", body, **kind)
            assert (status, list(answer["result"])) == (200, ["Now", "Up since", "Up time"])
            status, _, _ = await asyncio.to_thread(fetch, f"{place.url}/v1/nodes{query}")
            assert status == 401

    in_loop(scenario)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'"' + b"x" * 100_000 + b'"', "application/json", 413),
        (b'{"name": "FS1", "host": "x", "unknown": 1}', "application/json", 400),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_junk_is_refused_in_one_line_and_the_next_request_is_served(
    tmp_path: Path, body: bytes, kind: str, status: int
) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"}
            got, _, answer = await asyncio.to_thread(fetch, f"{place.url}/v1/nodes", "POST", body, **headers)
            assert (got, answer["error"].count("\n")) == (status, 0)
            assert len(await place.get("v1", "nodes")) == 2

    in_loop(scenario)


def test_metrics_are_read_by_prometheus_own_parser(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            with udp_peer() as caller:
                await place.call(caller, "one")
            headers = {"Authorization": f"Bearer {TOKEN}"}
            status, _, text = await asyncio.to_thread(fetch, f"{place.url}/metrics", **headers)
            samples = {
                (sample.name, tuple(sample.labels.values())): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            assert status == 200
            assert samples["siptwin_calls_answered_total", ("FS1",)] == 1
            assert samples["siptwin_setup_seconds_count", ()] == 1
            assert samples["siptwin_node_state", ("FS2", "disabled")] == 1
            assert samples["siptwin_node_capacity", ("FS1", "pstn")] == 1000
            assert samples["siptwin_calls", ()] == 1
            assert samples["siptwin_events_total", ("events.connected",)] == 1
            assert samples["siptwin_relayed_calls", ()] == 0
            assert samples["siptwin_draining", ()] == 0
            assert not [name for name, _ in samples if name.startswith(("siptwin_store", "siptwin_peer"))]

    in_loop(scenario)


def test_the_database_and_the_other_edges_have_metrics(tmp_path: Path) -> None:
    class Peered:
        def peers_snapshot(self, _now: float) -> list[Any]:
            return [SimpleNamespace(name="edge2", state="down"), SimpleNamespace(name="edge3", state="active")]

    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            service = place.server.service
            service.store = Store(Database(f"sqlite:///{tmp_path}/main.db"), StoreConfig(database="main"), "edge1")
            place.edge.peers_snapshot = Peered().peers_snapshot  # type: ignore[method-assign]
            text = exposition(service).decode()
            assert 'siptwin_store_up{database="main"} 1.0' in text
            assert 'siptwin_store_waiting{database="main"} 0.0' in text
            assert 'siptwin_peer_up{peer="edge2"} 0.0' in text
            assert 'siptwin_peer_up{peer="edge3"} 1.0' in text
            service.store.kill()

    in_loop(scenario)


def test_media_of_this_process_have_metrics(tmp_path: Path) -> None:
    class Busy:
        def stats(self) -> PlaneStats:
            return PlaneStats(8, 1_000, 990, 10, 0, 0, 0, 0, 0)

        def stop(self) -> None:
            """Nothing runs."""

    async def scenario() -> None:
        async with deployed(tmp_path) as place:
            place.server.service.host._plane = Busy()  # type: ignore[assignment]
            text = exposition(place.server.service).decode()
            assert "siptwin_media_ports 8.0" in text
            assert 'siptwin_media_packets_total{fate="forwarded"} 990.0' in text
            assert 'siptwin_media_packets_total{fate="dropped"} 10.0' in text

    in_loop(scenario)


def test_the_openapi_document_names_each_operation_once_and_all_it_refers_to() -> None:
    paths = document()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {(each.method, each.path) for each in OPERATIONS}
    names = [each["operationId"] for methods in paths.values() for each in methods.values()]
    assert len(set(names)) == len(names)
    text = json.dumps(document())
    schemas = document()["components"]["schemas"]
    referred = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= schemas.keys()


class TestMi:
    """OpenSIPS' names, shaped as OpenSIPS answers."""

    def test_the_load_balancer_is_listed_and_switched(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with deployed(tmp_path) as place:
                first, second = (await place.mi("lb_list"))["Destinations"]
                assert (first["id"], first["group"], first["enabled"]) == (1, 1, "yes")
                assert first["Resources"] == [{"name": "pstn", "max": 1000, "load": 0}]
                assert (second["id"], second["group"], second["enabled"]) == (2, 2, "no")
                assert await place.mi("lb_status", 1, 0) == "OK"
                assert await place.mi("lb_status", destination_id="1") == {"enable": "no"}
                assert await place.mi("lb_status", 9) == "Destination ID not found"
                assert await place.mi("lb_reload") == "these settings come from no file"

        in_loop(scenario)

    def test_the_dispatcher_is_listed_and_switched(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with deployed(tmp_path) as place:

                async def states() -> list[str]:
                    (partition,) = (await place.mi("ds_list"))["PARTITIONS"]
                    return [each["state"] for one in partition["SETS"] for each in one["Destinations"]]

                assert await states() == ["Active", "Inactive"]
                uri = f"sip:{place.node.address[0]}:{place.node.address[1]}"
                assert await place.mi("ds_set_state", "p", 1, uri) == "OK"
                assert await states() == ["Probing", "Inactive"]
                assert await place.mi("ds_set_state", state="x", address=uri) == "Bad state - use a, i or p"

        in_loop(scenario)

    def test_calls_and_users_are_dumped(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with deployed(tmp_path, phone=True) as place:
                with udp_peer() as caller:
                    await place.call(caller, "one")
                listed = await place.mi("dlg_list")
                assert (listed["count"], [each["callid"] for each in listed["Dialogs"]]) == (1, ["one"])
                assert (await place.mi("dlg_list", "one"))["Dialogs"][0]["callid"] == "one"
                assert (await place.mi("dlg_list", index=1, counter=5))["Dialogs"] == []
                assert await place.mi("dlg_list", callid="two") == "No such dialog"
                (user,) = (await place.mi("ul_dump"))["Domains"][0]["AORs"]
                assert (user["AOR"], user["Contacts"][0]["Node"]) == ("1000@127.0.0.1", "FS1")
                assert await place.mi("ul_show_contact", "location", "1000@127.0.0.1") == user
                assert "is not registered here" in await place.mi("ul_show_contact", "location", "1001@127.0.0.1")
                statistics = await place.mi("get_statistics", ["dialog:", "registered_users"])
                assert statistics == {
                    "dialog:active_dialogs": 1,
                    "dialog:processed_dialogs": 1,
                    "dialog:failed_dialogs": 0,
                    "usrloc:registered_users": 1,
                }
                await until(lambda: next(place.edge.calls(0.0)).uuid)
                assert await place.mi("dlg_end_dlg", "one") == "OK"

        in_loop(scenario)

    def test_wrong_commands_are_errors_of_json_rpc(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            async with deployed(tmp_path) as place:
                assert await place.mi("no_such_thing") == "Method not found"
                assert (
                    await place.mi("lb_status")
                    == "Missing parameter destination_id - takes destination_id, new_status?"
                )
                assert (await place.mi("uptime", 1)).startswith("Too many parameters")
                assert (await place.mi("uptime", x=1)).startswith("Unknown parameter x")
                listed = await place.mi("list_statistics")
                assert listed["core:rcv_packets"] == listed["dialog:processed_dialogs"] == "incremental"
                assert listed["dialog:active_dialogs"] == "non-incremental"
                assert await place.mi("get_statistics", ["nothing"]) == "Statistics Not Found"
                assert "lb_list" in await place.mi("which")

        in_loop(scenario)
