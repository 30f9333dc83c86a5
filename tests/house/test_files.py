"""What holds for every file of the repository: short, one licence, and free of traces of one machine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 500

CODE = {".py", ".yaml", ".yml", ".toml", ".sh", ".cfg", ".xml"}
TEXT = CODE | {".md", ".txt", ".service", ".ipynb", ".j2"}
NAMED_TEXT = {"Makefile", "LICENSE", "run"}
SKIPPED = {"__pycache__", "results", "build", "dist", "node_modules"}
DATA = {"vectors", "captures"}  # recorded messages: kept as they came

FORBIDDEN = {
    "path of one machine": re.compile(r"(?<![\w.$}~-])/(?:work|root|home)/[\w.]"),
    "key or password file": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "licence of others": re.compile(
        r"GNU (?:Lesser |Affero )?General Public|All rights (?:reserved)", re.IGNORECASE
    ),
    "left-over of a merge": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


def files() -> Iterator[Path]:
    """Every text file that belongs to the repository, by walking: a source archive has no git."""

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            hidden = path.name.startswith(".") and path.name != ".ci"
            if path.is_dir() and not hidden and path.name not in SKIPPED and path.suffix != ".egg-info":
                yield from walk(path)
            elif path.is_file() and (path.suffix in TEXT or path.name in NAMED_TEXT):
                yield path

    return walk(ROOT)


def faults(path: Path, text: str) -> list[str]:
    """What is wrong with a file of this name and content."""
    found = []
    is_data = not DATA.isdisjoint(path.parts)
    if path.suffix in CODE and not is_data and (lines := text.count("\n")) > MOST_LINES:
        found.append(f"{path}: {lines} lines, of {MOST_LINES} at most: it asks to be two files")
    if is_data or path.name == "LICENSE":
        return found
    return found + [
        f"{path}: {what}: {hit[0]!r}" for what, rule in FORBIDDEN.items() if (hit := rule.search(text))
    ]


def test_every_file_is_short_and_speaks_of_the_product_alone() -> None:
    found = [
        fault for path in files() for fault in faults(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_walk_sees_the_house() -> None:
    seen = {str(path.relative_to(ROOT)) for path in files()}
    assert {"engine/boundary.py", "Makefile", "LICENSE", ".ci/run", "tests/house/test_files.py"} <= seen


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("engine/long.py", "x = 1\n" * (MOST_LINES + 1)),
        ("README.md", "see " + "/".join(["", "home", "ann", "notes"])),
        ("sim/a.yaml", "path: " + "/".join(["", "root", "x"])),
        ("engine/a.py", "# Licensed under the GNU " + "General Public License"),
        ("engine/a.py", "<" * 7 + " HEAD\n"),
        ("tests/live/key.txt", "-----BEGIN " + "RSA PRIVATE KEY-----"),
    ],
)
def test_a_bad_file_is_caught(name: str, text: str) -> None:
    assert faults(Path(name), text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("engine/a.py", "x = 1\n" * MOST_LINES),
        ("README.md", "https://example.org/home/page, ./work/x, /etc/siptwin/edge.yaml, /run/siptwin"),
        ("tests/vectors/a.txt", "line\n" * (MOST_LINES + 1)),
    ],
)
def test_a_good_file_passes(name: str, text: str) -> None:
    assert faults(Path(name), text) == []


def test_the_licence_is_whole_and_named_alike_everywhere() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]
    for page in ("README.md", "CONTRIBUTING.md"):
        assert "Apache-2.0" in (ROOT / page).read_text(encoding="utf-8")


def test_each_file_of_tests_has_a_name_of_its_own() -> None:
    """Folders of tests are no packages, so that two files of one name are one module."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
