"""Bounds and time-outs of the real host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """How much the host reads, keeps and waits. Everything that a stranger can make grow has its bound here."""

    # Datagrams read per wake-up: one busy interface must not starve the others, nor be starved by the connections
    # of thousands of agents, each of which is read once a turn as well: then the nodes' answers are lost.
    batch: int = 1_024
    socket_buffer_bytes: int = (
        4 * 1024 * 1024
    )  # kernel buffers; the stock 208 KiB lose packets with the core half idle
    send_queue: int = 1_024  # datagrams kept per interface while the kernel takes none

    connections: int = 10_000  # per interface: as many accepted ones, and as many of our own
    connect_timeout_s: float = 5.0
    handshake_s: float = 5.0  # TLS and WebSocket together; a peer far away takes one
    half_open: int = 4_096  # connections at their hand-shakes, per interface; at more the oldest gives way,
    half_open_s: float = 2.0  # once it has had so long; until then whoever comes waits in the kernel
    close_wait_s: float = 5.0  # a peer gets so long to take the rest and say its own farewell
    websocket_message_bytes: int = 65_535
    note_interval_s: float = 1.0  # refused connections are told together
    certificate_look_s: float = 10.0  # between two looks whether certificates have changed
    write_buffer_bytes: int = 1024 * 1024  # a peer that leaves more unread is cut off
    connect_queue_bytes: int = 256 * 1024  # kept for one peer until its connection stands

    name_ttl_s: float = 60.0  # getaddrinfo tells no TTL
    name_failure_ttl_s: float = 5.0
    names: int = 1_024
    lookups: int = 32  # at a time
    lookup_wait_s: float = 5.0  # what waits longer for its name is given up
    lookup_queue: int = 1_024  # sends that wait for a name
