"""What ``siptwin check`` says of certificates before a client refuses them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.certificates import make_certificate
from lab.findings import Finding
from lab.findings.certificates import certificates
from topologies import load

EDGE = """
edges:
  edge1:
    domains: [sip.example.test]
    interfaces:
      plain: {host: 127.0.0.1}
      secure:
        host: 192.0.2.7
        transport: wss
        tls: {certificate: tls/siptwin.pem, private_key: tls/siptwin.key}
"""


def findings(folder: Path, in_days: float = 0.0) -> list[Finding]:
    """What is said so many days from now; paths count from the file."""
    (folder / "edge.yaml").write_text(EDGE)
    now = datetime.now(UTC) + timedelta(days=in_days)
    return list(certificates(load(folder / "edge.yaml").edge_config("edge1"), now))


@pytest.mark.parametrize("host", ["sip.example.test", "*.example.test", "192.0.2.7"])
def test_a_good_one_is_not_mentioned(host: str, tmp_path: Path) -> None:
    make_certificate(tmp_path / "tls", [host])
    assert findings(tmp_path) == []


@pytest.mark.parametrize("host", ["example.test", "*.sip.example.test", "192.0.2.8"])
def test_one_for_another_name_is_a_risk(host: str, tmp_path: Path) -> None:
    make_certificate(tmp_path / "tls", [host])
    (finding,) = findings(tmp_path)
    assert finding.severity == "risk"
    assert "is for other names than 192.0.2.7, sip.example.test" in finding.what


def test_one_that_expires_soon_is_a_risk_and_then_breaks(tmp_path: Path) -> None:
    make_certificate(tmp_path / "tls", ["sip.example.test"], days=30)
    (soon,) = findings(tmp_path, in_days=20)
    assert soon.severity == "risk"
    assert "expires in 9 days" in soon.what
    (late,) = findings(tmp_path, in_days=40)
    assert late.severity == "breaks"
    assert "expired 10 days ago" in late.what


def test_a_missing_one_is_told_as_serve_would(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path)
    assert finding.severity == "risk"
    assert finding.what.startswith("`siptwin serve` cannot start: interface secure: cannot read ")
    assert "siptwin certificate" in finding.remedy
