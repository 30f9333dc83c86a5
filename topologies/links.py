"""Links: what the network does to packets, between which places. For the simulation only."""

from __future__ import annotations

from pydantic import Field

from topologies.base import Seconds, Section, Share, Table


class LinkQuality(Section):
    """What happens to each packet in one direction. The defaults are a switched local network."""

    latency_ms: Seconds = Field(default=0.2, description="One-way delay, in milliseconds.")
    jitter_ms: Seconds = Field(default=0.05, description="Spread of the delay, in milliseconds.")
    loss: Share = Field(default=0.0, description="Share of packets lost.")
    reorder: Share = Field(default=0.0, description="Share of packets that later ones overtake.")
    duplicate: Share = Field(default=0.0, description="Share of packets that arrive twice.")


LAN = LinkQuality()
WAN = LinkQuality(latency_ms=30, jitter_ms=4, loss=0.001, reorder=0.0005)
PRESETS: Table[LinkQuality] = Table({"lan": LAN, "wan": WAN})


class Link(Section):
    """What differs between some places, both ways. A later link wins over an earlier one, key by key."""

    between: tuple[str, str] = Field(
        description="Two places: an edge, node, client or node group, or edges, nodes, clients, '*'."
    )
    network: str | None = Field(
        default=None, description="Start from this network's figures (lan, wan, or one of networks:)."
    )
    latency_ms: Seconds | None = Field(default=None, description="One-way delay, in milliseconds.")
    jitter_ms: Seconds | None = Field(default=None, description="Spread of the delay, in milliseconds.")
    loss: Share | None = Field(default=None, description="Share of packets lost.")
    reorder: Share | None = Field(default=None, description="Share of packets that later ones overtake.")
    duplicate: Share | None = Field(default=None, description="Share of packets that arrive twice.")

    def over(self, quality: LinkQuality) -> LinkQuality:
        """``quality`` with what this link says put over it."""
        given = self.model_dump(exclude={"between", "network"}, exclude_none=True)
        return quality.model_copy(update=given)
