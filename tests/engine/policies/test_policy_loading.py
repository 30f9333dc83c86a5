"""Policies are found by stock name, module:Class or file; every mistake is told in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.config import PolicyConfig
from engine.policies import PolicyError, load_policy, stock_policies
from engine.policies.seed import Seed
from engine.policy import Policy

GOOD = """
from __future__ import annotations
from engine.policy import Call, Policy

class Mine(Policy):
    def __init__(self, greeting: str = "hello") -> None:
        self.greeting = greeting

    async def invite(self, call: Call) -> None:
        call.reject(486)
"""


def load(use: str, options: Mapping[str, Any] | None = None) -> Policy:
    return load_policy(PolicyConfig(use=use, options=options or {}))


def refusal(use: str, options: Mapping[str, Any] | None = None) -> str:
    with pytest.raises(PolicyError) as caught:
        load(use, options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_stock() -> None:
    assert sorted(stock_policies()) == [
        "hash_user",
        "latency",
        "least_loaded",
        "round_robin",
        "seed",
        "weighted",
    ]


@pytest.mark.parametrize("name", ["hash_user", "latency", "least_loaded", "round_robin", "seed", "weighted"])
def test_each_stock_policy_loads_with_a_group_of_its_own(name: str) -> None:
    assert load(name, {"group": "other"}).group == "other"


def test_by_module_and_class() -> None:
    assert isinstance(load("engine.policies.seed:Seed"), Seed)


def test_by_file(tmp_path: Path) -> None:
    policy = load(write(tmp_path, GOOD), {"greeting": "hi"})
    assert type(policy).__name__ == "Mine"
    assert vars(policy) == {"greeting": "hi"}


def test_by_file_and_class_where_it_holds_several(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD + "\nclass Yours(Mine):\n    pass\n")
    assert type(load(f"{file}:Yours")).__name__ == "Yours"
    assert refusal(file).endswith("needs :Class, for the file holds several or none (Mine, Yours)")


def test_a_file_may_hold_dataclasses(tmp_path: Path) -> None:
    text = GOOD + "\nfrom dataclasses import dataclass\n\n@dataclass\nclass Row:\n    name: str = ''\n"
    assert load(write(tmp_path, text))


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    load(file)
    write(tmp_path, GOOD.replace("hello", "good morning to all"))
    assert vars(load(file))["greeting"] == "good morning to all"


# --- mistakes


def test_an_unknown_name() -> None:
    text = refusal("least_loadd")
    assert "'least_loadd'" in text
    assert "least_loaded" in text


def test_a_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in refusal(str(tmp_path / "none.py"))


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD + "\nclass Broken(:\n")
    line = GOOD.count("\n") + 2
    assert refusal(file).startswith(f"{file}:{line}: ")


def test_a_file_that_fails_to_load(tmp_path: Path) -> None:
    assert "ZeroDivisionError" in refusal(write(tmp_path, "1 / 0"))


def test_a_module_that_is_not_there() -> None:
    assert "no_such_module" in refusal("no_such_module:Class")


@pytest.mark.parametrize("use", ["engine.config:EdgeConfig", "engine.config:Nothing", "engine.config:NEVER"])
def test_a_class_that_is_no_policy(use: str) -> None:
    assert "not a subclass of engine.policy.Policy" in refusal(use)


def test_an_unknown_option_names_those_there_are() -> None:
    text = refusal("least_loaded", {"timeout": 3})
    assert "'timeout'" in text
    assert "group, resource, timeout_s, ring_s" in text


def test_an_option_that_the_policy_refuses() -> None:
    assert "timeout_s must be above 0" in refusal("least_loaded", {"timeout_s": 0})


def test_an_error_of_many_lines_is_told_in_one(tmp_path: Path) -> None:
    assert "one two" in refusal(write(tmp_path, "raise RuntimeError('one\\ntwo')"))
