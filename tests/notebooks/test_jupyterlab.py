"""`siptwin lab` in a real browser: the first page leads to a notebook, which runs to its last cell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import unpack

import pytest

from notebooks.__main__ import from_text, names
from tests.live.peers.browser import CHROMIUM, PARTS

TITLE = "00 · The first call"
PATIENCE_S = 90  # of one step, on a busy machine
MISSING = (
    ("node is not installed" if not shutil.which("node") else "")
    or ("chromium (Debian: chromium) is not installed" if not CHROMIUM else "")
    or ("" if (PARTS / "node_modules/playwright-core").exists() else "playwright-core is not there: make peers")
)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """JupyterLab on a port of its own, with nobody's settings; yields the address that it prints."""
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "lab.cli", "lab", str(folder / "notebooks")]
    command += ["--no-browser", "--port", "0", "--allow-root"]
    root = Path(__file__).parents[2]
    log = folder / "jupyterlab.log"
    with (
        log.open("w") as file,
        subprocess.Popen(command, stderr=file, cwd=root, env={**os.environ, **own}) as process,
    ):
        try:
            with log.open() as told:
                yield _address(told, process)
        finally:
            process.terminate()
            process.wait(30)


def _address(told: Iterator[str], process: subprocess.Popen[bytes]) -> str:
    text = ""
    while process.poll() is None:
        text += "".join(told)
        if found := re.search(r"http://localhost:\d+/lab\S*token=\w+(?=\s)", text):
            return found[0]
        with_patience(process)
    raise AssertionError(text)


def with_patience(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment, but no longer than the process lives."""
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def test_the_first_page_leads_to_a_notebook_that_runs_to_its_last_cell(tmp_path: Path) -> None:
    with jupyterlab(tmp_path) as url:
        settings = {
            "modules": str(PARTS / "node_modules"),
            "chromium": CHROMIUM,
            "url": url,
            "link": TITLE,
            "title": TITLE,
            "folder": str(tmp_path),
            "patience_s": PATIENCE_S,
        }
        script = Path(__file__).with_name("jupyterlab.mjs")
        ended = subprocess.run(
            ["node", str(script), json.dumps(settings)], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 0, ended.stderr
    launcher, ran = map(json.loads, ended.stdout.splitlines())
    assert launcher["links"] == len(names()) - 1, "a link to each notebook but the page itself"
    code = [cell for cell in from_text("00_first_call").cells if cell["cell_type"] == "code"]
    assert ran["prompts"] == [f"[{number}]:" for number in range(1, len(code) + 1)]
    assert ran["errors"] == []
    assert ran["asked"] == [], "nothing about news of JupyterLab's, which a newcomer did not come for"
    assert ran["looked"], "the picture of the topology is on the page, whole"
    assert ran["pictures"] == 2, "the topology, and the ladder of a call"
    for name in ("launcher", "notebook"):
        assert _size((tmp_path / f"{name}.png").read_bytes()) == (1300, 1000)


def _size(png: bytes) -> tuple[int, int]:
    width, height = unpack(">II", png[16:24])
    return width, height
