"""A NAT made of the kernel itself: three network namespaces, and nftables in the middle one.

    inside 192.0.2.10, .11 ─── 192.0.2.1 [router: masquerade] 198.51.100.1 ─── outside 198.51.100.20, .21

A socket stays in the namespace in which it was made, so each is made by a thread that has entered it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

INSIDE = {"A": "192.0.2.10", "B": "192.0.2.11"}
OUTSIDE = {"S1": "198.51.100.20", "S2": "198.51.100.21"}
ROUTER = "198.51.100.1"
RANDOM_PORTS = range(7000, 8000)
"""What goes to these ports outside is masqueraded with ``random,fully-random``."""

GUARDED_PORTS = range(5100, 5200)
"""What comes to these ports of the router, and is for nobody inside, is dropped by a firewall."""

_RULES = f"""
table ip rig {{
  chain outward {{
    type nat hook postrouting priority srcnat;
    oifname "out" udp dport {RANDOM_PORTS.start}-{RANDOM_PORTS.stop - 1} masquerade random,fully-random
    oifname "out" masquerade
  }}
  chain guard {{
    type filter hook input priority filter;
    iifname "out" udp dport {GUARDED_PORTS.start}-{GUARDED_PORTS.stop - 1} drop
  }}
}}
"""
_CLONE_NEWNET = 0x40000000


class NotPermittedError(Exception):
    """This machine allows no network namespaces, or its kernel has no nftables."""


def why_not() -> str | None:
    """Why there can be no rig here; None where there can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    missing = [tool for tool in ("ip", "nft", "sysctl") if shutil.which(tool) is None]
    return f"needs {' and '.join(missing)} (Debian: iproute2, nftables, procps)" if missing else None


class Rig:
    """The three namespaces; a context manager that leaves nothing behind."""

    def __init__(self, sysctls: dict[str, int]) -> None:
        tag = uuid.uuid4().hex[:8]
        self._spaces = {role: f"siptwin-{role}-{tag}" for role in ("inside", "router", "outside")}
        self._sysctls = {"net.ipv4.ip_forward": 1} | {f"net.netfilter.{key}": it for key, it in sysctls.items()}
        self._stack = ExitStack()

    def __enter__(self) -> Rig:
        with ExitStack() as stack:
            for space in self._spaces.values():
                _run("ip", "netns", "add", space, refused=NotPermittedError)
                stack.callback(_run, "ip", "netns", "delete", space)
            self._set_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _set_up(self) -> None:
        for side, link, here, there in (
            ("inside", "in", INSIDE.values(), "192.0.2.1"),
            ("outside", "out", OUTSIDE.values(), ROUTER),
        ):
            far = self._spaces[side]
            # A name in the host's namespace may be taken, if only for a moment; inside the new ones none is.
            peer = ("peer", "name", "eth", "netns", far)
            self._ip("router", "link", "add", link, "type", "veth", *peer)
            for address in here:
                self._ip(side, "address", "add", f"{address}/24", "dev", "eth")
            self._ip("router", "address", "add", f"{there}/24", "dev", link)
            self._ip(side, "link", "set", "eth", "up")
            self._ip("router", "link", "set", link, "up")
        self._ip("inside", "route", "add", "default", "via", "192.0.2.1")
        route = ("ip", "netns", "exec", self._spaces["router"])
        _run(*route, "nft", "list", "ruleset", refused=NotPermittedError)
        _run(*route, "nft", "-f", "-", text=_RULES)
        for key, value in self._sysctls.items():
            _run(*route, "sysctl", "-q", "-w", f"{key}={value}")

    def _ip(self, role: str, *words: str) -> None:
        _run("ip", "-netns", self._spaces[role], *words)

    def socket(self, place: str, port: int, kind: socket.SocketKind) -> socket.socket:
        """A socket bound to an address of ``A``, ``B``, ``S1`` or ``S2``."""
        space = self._spaces["inside" if place in INSIDE else "outside"]
        address = (INSIDE | OUTSIDE)[place]

        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET, kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            return made

        return _within(space, make)


def _within(space: str, work: Callable[[], T]) -> T:
    """Do something in a thread that has entered a namespace and ends with it."""

    def enter() -> T:
        with Path("/run/netns", space).open() as handle:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns {space}")
        return work()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(enter).result()


def _run(*words: str, text: str = "", refused: type[Exception] = RuntimeError) -> None:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise refused(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
