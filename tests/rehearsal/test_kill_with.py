"""A real node is killed by a command of its operator's, and only by one."""

from __future__ import annotations

import pytest

import topologies
from lab.errors import InputError
from lab.rehearsal import rehearse_topology


def test_a_command_is_for_a_real_node() -> None:
    with pytest.raises(InputError, match="give --real FS1 as well"):
        rehearse_topology(topologies.load("single"), kill_with={"FS1": "true"})


def test_a_command_says_what_to_do() -> None:
    with pytest.raises(InputError, match="write --kill-with FS1=COMMAND"):
        rehearse_topology(topologies.load("single"), real=("FS1",), kill_with={"FS1": ""})
