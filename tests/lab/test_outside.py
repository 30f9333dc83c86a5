"""Simulation against what was known before it: Erlang's formula, and the uniform phase of probes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from scipy.stats import kstest, uniform

from engine.policy import Call, Policy
from lab.capacity import erlang_b
from lab.experiments import Experiment
from lab.results import Frames
from topologies import Topology, parse

HOLD_S = 10.0  # beside which the milliseconds of set-up, that hold a channel too, are nothing


def pool(offered: float, channels: int, calls: int) -> Topology:
    """Two nodes whose channels are the bound."""
    half = channels // 2
    return parse(
        f"""
name: pool
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


class TestBlocking:
    def test_erlang_b_lies_in_the_confidence_interval(self) -> None:
        asked = Experiment(pool(10, 15, calls=600), keep=())
        found = asked.run(5, progress=False).estimate("failed_share").iloc[0]
        assert found["low"] <= erlang_b(10, 15) <= found["high"]

    @pytest.mark.parametrize(("offered", "channels"), [(10, 15), (20, 30), (100, 117)])
    def test_and_in_the_narrow_one_of_many_calls(self, offered: float, channels: int) -> None:
        asked = Experiment(pool(offered, channels, calls=5000), level="calls", keep=())
        found = asked.run(10, progress=False).estimate("failed_share").iloc[0]
        share = erlang_b(offered, channels)
        assert found["low"] <= share <= found["high"]
        assert found["half_width"] < max(0.3 * share, 0.004), "wide intervals hold anything"


class TestCallsAlone:
    """The level of calls leaves the messages out, and nothing else."""

    @pytest.mark.parametrize("policy", ["least_loaded", "hash_user", "seed"])
    def test_the_same_seeds_tell_the_same_story(self, policy: str) -> None:
        told = {}
        for level in ("messages", "calls"):
            asked = Experiment(pool(10, 15, calls=400), policy=policy, level=level)  # type: ignore[arg-type]
            told[level] = asked.run(1, processes=1, progress=False)
        calls = told["messages"].calls.merge(told["calls"].calls, on="call_id", suffixes=("", "_alone"))
        assert len(calls) == len(told["messages"].calls) == len(told["calls"].calls)
        assert (calls["placed_at_s"] == calls["placed_at_s_alone"]).all()
        assert (calls["outcome"] == calls["outcome_alone"]).mean() > 0.99
        assert (calls["status"] == calls["status_alone"]).mean() > 0.99
        answered = calls[(calls["outcome"] == "answered") & (calls["outcome_alone"] == "answered")]
        assert (answered["answer_s"] - answered["answer_s_alone"]).abs().max() < 0.002, "jitter"
        assert (answered["talk_s"] - answered["talk_s_alone"]).abs().max() < 0.002
        if policy == "hash_user":
            assert (calls["node"] == calls["node_alone"]).mean() > 0.99

    def test_callers_give_up_and_full_nodes_say_so(self) -> None:
        settings = {"nodes.*.model.answer_delay_s": [0.3], "scenario.traffic[0].patience_s.mean": [0.2, 1.0]}
        runs = (
            Experiment(pool(5, 20, 100), level="calls").vary(**settings).run(1, progress=False, processes=1).runs
        )
        assert (runs["calls_gave_up"] == runs["calls_offered"]).tolist() == [True, False]
        full = Experiment(pool(10, 200, 300), level="calls").vary(**{"nodes.*.model.max_sessions": [3]})
        assert full.run(1, progress=False, processes=1).runs["failed_share"].iloc[0] > 0.2

    def test_what_takes_messages_is_told(self) -> None:
        class Forks(Policy):
            async def invite(self, call: Call) -> None:
                await call.fork(list(call.nodes("fs")))

        results = Experiment(pool(5, 20, 20), policy=Forks, level="calls").run(1, progress=False, processes=1)
        assert "at the level of messages" in results.failures["error"].iloc[0]


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
