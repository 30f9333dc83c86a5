"""Where the control socket is: the way to a running ``serve`` for those who may use it by its mode, 0600."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from engine.live.errors import LiveError, reason_of


def default_path(name: str = "control") -> Path:
    """Where ``serve`` listens: systemd's runtime directory, the user's, or /run/siptwin."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return (Path(runtime) if runtime else _directories()[0]) / f"{name}.sock"


def find_path(name: str = "control") -> Path:
    """Where a client finds ``serve``: root's shell has a directory of its own, the service has /run/siptwin."""
    paths = [directory / f"{name}.sock" for directory in _directories()]
    return next((path for path in paths if path.exists()), paths[0])


def _directories() -> list[Path]:
    user = os.environ.get("XDG_RUNTIME_DIR")
    system = Path("/run/siptwin")
    return [Path(user) / "siptwin", system] if user else [system]


def bind_control(path: Path) -> socket.socket:
    """A socket that listens at this path, its directory made where it is missing.

    Raises
    ------
    LiveError
        Another process listens there, or the path cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path)
        mask = os.umask(0o177)  # the socket must not be open to others even for an instant
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
    except OSError as error:
        sock.close()
        reason = reason_of(error)  # Python's own for a path above 107 bytes
        raise LiveError(f"cannot open the control socket {path}: {reason} - choose another path") from None
    sock.setblocking(False)
    return sock


def _remove_stale(path: Path) -> None:
    """A killed process leaves its socket behind; one that still answers belongs to a living one."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return  # bind then fails: not ours to remove
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
