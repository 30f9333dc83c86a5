"""OpenSIPS' own command line against a running `siptwin serve`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
COMMAND = shutil.which("opensips-cli") or shutil.which(
    _CACHE / "siptwin" / "peers" / "opensips" / "bin" / "opensips-cli"
)

pytestmark = pytest.mark.skipif(COMMAND is None, reason="opensips-cli is not installed (make peers)")

TOKEN = "0123456789abcdef"
HOST = f"127.78.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # of this process alone
TOPOLOGY = f"""
edges:
  edge1:
    interfaces: {{all: {{host: {HOST}, port: 0}}}}
    api: {{host: {HOST}, port: 8888, token_env: SIPTWIN_TEST_TOKEN}}
    probe: {{mode: never}}    # nobody is there: what the tests order is all that changes a node
nodes:
  FS1: &fs {{host: 127.0.0.1, port: 1, groups: [fs], resources: vm=100;pstn=500}}
  FS2: {{<<: *fs, port: 2}}
"""


class Running:
    """A ``serve`` and the command line that is pointed at it."""

    def __init__(self, folder: Path) -> None:
        self.topology = folder / "two.yaml"
        self.topology.write_text(TOPOLOGY)
        self.settings = folder / "cli.cfg"
        url = f"http://{HOST}:8888/mi?token={TOKEN}"
        self.settings.write_text(f"[default]\ncommunication_type = http\nurl = {url}\n")

    def mi(self, *command: str) -> Any:
        """What the command line prints."""
        assert COMMAND is not None
        said = subprocess.run(
            [COMMAND, "-f", str(self.settings), "-x", "mi", *command], capture_output=True, text=True, timeout=20
        )
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("opensips")
    place = Running(folder)
    serve = subprocess.Popen(
        [sys.executable, "-m", "lab.cli", "serve", str(place.topology), "--control", str(folder / "c.sock")],
        env={**os.environ, "SIPTWIN_TEST_TOKEN": TOKEN},
        stderr=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((HOST, 8888), 1).close()
                break
            except OSError:
                assert serve.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.05)
        yield place
    finally:
        serve.kill()
        serve.wait()


def test_it_lists_the_load_balancer(running: Running) -> None:
    first, second = running.mi("lb_list")["Destinations"]
    assert (first["uri"], first["enabled"]) == ("sip:127.0.0.1:1", "yes")
    assert [each["max"] for each in second["Resources"]] == [100, 500]


def test_it_reloads_the_dispatcher(running: Running) -> None:
    """Only nodes that are in the file are there afterwards, and no one asked the edge in between."""
    running.topology.write_text(TOPOLOGY + "  FS3: {<<: *fs, port: 3}\n")
    assert running.mi("ds_reload") == "OK"
    (partition,) = running.mi("ds_list")["PARTITIONS"]
    assert [each["URI"] for each in partition["SETS"][0]["Destinations"]] == [
        "sip:127.0.0.1:1",
        "sip:127.0.0.1:2",
        "sip:127.0.0.1:3",
    ]


def test_it_takes_a_destination_out_and_back(running: Running) -> None:
    assert running.mi("lb_status", "1", "0") == "OK"
    assert running.mi("lb_status", "1") == {"enable": "no"}
    assert running.mi("lb_status", "1", "1") == "OK"


@pytest.mark.parametrize("command", ["uptime", "ps", "version", "which", "dlg_list", "ul_dump"])
def test_the_usual_questions_have_answers(running: Running, command: str) -> None:
    assert running.mi(command)


def test_statistics_are_asked_by_name(running: Running) -> None:
    assert running.mi("get_statistics", "dialog:", "registered_users")["usrloc:registered_users"] == 0
