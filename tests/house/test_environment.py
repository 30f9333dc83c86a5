"""environment.yml (conda) asks for what pyproject.toml (pip) asks for, no more and no less."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOR_PIP_ITSELF = {"python", "pip"}


def parse(requirement: str) -> tuple[str, str]:
    """Name and version bound of a requirement, without marker, in one spelling (PEP 503)."""
    found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?\s*([^;]*)", requirement)
    assert found, f"cannot read requirement {requirement!r}"
    return re.sub(r"[-_.]+", "-", found[1]).lower(), found[2].replace(" ", "")


def asked_by_pyproject(project: Mapping[str, Any]) -> dict[str, str]:
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    asked = dict(parse(line) for line in [*project["dependencies"], *extras])
    asked.pop(project["name"], None)  # an extra that names other extras
    return asked


def asked_by_conda(environment: Mapping[str, Any]) -> dict[str, str]:
    lines: list[str] = []
    for entry in environment["dependencies"]:
        lines += [entry] if isinstance(entry, str) else [line for line in entry["pip"] if not line.startswith("-")]
    return {name: bound for name, bound in map(parse, lines) if name not in FOR_PIP_ITSELF}


def differences(project: Mapping[str, Any], environment: Mapping[str, Any]) -> Iterable[str]:
    pip, conda = asked_by_pyproject(project), asked_by_conda(environment)
    for name in sorted(pip.keys() | conda.keys()):
        if pip.get(name) != conda.get(name):
            yield f"{name}: pyproject {pip.get(name, 'nothing')!r}, environment.yml {conda.get(name, 'nothing')!r}"


def read_project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def read_environment() -> dict[str, Any]:
    environment: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return environment


def test_conda_and_pip_users_get_the_same_packages() -> None:
    assert list(differences(read_project(), read_environment())) == []


def test_conda_and_pip_users_get_the_same_python() -> None:
    wanted = f"python{read_project()['requires-python']}"
    assert wanted in read_environment()["dependencies"]


def test_a_package_missing_from_either_side_or_with_another_bound_is_told() -> None:
    project = {
        "name": "twin",
        "dependencies": ["One>=1", "two>=2", "three"],
        "optional-dependencies": {"fast": ["four_x>=4; platform_system != 'Windows'"], "all": ["twin[fast]"]},
    }
    environment = {
        "dependencies": ["python>=3.11", "one>=1", "two>=3", {"pip": ["four-x>=4", "five", "--editable=."]}]
    }
    assert [line.partition(":")[0] for line in differences(project, environment)] == ["five", "three", "two"]
