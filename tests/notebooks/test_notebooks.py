"""The notebooks: each runs from a clean kernel in little time, is small, and is what its text says."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from lab.cli import notebooks as command
from lab.cli.app import app
from notebooks.__main__ import HERE, execute, from_text, names

QUICK_S = 90  # of CPU time, which is what it takes on a machine of its own
MOST_BYTES = 400_000


def cpu_of_children_s() -> float:
    """What processes that this one started, and that have ended, took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_there_are_some() -> None:
    assert {"00_first_call", "05_sizing_channels", "index"} <= set(names())


@pytest.mark.parametrize("name", names())
class TestEach:
    def test_runs_from_a_clean_kernel(self, name: str) -> None:
        before_s = cpu_of_children_s()
        notebook = execute(from_text(name))  # its own assertions are the outside checks
        assert cpu_of_children_s() - before_s < QUICK_S, "a busy machine makes it wait, but not work, for longer"
        shown = {
            kind
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            for kind in output.get("data", ())
        }
        assert "image/png" in shown

    def test_is_what_its_text_says(self, name: str) -> None:
        kept = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
        assert [cell["source"] for cell in kept.cells] == [cell["source"] for cell in from_text(name).cells], (
            f"run `python -m notebooks {name}`"
        )

    def test_is_kept_small_and_whole(self, name: str) -> None:
        path = HERE / f"{name}.ipynb"
        assert path.stat().st_size < MOST_BYTES
        kept = nbformat.read(path, as_version=4)
        nbformat.validate(kept)
        outputs = [output for cell in kept.cells for output in cell.get("outputs", ())]
        assert outputs
        assert not [
            output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"
        ]

    def test_asks_answers_checks_and_advises(self, name: str) -> None:
        if name == "index":
            linked = (HERE / "index.py").read_text(encoding="utf-8")
            assert all(f"({other}.ipynb)" in linked for other in names() if other != "index")
            return
        text = (HERE / f"{name}.py").read_text(encoding="utf-8")
        for part in ("**Question.**", "agree with what is known?", "## In production", "quick = ", "assert "):
            assert part in text


class TestLab:
    def test_puts_what_is_missing_and_leaves_the_rest(self, tmp_path: Path) -> None:
        folder = tmp_path / "mine"
        put = command.put_notebooks(folder)
        assert {path.stem for path in put} == set(names())
        (folder / "index.ipynb").write_text("my own")
        (folder / "00_first_call.ipynb").unlink()
        assert [path.stem for path in command.put_notebooks(folder)] == ["00_first_call"]
        assert (folder / "index.ipynb").read_text() == "my own"

    def test_jupyterlab_does_not_ask_about_its_news_and_a_users_own_settings_stay(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/of/the/user")
        users, ours = command.with_defaults()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
        assert users == "/of/the/user"
        (defaults,) = json.loads((Path(ours) / "labconfig/default_setting_overrides.json").read_text()).values()
        assert defaults == {"fetchNews": "false"}

    def test_says_what_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "find_spec", lambda _name: None)
        result = CliRunner().invoke(app, ["lab", str(tmp_path)])
        assert result.exit_code == 2
        assert "siptwin[lab]" in result.stderr
