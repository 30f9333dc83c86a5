"""Imports run one way, and the core touches no clock, socket, thread, logger or shared randomness.

The rules are read off the syntax tree, so that an import inside a function or under TYPE_CHECKING counts too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each room may import of the others. engine.live is a room of its own: it is the real host.
ARROWS = {
    "engine": set[str](),
    "engine.live": {"engine"},
    "topologies": {"engine"},
    "sim": {"engine", "topologies"},
    "lab": {"engine", "engine.live", "topologies", "sim"},
}

# Modules that read a clock, touch the outside world, or run something beside the caller.
ENGINE_MAY_IMPORT = sys.stdlib_module_names | {"mypy_extensions"}  # marks for the compiler, nothing at run time
ALONE_MAY_IMPORT = {"engine.registrar.tokens": "cryptography"}  # ciphers: octets in, octets out
BANNED_MODULES = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "signal", "subprocess", "threading"),
        *("http", "select", "selectors", "smtplib", "socket", "socketserver", "ssl"),
        *("fcntl", "getpass", "mmap", "os", "platform", "resource", "shutil", "tempfile"),
        *("logging", "secrets", "time", "uuid"),
    }
)
BANNED_NAMES = frozenset(
    {
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "datetime.date.today",
        "builtins.breakpoint",
        "builtins.input",
        "builtins.open",
        "builtins.print",
    }
)


def room_of(module: str) -> str | None:
    """The room in which a module stands; None for one that is not ours."""
    if module == "engine.live" or module.startswith("engine.live."):
        return "engine.live"
    top = module.partition(".")[0]
    return top if top in ARROWS else None


def is_core(module: str) -> bool:
    return room_of(module) == "engine" or module == "sim.agents" or module.startswith("sim.agents.")


class Reader(ast.NodeVisitor):
    """Walks one module and collects what it breaks, as (line, what)."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.module = module
        self.room = room_of(module)
        self.core = is_core(module)
        self.package = module if is_package else module.rpartition(".")[0]
        self.names: dict[str, str] = {}  # local name -> dotted path of what was imported under it
        self.found: list[tuple[int, str]] = []

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.check_import(alias.name, node.lineno)
            self.names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            source = ".".join([*above, source]).rstrip(".")
        for alias in node.names:
            path = f"{source}.{alias.name}"
            # `from engine import live` imports a room by the name of its member.
            self.check_import(path if room_of(path) != room_of(source) else source, node.lineno)
            self.names[alias.asname or alias.name] = path
            self.check_use(path, node.lineno)

    def visit_Name(self, node: ast.Name) -> None:
        self.check_use(self.names.get(node.id, f"builtins.{node.id}"), node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            path.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name) and base.id in self.names:
            self.check_use(".".join([self.names[base.id], *reversed(path)]), node.lineno)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name != "__hash__":
            self.generic_visit(node)

    def check_import(self, module: str, line: int) -> None:
        target = room_of(module)
        if target and self.room and target != self.room and target not in ARROWS[self.room]:
            self.found.append((line, f"{self.room} imports {module}"))
        top = module.partition(".")[0]
        if self.core and top in BANNED_MODULES:
            self.found.append((line, f"core imports {module}"))
        elif (
            self.room == "engine"
            and target is None
            and top not in ENGINE_MAY_IMPORT
            and top != ALONE_MAY_IMPORT.get(self.module)
        ):
            self.found.append((line, f"engine imports third-party {module}"))

    def check_use(self, path: str, line: int) -> None:
        if not self.core:
            return
        if path in BANNED_NAMES:
            self.found.append((line, f"core uses {path}"))
        elif path.startswith("random.") and not path.startswith("random.Random"):
            self.found.append((line, f"core uses shared randomness: {path}"))
        elif path == "builtins.hash":
            self.found.append((line, "core uses hash(), which differs from process to process"))


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    reader = Reader(module, is_package=is_package)
    reader.visit(ast.parse(source))
    return [f"{module}:{line}: {what}" for line, what in sorted(reader.found)]


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("engine", "topologies", "sim", "lab"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_every_module_keeps_to_the_arrows_and_the_core_stays_pure() -> None:
    found = [
        text
        for module, path in modules()
        for text in violations(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine.proxy.core", "import sim"),
        ("engine.proxy.core", "from topologies.load import load"),
        ("engine.proxy.core", "import engine.live.udp"),
        ("engine.proxy.core", "from engine import live"),
        ("engine.proxy.core", "from ..live import udp"),
        ("engine.proxy.core", "def f():\n    from engine.live import udp"),
        ("engine.live.udp", "from topologies import load"),
        ("topologies.load", "from sim.world import World"),
        ("sim.host", "from engine.live.udp import Socket"),
        ("sim.host", "import lab.cli"),
        ("engine.edge", "import aiohttp"),
        ("engine.edge", "import yaml"),
        ("engine.edge", "import cryptography"),
    ],
)
def test_an_import_against_the_arrows_is_caught(module: str, source: str) -> None:
    assert violations(module, source)


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "import asyncio as a",
        "from time import monotonic",
        "import threading",
        "import logging.handlers",
        "import os",
        "from os import environ",
        "import secrets",
        "from uuid import uuid4",
        "from concurrent.futures import Future",
        "import random\nx = random.random()",
        "import random as r\nf = r.choice",
        "from random import randint",
        "import random\nr = random.SystemRandom()",
        "import datetime\nt = datetime.datetime.now()",
        "import datetime as d\nt = d.date.today()",
        "from datetime import datetime\nt = datetime.utcnow()",
        "print('hello')",
        "with open('x') as f: pass",
        "bucket = hash('call-id') % 2",
    ],
)
@pytest.mark.parametrize("module", ["engine.nodes.pool", "sim.agents.softphone"])
def test_a_banned_call_in_the_core_is_caught(module: str, source: str) -> None:
    assert violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine.nodes.pool", "import random\n\ndef f(r: random.Random) -> float:\n    return r.random()"),
        ("engine.nodes.pool", "from random import Random"),
        ("engine.registrar.tokens", "from cryptography.exceptions import InvalidTag"),
        ("engine.nodes.pool", "from datetime import datetime, UTC\nt = datetime.fromtimestamp(0, UTC)"),
        ("engine.nodes.pool", "from engine.boundary import Send\nimport heapq"),
        ("engine.nodes.pool", "class A:\n    def __hash__(self) -> int:\n        return hash(1)"),
        ("engine.nodes.pool", "def f(open: int) -> None:\n    self.print()"),
        ("engine.live.udp", "import asyncio\nimport socket\nimport uvloop\nfrom engine.boundary import Send"),
        ("sim.run", "import time\nimport simpy\nfrom topologies import load"),
        ("lab.cli", "from engine.live import serve\nfrom sim.run import simulate"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations(module, source) == []
