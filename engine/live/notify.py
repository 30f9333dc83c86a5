"""sd_notify(3): tells systemd the service's state over NOTIFY_SOCKET. Without systemd it does nothing."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from time import CLOCK_MONOTONIC, clock_gettime_ns


def notify(*states: str) -> None:
    """Send assignments such as ``READY=1`` and ``STATUS=...``; a failure is of no consequence."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto("\n".join(states).encode(), "\0" + path[1:] if path.startswith("@") else path)


def watchdog_s() -> float | None:
    """How long systemd waits for a sign of life (``WatchdogSec=``) before it starts the service anew."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or not int(usec) or pid not in ("", str(os.getpid())):
        return None
    return int(usec) / 1e6


def notify_reloading() -> None:
    """``Type=notify-reload`` asks for the time at which the reload began; READY=1 ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1000}")
