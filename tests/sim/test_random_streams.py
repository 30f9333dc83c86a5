"""Random streams: one for each consumer, whatever the others do."""

from __future__ import annotations

import os
import subprocess
import sys

from sim.random_streams import RandomStreams


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    streams = RandomStreams(7)
    streams.stream("other").random()
    assert streams.stream("calls").random() == RandomStreams(7).stream("calls").random()


def test_seeds_and_names_tell_streams_apart() -> None:
    firsts = {RandomStreams(seed).stream(name).random() for seed in range(10) for name in "abc"}
    assert len(firsts) == 30


def test_the_hash_seed_does_not_matter() -> None:
    code = "from sim.random_streams import RandomStreams; print(RandomStreams(1).stream('x').random())"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{RandomStreams(1).stream('x').random()}\n"}
