"""The schema describes itself, and follows the engine's settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest

from topologies import edges
from topologies.base import Mirror
from topologies.topology import Topology


def test_every_field_is_described() -> None:
    schema = Topology.model_json_schema()
    sections = {"Topology": schema, **schema["$defs"]}
    bare = [
        f"{section}.{name}"
        for section, content in sections.items()
        for name, field in content.get("properties", {}).items()
        if not field.get("description")
    ]
    assert bare == []


@pytest.mark.parametrize("section", [edges.Policy, edges.Timers, edges.Probe, edges.Passive, edges.Limits])
def test_sections_that_mirror_the_engine_describe_exactly_its_fields(section: Any) -> None:
    settings, *metadata = get_args(section)
    (mirror,) = [item for item in metadata if isinstance(item, Mirror)]
    assert mirror.described.keys() == {field.name for field in fields(settings)}


def test_sections_that_mirror_the_engine_have_its_defaults() -> None:
    schema = Topology.model_json_schema()["$defs"]
    assert schema["TimersConfig"]["properties"]["t1_s"]["default"] == 0.5
    assert schema["Node"]["properties"]["port"]["default"] == 5060
