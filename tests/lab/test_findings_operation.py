"""What `check` says of the ways by which operators reach an edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.findings.operation import operation
from topologies import parse

TOPOLOGY = """
edges:
  edge1:
    interfaces: {{all: {{host: 127.0.0.1}}}}
    api: {api}
nodes:
  FS1: {{host: 127.0.1.1, events: {events}}}
"""


def said(api: str = "null", events: str = "true") -> list[tuple[str, str]]:
    config = parse(TOPOLOGY.format(api=api, events=events).encode()).edge_config("edge1")
    return [(finding.severity, finding.what) for finding in operation(config)]


def test_what_needs_no_secret_is_no_finding() -> None:
    assert said() == []


def test_secrets_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    monkeypatch.setenv("EVENTS_PASSWORD", "x")
    api = f"{{token_file: {tmp_path}/token}}"
    assert said(api, "{password_env: EVENTS_PASSWORD}") == []
    monkeypatch.delenv("EVENTS_PASSWORD")
    (tmp_path / "token").unlink()
    api_said, node_said = said(api, "{password_env: EVENTS_PASSWORD}")
    assert api_said[1].startswith("`siptwin serve` cannot start: api: cannot read ")
    assert node_said == (
        "risk",
        "`siptwin serve` cannot start: node FS1: the environment variable EVENTS_PASSWORD is not set",
    )


def test_an_api_without_a_token_breaks_and_one_in_clear_is_a_risk() -> None:
    assert said("{host: 127.0.0.1}") == [("breaks", "api: has no token")]
    ((severity, what),) = said("{host: 0.0.0.0, token: 0123456789abcdef}")
    assert (severity, what) == ("risk", "api: listens on 0.0.0.0 without TLS: the token passes in clear")
