"""Two hundred disasters, and not a word from any checker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.policies.seed import Seed
from sim.run import Run, simulate
from sim.swarm import draw

SEEDS = range(200)
CHUNK = 10


def run(seed: int) -> Run:
    return simulate(draw(seed), seed=seed, record="none")


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_every_checker_is_silent(first: int) -> None:
    found = {seed: run(seed).violations for seed in range(first, first + CHUNK)}
    spoken = {seed: violations[:3] for seed, violations in found.items() if violations}
    assert not spoken, f"python -m sim.swarm SEED > x.yaml; siptwin simulate x.yaml --seed SEED\n{spoken}"


def test_one_seed_gives_one_hash_in_any_process() -> None:
    code = "from sim.swarm import draw; from sim.run import simulate; print(simulate(draw(7), seed=7).trace_hash)"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert other.stdout.strip() == run(7).trace_hash == run(7).trace_hash


def test_another_seed_is_another_story() -> None:
    assert run(7).trace_hash != run(8).trace_hash


def test_a_checker_would_speak() -> None:
    """What no checker can fail proves nothing: routing that disregards health sends calls to a dead node."""
    topology = draw(0)

    class Liar(Seed):
        honours_health = True  # it claims what it does not do

    assert simulate(topology, policy=Liar(), seed=0, record="none").violations
