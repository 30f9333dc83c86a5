"""Simulation against what was known before it: Erlang's formula, and the uniform phase of probes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from scipy.stats import kstest, uniform

from lab.capacity import erlang_b
from lab.experiments import Experiment
from lab.results import Frames
from topologies import Topology, parse

HOLD_S = 1.0


def pool(offered: float, channels: int, calls: int) -> Topology:
    """Two nodes whose channels are the bound; short calls, so that many come in little time."""
    half = channels // 2
    return parse(
        f"""
edges: {{edge1: {{interfaces: {{agents: {{host: 127.0.0.1}}}}}}}}
nodes:
  FS1: {{host: 127.0.1.1, resources: pstn={half}}}
  FS2: {{host: 127.0.1.2, resources: pstn={channels - half}}}
clients: {{callers: {{host: 127.0.2.1}}}}
scenarios:
  busy:
    warm_up_s: {5 * HOLD_S}
    duration_s: {5 * HOLD_S + calls * HOLD_S / offered}
    traffic:
      - from: callers
        to: 9196
        rate_per_s: {offered / HOLD_S}
        hold_s: {{distribution: exponential, mean: {HOLD_S}}}
""".encode(),
        "pool",
    )


@pytest.mark.parametrize(("offered", "channels", "replications"), [(10, 15, 5), (20, 30, 5), (100, 117, 5)])
def test_erlang_b_lies_in_the_confidence_interval(offered: float, channels: int, replications: int) -> None:
    asked = Experiment(pool(offered, channels, calls=600), keep=())
    found = asked.run(replications, progress=False, processes=1).estimate("failed_share").iloc[0]
    assert found["low"] <= erlang_b(offered, channels) <= found["high"]


class TestGap:
    """Where probes alone tell a node's death, it comes at any phase of theirs: the gap is uniform."""

    INTERVAL_S, TIMEOUT_S, MISSED = 2.0, 0.5, 2

    def topology(self) -> Topology:
        return parse(
            f"""
edges:
  edge1:
    interfaces: {{agents: {{host: 127.0.0.1}}}}
    probe: {{interval_s: {self.INTERVAL_S}, timeout_s: {self.TIMEOUT_S}, leave_after: {self.MISSED}, jitter: 0}}
    passive: {{enabled: false}}
nodes: {{FS1: {{host: 127.0.1.1}}, FS2: {{host: 127.0.1.2}}}}
clients: {{callers: {{host: 127.0.2.1}}}}
scenarios:
  death:
    duration_s: 7
    traffic: [{{from: callers, to: 9196, rate_per_s: 0.2, hold_s: 1}}]
    faults: [{{at_s: 2.1, kind: freeze, target: FS1}}]
""".encode(),
            "probes",
        )

    def test_is_spread_as_the_formula_says(self) -> None:
        def known_s(frames: Frames) -> float:
            """From the death until the edge has put the node out."""
            states = frames.node_states
            return float(states.loc[states["after"] == "down", "time_s"].iloc[0]) - 2.1

        asked = Experiment(self.topology(), measures={"known_s": known_s}, keep=())
        gaps_s = asked.run(150, progress=False).runs["known_s"].tolist()
        earliest_s = (self.MISSED - 1) * self.INTERVAL_S + self.TIMEOUT_S
        assert earliest_s <= min(gaps_s)
        assert max(gaps_s) <= earliest_s + self.INTERVAL_S + 0.01
        assert kstest(gaps_s, uniform(earliest_s, self.INTERVAL_S).cdf).pvalue > 0.01
        wrong = uniform(earliest_s, self.INTERVAL_S * 1.25)
        assert kstest(gaps_s, wrong.cdf).pvalue < 0.01, "so many gaps tell a wrong formula"
        assert all(one < other for one, other in pairwise(sorted(gaps_s)))
