"""What is the native loop's alone: it forwards while the interpreter is busy, and is known by its version."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from relay_desk import LOOPS, PATIENCE_S, loopback_host

from engine.live.errors import LiveError
from engine.live.relay.forwarder import Hop, Route, open_forwarder
from engine.live.relay.settings import PlaneSettings

pytestmark = list(LOOPS[0].marks)
_LONG_S = 1_000.0
# Functions that, unlike Python's own, keep the interpreter's lock while they run.
_libc = ctypes.PyDLL(None)


@contextmanager
def unyielding() -> Iterator[None]:
    """No thread has to give the interpreter to another that asks for it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_LONG_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def sleeps(thread: int) -> bool:
    """Whether the kernel has put a thread to sleep. Read without a chance for it to get the interpreter."""
    room = ctypes.create_string_buffer(1_000)
    file = _libc.open(f"/proc/self/task/{thread}/stat".encode(), os.O_RDONLY)
    _libc.read(file, room, len(room))
    _libc.close(file)
    return room.value.rpartition(b")")[2].split()[0] == b"S"


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((loopback_host(), 0))
    sock.setblocking(False)
    return sock


def test_packets_are_forwarded_while_one_thread_waits_for_the_interpreter_and_another_keeps_it() -> None:
    """Who waits is within a call of the loop, and must not hold its table meanwhile."""
    forwarder = open_forwarder(PlaneSettings(native=True))
    near, far, speaker, listener = (bound() for _ in range(4))
    near_at, listener_at = near.getsockname(), listener.getsockname()
    speaker.connect(near_at)
    number, out = forwarder.add(near), forwarder.add(far)
    forwarder.route(number, Route((speaker.getsockname(),), Hop(out, listener_at), None, None, False))
    asking, over = threading.Event(), threading.Event()

    def asks() -> None:
        asking.set()
        while not over.is_set():
            forwarder.take_counters(number)

    thread = threading.Thread(target=asks, daemon=True)
    packet, room = bytes((0x80, 0)) + bytes(170), ctypes.create_string_buffer(2_000)
    try:
        with unyielding():
            thread.start()
            asking.wait()  # it is given the interpreter, and gives it back from within its first call
            ends_at = time.monotonic() + PATIENCE_S
            while not sleeps(thread.native_id or 0) and time.monotonic() < ends_at:
                pass
            _libc.send(speaker.fileno(), packet, len(packet), 0)
            came = 0
            while came <= 0 and time.monotonic() < ends_at:
                came = _libc.recv(listener.fileno(), room, len(room), socket.MSG_DONTWAIT)
            over.set()
        assert came == len(packet)
    finally:
        over.set()
        thread.join()
        forwarder.stop()
        for sock in (speaker, listener):
            sock.close()


@pytest.mark.parametrize("built", [None, 0, 10**6])
def test_one_that_was_built_from_other_sources_is_refused_in_one_line(
    built: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update without an installation."""
    from engine.live.relay import _native

    if built is None:
        monkeypatch.delattr(_native, "INTERFACE")
    else:
        monkeypatch.setattr(_native, "INTERFACE", built)
    with pytest.raises(LiveError, match=r"was built from other sources.* - install siptwin again") as refused:
        open_forwarder(PlaneSettings(native=None))
    assert "\n" not in str(refused.value)
