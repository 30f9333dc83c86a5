"""Nodes that stand in the tables of an OpenSIPS, for who comes from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from topologies.base import Section


class OpenSips(Section):
    """The ``dispatcher`` and ``load_balancer`` tables of an OpenSIPS, read at the start and at each reload.

    A destination that stands in both is one node. Set 1 of the dispatcher is group ``ds1``, group 1 of the load
    balancer ``lb1``; all nodes are in ``fs`` besides, so that stock policies need no word about it.
    """

    url: str = Field(description="mysql://opensips@host/opensips, postgresql://... or sqlite:///file.")
    password_env: str | None = Field(default=None, description="Environment variable that holds the password.")
    password_file: str | None = Field(default=None, description="File that holds the password.")


def _url_alone(given: Any) -> Any:
    return {"url": given} if isinstance(given, str) else given


OpenSipsSource = Annotated[OpenSips | None, BeforeValidator(_url_alone)]


def out_of_nodes(given: Any) -> Any:
    """``nodes: {opensips: URL}`` as the schema has it, a section of its own."""
    if not isinstance(given, Mapping):
        return given
    nodes = given.get("nodes")
    if not isinstance(nodes, Mapping) or "opensips" not in nodes:
        return given
    source = nodes["opensips"]
    if not isinstance(source, str) and not (isinstance(source, Mapping) and "url" in source):
        return given
    rest = {name: node for name, node in nodes.items() if name != "opensips"}
    return {**given, "nodes": rest, "opensips": source}
