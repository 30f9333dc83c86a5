"""Where a service's settings come from, as its host asks: what it may be told while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from engine.boundary import Interface, Reconfigure
from engine.config import ApiConfig, HealthConfig, HomerConfig
from engine.live.errors import LiveError

Change: TypeAlias = tuple[Reconfigure, Sequence[Interface]]
"""New settings, and all interfaces as they are to be."""


class Source(Protocol):
    """The topology and its edge. What ``reload`` and ``add_node`` raise changes nothing, and is told in words."""

    @property
    def edge(self) -> str:
        """The edge's name."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the settings in force."""
        ...

    @property
    def api(self) -> ApiConfig | None: ...

    @property
    def health(self) -> HealthConfig | None: ...

    @property
    def homer(self) -> HomerConfig | None: ...

    def reload(self) -> Change:
        """The settings as they are written now."""
        ...

    def add_node(self, node: Mapping[str, Any]) -> Change:
        """The settings in force, and this node."""
        ...


class Fixed:
    """Settings of no file: a machine made by hand."""

    edge = ""
    fingerprint = ""
    api: ApiConfig | None = None
    health: HealthConfig | None = None
    homer: HomerConfig | None = None

    def reload(self) -> Change:
        raise LiveError("these settings come from no file")

    def add_node(self, node: Mapping[str, Any]) -> Change:
        raise LiveError("these settings come from no file")
