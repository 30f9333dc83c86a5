"""Build hook. ``SIPTWIN_COMPILE=1 pip install --no-build-isolation .`` compiles the hot rooms with mypyc.

The sources stay plain Python and need no compiler; see "Speed" in README.md. Policies, and what their authors
subclass, are never compiled, so that they can be any Python.
"""

from __future__ import annotations

import os
from glob import glob

from setuptools import Extension, setup

HOT = [
    "engine/packets.py",
    "engine/timers.py",
    "engine/wheel.py",
    "engine/tally.py",
    "engine/traces.py",
    "engine/early.py",
    "engine/call.py",
    "engine/dialogs.py",
    *glob("engine/records/[a-z]*.py"),
    "engine/edge.py",
    "engine/notices.py",
    "engine/peers.py",
    "engine/here.py",
    "engine/nat.py",
    *glob("engine/sip/[a-z]*.py"),
    *glob("engine/sip/transactions/[a-z]*.py"),
    *glob("engine/streams/[a-z]*.py"),
    *glob("engine/keepalive/[a-z]*.py"),
    *glob("engine/nodes/[a-z]*.py"),
    *glob("engine/registrar/[a-z]*.py"),
    *glob("engine/proxy/[a-z]*.py"),
    *glob("engine/rescue/[a-z]*.py"),
    *glob("engine/ua/[a-z]*.py"),
    "engine/live/host.py",
    "engine/live/udp.py",
]

# Its work is cryptography's, which need not be there yet when this is built.
HOT.remove("engine/registrar/tokens.py")

# The relay's forwarding loop. Where it can't be built (no compiler, not Linux) its twin in Python serves.
FORWARDER = Extension(
    "engine.live.relay._native",
    sources=sorted(glob("engine/live/relay/native/*.c")),
    depends=sorted(glob("engine/live/relay/native/*.h")),
    extra_compile_args=["-std=c11", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra"],
    optional=True,
)

if os.environ.get("SIPTWIN_COMPILE") == "1":
    from mypyc.build import mypycify

    # What is compiled imports rooms that are not; their own imports need not be there to build it.
    compiled = mypycify(["--strict", "--follow-imports=silent", *sorted(HOT)], opt_level="2")
    for extension in compiled:
        # Calls within the engine need no detour by the linker's tables, and what is small stays in the caches: a
        # call takes a tenth less time than by -O3 alone.
        extension.extra_compile_args += ["-fvisibility=hidden", "-fno-semantic-interposition"]
    setup(ext_modules=[*compiled, FORWARDER])
else:
    setup(ext_modules=[FORWARDER])
