"""A small office: softphones over UDP, browsers over WebSocket, and a day on which everything happens once."""

from __future__ import annotations

from topologies import Topology, parse

TEXT = """
name: office
edges:
  edge1:
    interfaces:
      phones: {host: 127.0.0.1}
      web: {transport: ws, host: 127.0.0.1, port: 8080}
      inside: {host: 127.0.0.2}
    policy: hash_user
nodes:
  FS1: &freeswitch
    host: 127.0.1.1
    interface: inside
    model: {users: 1000-1019, ring_delay_s: 0.1, answer_delay_s: 0.4, auth: true}
  FS2:
    <<: *freeswitch
    host: 127.0.1.2
clients:
  phones:
    kind: softphone
    host: 127.0.2.1
    users: 1000-1002
    ring_delay_s: 0.1
    answer_delay_s: 0.3
    register_spread_s: 0.2
  web:
    kind: browser
    transport: ws
    host: 127.0.2.2
    users: 1005-1006
    answer_delay_s: 0.3
    register_spread_s: 0.2
scenarios:
  day:
    duration_s: 5
    faults:
      - {at_s: 1.0, kind: call, target: phones/1000, to: 1005, hold_s: 0.5}
      - {at_s: 1.2, kind: call, target: web/1006, to: 1001, hold_s: 0.6}
      - {at_s: 1.4, kind: call, target: phones/1002, to: 9196, hold_s: 0.7}
      - {at_s: 1.6, kind: call, target: phones/1002, to: 5551234, hold_s: 1}
      - {at_s: 3.0, kind: originate, target: FS1, user: 1005}
      - {at_s: 4.0, kind: hangup, target: web/1005}
"""


def office() -> Topology:
    """Anew each time."""
    return parse(TEXT.encode(), "office")
