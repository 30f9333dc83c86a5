"""A deployment whose nodes die under calls, and what is told of it."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from engine.boundary import Note
from sim.media import Heard
from sim.run import Run

RTPENGINES = """
      rtpengine:
        - {name: RTP1, host: 127.0.4.1, media: {inside: 127.0.5.1}}
        - {name: RTP2, host: 127.0.4.2, media: {inside: 127.0.5.2}}
      interfaces: {outside: {serves: [web, phones]}, inside: {serves: [inside]}}"""
_NODE = """\
  FS{0}:
    host: 127.0.1.{0}
    interface: inside
    events: {events}
    resources: pstn={pstn}
    model: {{users: {users}, trusts_edges: true}}
"""
_DEPLOYMENT = """\
edges:
  edge1:
    interfaces:
      web: {{transport: wss, host: 127.0.0.1, port: 7443}}
      phones: {{host: 127.0.0.1}}
      inside: {{host: 127.0.0.2}}
    relay: {relay}
    rescue: {{{rescue}}}
nodes:
{nodes}\
clients:
  phones: {{kind: softphone, host: 127.0.2.1, users: {phones}, interface: phones, network: wan}}
  browsers: {{kind: browser, host: 127.0.2.2, users: {browsers}, network: wan}}
networks:
  wan: {{latency_ms: 30, jitter_ms: 5, loss: {loss}}}
scenarios:
  death:
    duration_s: {duration_s}
    media: streams
    faults:
"""
N = TypeVar("N", bound=Note)


def written(
    *,
    phones: str,
    browsers: str,
    nodes: int,
    duration_s: int,
    relay: str = "builtin",
    rescue: str = "",
    events: bool = True,
    users: str = "1000-4999",
    pstn: int = 500,
    loss: float = 0.0,
) -> str:
    """Softphones and browsers behind one edge; faults are to be added line by line. ``users``: the nodes'."""
    node = {"events": str(events).lower(), "pstn": pstn, "users": users}
    return _DEPLOYMENT.format(
        relay=relay,
        rescue=rescue,
        nodes="".join(_NODE.format(number, **node) for number in range(1, nodes + 1)),
        phones=phones,
        browsers=browsers,
        loss=loss,
        duration_s=duration_s,
    )


class Story(NamedTuple):
    """A run in which the first node, or each that carries calls, dies at ``died_s``."""

    run: Run
    died_s: float

    def told(self, kind: type[N]) -> list[N]:
        return [record.note for record in self.run.notes if isinstance(record.note, kind)]

    def at(self, kind: type[N]) -> list[tuple[float, N]]:
        return [(record.time_s, record.note) for record in self.run.notes if isinstance(record.note, kind)]

    def agents(self) -> list[Heard]:
        """What the agents heard, of each other or of a node."""
        return [heard for heard in self.told(Heard) if not heard.listener.startswith("FS")]
