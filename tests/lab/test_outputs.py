"""Where results go is looked at before a run takes its time; what cannot be written is told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.app import app
from lab.errors import InputError
from lab.outputs import ready_directory, ready_file, ready_picture
from tests.lab.small import TEXT


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(TEXT)
    (tmp_path / "file").write_text("")  # nothing can be below it, whoever asks


def test_what_can_be_written_is_made_ready_and_left_empty(tmp_path: Path) -> None:
    assert ready_directory(tmp_path / "a" / "b").is_dir()
    assert not ready_file(tmp_path / "c" / "d.pcap").exists()
    (tmp_path / "kept.png").write_bytes(b"before")
    assert ready_picture(tmp_path / "kept.png").read_bytes() == b"before"


@pytest.mark.parametrize("name", ["x.doc", "x", "."])
def test_a_picture_has_a_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"says no format - write \.png"):
        ready_picture(tmp_path / name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("forecast", "small.yaml", "--out", "file/x.png"),
        ("designs", "--out", "file/x.png"),
        ("plan", "-c", "2400", "--hold", "180", "--out", "file/x.png"),
        ("simulate", "small.yaml", "--out", "file/x"),
        ("simulate", "small.yaml", "--capture", "file/x.pcap"),
        ("rehearse", "small.yaml", "--free-ports", "--out", "file/x"),
        ("replay", "file", "small.yaml", "--out", "file/x"),
        ("sweep", "small.yaml", "--out", "file/x"),
    ],
    ids=lambda arguments: " ".join(arguments[::2]),
)
def test_no_command_runs_for_nothing(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for runs in ("sim.run.simulate", "lab.rehearsal.run.Stage"):
        monkeypatch.setattr(runs, lambda *_, **__: pytest.fail("it ran all the same"))
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("siptwin: cannot write to file")


def test_a_missing_extra_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.run.simulate", lambda *_, **__: pytest.fail("it ran all the same"))
    monkeypatch.setattr("lab.cli.present.find_spec", lambda _name: None)
    result = CliRunner().invoke(app, ["simulate", "small.yaml", "--format", "parquet"])
    assert result.exit_code == 2
    assert "siptwin[parquet]" in result.stderr
