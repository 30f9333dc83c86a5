"""A policy tried in simulation is deployed as the same file: every world loads it by one function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import engine.policies.loading as loading
from engine.policy import Policy
from lab.rehearsal.run import rehearse_topology
from lab.serving import Serving
from sim.run import simulate
from topologies import load

ROOT = Path(__file__).resolve().parents[2]
MINE = """
from engine.policies.least_loaded import LeastLoaded

class Mine(LeastLoaded):
    async def invite(self, call):
        call.set_header("X-Routed-By", "mine")
        await super().invite(call)
"""
TOPOLOGY = """
edges: {edge1: {interfaces: {agents: {host: 127.0.0.1}}, policy: mine.py}}
nodes: {FS1: {host: 127.0.1.1, resources: pstn=9}}
clients: {callers: {host: 127.0.2.1}}
scenarios:
  one: {duration_s: 1, traffic: [{from: callers, to: 9196, rate_per_s: 5, arrivals: fixed, hold_s: 0.1}]}
"""


@pytest.fixture
def topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "mine.yaml").write_text(TOPOLOGY)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.yaml"


def test_all_three_worlds_run_the_class_of_that_file(topology: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    original = loading.find_policy

    def noted(use: str) -> type[Policy]:
        policy_class = original(use)
        found.append(f"{policy_class.__name__} of {Path(policy_class.invite.__code__.co_filename).name}")
        return policy_class

    monkeypatch.setattr(loading, "find_policy", noted)
    heard: list[bytes] = []
    simulate(load(topology), on_message=lambda message: heard.append(message.data))
    assert any(b"X-Routed-By: mine" in data for data in heard)
    simulated = len(found)
    heard.clear()
    rehearse_topology(load(topology), free_ports=True, on_message=lambda message: heard.append(message.data))
    assert any(b"X-Routed-By: mine" in data for data in heard)
    rehearsed = len(found)
    assert type(Serving(str(topology)).read().policy).__name__ == "Mine"
    assert 0 < simulated < rehearsed < len(found)
    assert set(found) == {"Mine of mine.py"}


FILE_LOADERS = {
    "spec_from_file_location",
    "module_from_spec",
    "exec_module",
    "SourceFileLoader",
    "run_path",
    "exec",
}


def test_no_other_code_makes_policies() -> None:
    """Outside the loader nothing in the product runs a file, or takes a stock policy, by itself."""
    offenders = []
    for room in ("engine", "topologies", "sim", "lab"):
        for path in (ROOT / room).rglob("*.py"):
            if path.parent.name == "policies":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or "", *(alias.name for alias in node.names)]
                elif isinstance(node, ast.Attribute):
                    names = [node.attr]
                elif isinstance(node, ast.Name):
                    names = [node.id]
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    names = [node.value]  # as given to import_module()
                wrong = FILE_LOADERS.intersection(names)
                wrong |= {name for name in names if _is_stock(name)}
                if wrong:
                    offenders.append(f"{path.relative_to(ROOT)}: {sorted(wrong)}")
    assert not offenders


def _is_stock(name: str) -> bool:
    return name.startswith("engine.policies.") and " " not in name and not name.endswith("loading")
