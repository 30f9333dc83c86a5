"""Metrics in Prometheus' words, made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from engine.live.logs import event_name
from engine.live.tally import SETUP_BOUNDS_S

if TYPE_CHECKING:
    from engine.live.api.service import Service

CONTENT_TYPE = CONTENT_TYPE_LATEST
_NODE_STATES = ("active", "suspect", "down", "returning", "draining", "disabled")


def exposition(service: Service) -> bytes:
    """All metrics at this moment."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Edge(service))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Edge(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        yield from self._counted()
        yield from self._ports()
        yield from self._nodes()
        yield from self._media()
        yield from self._around()
        edge = self._service.edge
        for name, text, value in (
            ("calls", "Calls that stand through a node.", edge.open_dialogs()),
            ("registrations", "Contacts that are held.", edge.open_bindings()),
            ("transactions", "SIP transactions under way.", edge.open_transactions()),
            ("connections", "Connections of SIP.", edge.open_connections()),
            ("relayed_calls", "Calls, and branches of calls, whose media are relayed.", edge.relayed_calls()),
            ("rescued_dialogs", "Dialogs that go on though their node is gone.", edge.rescued_dialogs()),
            ("healthy", "1 while new calls are taken.", int(self._service.health().healthy)),
            ("draining", "1 while the edge drains.", int(self._service.stopping or edge.draining)),
        ):
            yield GaugeMetricFamily(f"siptwin_{name}", text, value=value)
        yield GaugeMetricFamily("siptwin_start_time_seconds", "Start, since 1970.", value=self._service.started_at)
        version = self._service.version()
        info = GaugeMetricFamily(
            "siptwin_info", "What runs.", labels=["version", "edge", "configuration"], unit=""
        )
        info.add_metric([version.siptwin, version.edge, version.configuration[:12]], 1)
        yield info

    def _counted(self) -> Iterator[Metric]:
        counters = self._service.counters
        answered = CounterMetricFamily("siptwin_calls_answered", "Calls answered.", labels=["node"])
        for node, count in counters.answered.items():
            answered.add_metric([node], count)
        yield answered
        failed = CounterMetricFamily(
            "siptwin_calls_failed", "Calls that got another final response.", labels=["status"]
        )
        for status, count in counters.failed.items():
            failed.add_metric([str(status)], count)
        yield failed
        attempts = CounterMetricFamily(
            "siptwin_attempts_failed", "Attempts at a node that did not succeed.", labels=["node", "status"]
        )
        for (node, status), count in counters.attempts_failed.items():
            attempts.add_metric([node, str(status)], count)
        yield attempts
        notes = CounterMetricFamily("siptwin_events", "Facts told, as in the log.", labels=["event"])
        for kind, count in counters.notes.items():
            notes.add_metric([event_name(kind)], count)
        yield notes
        bounds = [*(str(bound) for bound in SETUP_BOUNDS_S), "+Inf"]
        yield HistogramMetricFamily(
            "siptwin_setup_seconds",
            "From the INVITE to its 2xx.",
            buckets=list(zip(bounds, accumulate(counters.setup_buckets), strict=True)),
            sum_value=counters.setup_sum_s,
        )

    def _ports(self) -> Iterator[Metric]:
        labels = ["interface", "transport"]
        received = CounterMetricFamily("siptwin_received", "Datagrams, or reads on connections.", labels=labels)
        sent = CounterMetricFamily("siptwin_sent", "Datagrams, or writes on connections.", labels=labels)
        lost = CounterMetricFamily("siptwin_lost", "Datagrams given up.", labels=[*labels, "where"])
        for port in self._service.host.stats():
            own = [port.interface, port.transport]
            received.add_metric(own, port.received)
            sent.add_metric(own, port.sent)
            lost.add_metric([*own, "kernel"], port.lost_kernel)
            lost.add_metric([*own, "queue"], port.lost_queue)
        yield from (received, sent, lost)

    def _media(self) -> Iterator[Metric]:
        """The data plane, where it is this process."""
        plane = self._service.host.plane
        if plane is None:
            return
        stats = plane.stats()
        yield GaugeMetricFamily("siptwin_media_ports", "UDP ports that media hold.", value=stats.ports)
        packets = CounterMetricFamily("siptwin_media_packets", "Packets of media.", labels=["fate"])
        for fate in ("forwarded", "dropped", "shed", "overflowed", "unsent", "unqueued"):
            packets.add_metric([fate], getattr(stats, fate))
        yield packets

    def _around(self) -> Iterator[Metric]:
        """The other edges, and the database."""
        peers = GaugeMetricFamily("siptwin_peer_up", "1 while the other edge answers.", labels=["peer"])
        for peer in self._service.edge.peers_snapshot(self._service.host.now):
            peers.add_metric([peer.name], int(peer.state != "down"))
        yield peers
        store = self._service.store
        if store is not None:
            up = GaugeMetricFamily("siptwin_store_up", "1 while the database answers.", labels=["database"])
            up.add_metric([store.name], int(not store.away))
            waiting = GaugeMetricFamily(
                "siptwin_store_waiting", "Records that it has not taken yet.", labels=["database"]
            )
            waiting.add_metric([store.name], store.waiting)
            yield from (up, waiting)

    def _nodes(self) -> Iterator[Metric]:
        state = GaugeMetricFamily("siptwin_node_state", "1 for the state that it is in.", labels=["node", "state"])
        used = GaugeMetricFamily("siptwin_node_in_use", "Channels in use.", labels=["node", "resource"])
        capacity = GaugeMetricFamily("siptwin_node_capacity", "Channels.", labels=["node", "resource"])
        sessions = GaugeMetricFamily("siptwin_node_sessions", "Sessions, as the node says.", labels=["node"])
        events = GaugeMetricFamily("siptwin_node_events", "1 while its event socket is up.", labels=["node"])
        for node in self._service.nodes():
            for each in _NODE_STATES:
                state.add_metric([node.name, each], int(node.state == each))
            for resource, count in node.in_use.items():
                used.add_metric([node.name, resource], count)
            for resource, count in node.capacity.items():
                capacity.add_metric([node.name, resource], count)
            if node.sessions is not None:
                sessions.add_metric([node.name], node.sessions)
            if node.events is not None:
                events.add_metric([node.name], int(node.events))
        yield from (state, used, capacity, sessions, events)
