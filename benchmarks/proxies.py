"""The two proxies, set up alike: two nodes in turn, Record-Route, probes each 5 s, failover."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from benchmarks.ground import NODES, PROXY, wait_until_it_answers
from benchmarks.processes import PROXY_CORE, BenchmarkError, Program, require

HERE = Path(__file__).parent
ALLOCATORS = ("tlsf", "fm", "qm")  # Kamailio's, the fastest here first; qm is its default


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a benchmark asks of either proxy."""

    policy: str = "round_robin"  # siptwin's; Kamailio always takes the nodes in turn
    receive_buffer_bytes: int = 4 * 1024 * 1024
    allocator: str = ALLOCATORS[0]
    track_dialogs: bool = False  # siptwin always does; Kamailio's dialog module costs it memory and time
    registrations: Literal["", "relayed", "answered"] = ""  # REGISTERs go to the nodes, or the proxy answers them
    store: str = ""  # URL of siptwin's database; "": none
    python: str = sys.executable  # the interpreter where siptwin is installed, plain or compiled


def start_kamailio(folder: Path, setting: Setting) -> Program:
    require("kamailio", "kamailio")
    nodes = folder / "dispatcher.list"
    nodes.write_text("".join(f"1 sip:{node} 0\n" for node in NODES))
    command = ["kamailio", "-f", str(HERE / "kamailio.cfg"), "-DD", "-E", "-l", f"udp:{PROXY}"]
    command += ["-m", "2048", "-M", "64", "-x", setting.allocator, "-X", setting.allocator]
    command += ["-b", str(setting.receive_buffer_bytes)]
    command += ["-P", str(folder / "kamailio.pid"), "-Y", str(folder), "-A", f'DISPATCHER_LIST="{nodes}"']
    if setting.track_dialogs:
        command += ["-A", "WITH_DIALOG"]
    if setting.registrations:
        command += ["-A", f"WITH_REGISTRATIONS_{setting.registrations.upper()}"]
    return Program(command, core=PROXY_CORE, log=folder / "kamailio.log")


def start_siptwin(folder: Path, setting: Setting) -> Program:
    interface = {"transport": "udp", "host": PROXY.host, "port": PROXY.port}
    topology: dict[str, Any] = {
        "description": "Two SIPp answerers behind one edge.",
        "edges": {
            "edge1": {
                "interfaces": {"both": interface},
                "policy": setting.policy,
                "probe": {"interval_s": 5, "leave_after": 2, "return_after": 1},
                # Throttled are refreshes that the node's grant outlives.
                "registrar": {
                    "throttle": setting.registrations == "answered",
                    "agent_max_expires_s": 600,
                    "node_min_expires_s": 3600,
                },
            }
        },
        "nodes": {
            f"FS{number}": {"host": node.host, "port": node.port, "resources": {"pstn": 100_000}}
            for number, node in enumerate(NODES, 1)
        },
    }
    if setting.store:
        topology["databases"] = {"main": {"url": setting.store}}
        topology["edges"]["edge1"]["store"] = "main"
    file = folder / "benchmark.yaml"
    file.write_text(yaml.safe_dump(topology, sort_keys=False))
    if setting.store:
        made = [setting.python, "-m", "lab.cli", "db", "create", str(file)]
        done = subprocess.run(made, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"siptwin db create failed - {done.stderr.strip()}")
    command = [setting.python, "-m", "lab.cli", "serve", str(file), "--log-level", "warning"]
    # Neither proxy logs each call. The folder keeps the control socket away from that of an edge in service.
    return Program(command, core=PROXY_CORE, log=folder / "siptwin.log", env={"XDG_RUNTIME_DIR": str(folder)})


PROXIES: dict[str, Callable[[Path, Setting], Program]] = {"kamailio": start_kamailio, "siptwin": start_siptwin}


def start_proxy(name: str, folder: Path, setting: Setting) -> Program:
    """Start a proxy and wait until it answers."""
    program = PROXIES[name](folder, setting)
    try:
        wait_until_it_answers(program, PROXY)
    except BenchmarkError:
        program.stop()
        raise
    return program


def describe_siptwin(python: str) -> str:
    """Whether the engine of this installation is compiled (see setup.py) or plain Python."""
    # -P: not the sources in the working directory, but what is installed
    question = [python, "-P", "-c", "import engine.edge; print(engine.edge.__file__)"]
    try:
        found = subprocess.run(question, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        raise BenchmarkError(f"siptwin is not installed for {python} - make demo installs it in .venv") from None
    return "plain Python" if found.stdout.strip().endswith(".py") else "compiled"
