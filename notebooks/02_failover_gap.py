# %% [markdown]
# # 02 · The fail-over gap
#
# **Question.** A node freezes. For how long are calls still sent to it? What do the probes' interval and
# threshold do for that, and what do the calls themselves?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: five times as many deaths

# %% [markdown]
# ## The topology
# Two nodes; one freezes (its sockets stay, so no ICMP tells). `passive.enabled: false` leaves the probes alone
# to find out, as OpenSIPS' dispatcher does; `true` lets each call that waits for an answer be a probe.

# %%
import lab
from lab import plots
from topologies import parse

DEATH_S = 12.0
topology = parse(
    b"""
name: gap
edges:
  edge1:
    interfaces: {agents: {host: 127.0.0.1}}
    probe: {interval_s: 5, timeout_s: 1, leave_after: 2, jitter: 0}
nodes:
  FS1: {host: 127.0.1.1, resources: pstn=200}
  FS2: {host: 127.0.1.2, resources: pstn=200}
clients: {callers: {host: 127.0.2.1}}
scenarios:
  death:
    duration_s: 34
    traffic: [{from: callers, to: 9196, rate_per_s: 4, hold_s: 1}]
    faults: [{at_s: 12, kind: freeze, target: FS1}]
""",
    "gap",
)
topology

# %% [markdown]
# ## The runs
# Each replication has a seed of its own, and so another phase of the probes. `known_down_s` is measured in every
# run: from the death until the edge has put the node out of use.

# %%
INTERVAL, MISSED = "edges.edge1.probe.interval_s", "edges.edge1.probe.leave_after"
PASSIVE = "edges.edge1.passive.enabled"
deaths = 40 if quick else 200

by_probes = lab.Experiment(topology, keep=()).vary(
    **{PASSIVE: [False], INTERVAL: [2, 5], MISSED: [1, 2, 3], "scenario.traffic[0].rate_per_s": [0.5]}
)
gaps = by_probes.run(replications=deaths)
gaps

# %%
plots.draw_heat_map(
    gaps.estimate("known_down_s"),
    "leave_after",
    "interval_s",
    of="mean gap (s)",
    title="Probes alone: seconds until a frozen node is out of use",
    down="probes missed",
    across="interval of the probes (s)",
)

# %% [markdown]
# ## Does it agree with what is known?
# A death comes at any phase of the probes. The first probe after it goes out between 0 and one interval later,
# the last of `leave_after` probes `leave_after - 1` intervals after that, and its time-out ends the wait. So the
# gap is uniform on `[(k-1)·T + timeout, k·T + timeout]`. Kolmogorov and Smirnov's test compares the whole
# distribution.

# %%
from scipy.stats import kstest, uniform

TIMEOUT_S = 1.0
laws, samples = {}, {}
for (interval_s, missed), runs in gaps.runs.groupby(["interval_s", "leave_after"]):
    law = uniform((missed - 1) * interval_s + TIMEOUT_S, interval_s)
    values = runs["known_down_s"].tolist()
    p = kstest(values, law.cdf).pvalue
    print(f"{missed} probes missed, one each {interval_s} s: mean {sum(values) / len(values):5.2f} s, p = {p:.2f}")
    assert p > 0.005
    if missed == 2:
        label = f"each {interval_s} s, 2 missed"
        samples[label], laws[label] = values, law.cdf

# %%
plots.draw_ecdf(samples, laws, title="Gap after a death, probes alone", of="seconds until the node is out of use")

# %% [markdown]
# ## What the calls themselves tell
# With `passive` on, a call that waits 200 ms for its first answer makes the node suspect: it is passed over, and
# probed at once. The interval of the probes hardly matters any more; the rate of calls does. (Each node in its
# turn here: the default policy would soon avoid the dead node for the channels that its frozen calls hold.)
# Probes alone stop the calls after *one* that was missed, for a node that missed one is suspect, and another can
# serve: within one interval and a time-out, here 6 s. It is out of use for good, as above, after two.

# %%
policies = {"probes alone": False, "calls tell, too": True}
each_in_turn = lab.Experiment(topology, policy="round_robin")
both = each_in_turn.vary(**{PASSIVE: policies}).run(replications=deaths // 4)
last_s = {
    label: (both.attempts.query("node == 'FS1' and time_s >= @DEATH_S and enabled == @label"))
    .groupby("replication")["time_s"]
    .max()
    .sub(DEATH_S)
    .reindex(range(deaths // 4), fill_value=0.0)
    .tolist()
    for label in policies
}
plots.draw_ecdf(last_s, title="The last call that was sent to the dead node", of="seconds after its death")

# %%
compared = both.compare("enabled", "calls_delayed", baseline="probes alone")
plots.draw_comparison(compared, of="calls delayed above 0.3 s", baseline="probes alone", title="Calls tell, too")

# %%
assert compared["high"].iloc[0] < 0, "fewer callers wait"
assert max(last_s["calls tell, too"]) < 1.0
assert 3.0 < max(last_s["probes alone"]) <= 5.0 + TIMEOUT_S

# %% [markdown]
# ## In production
# Leave `passive` on. Then choose the interval of the probes for quiet hours, in which no call finds out: the gap
# is at most `leave_after x interval_s + timeout_s`. `siptwin check` prints it as *found dead in*.
