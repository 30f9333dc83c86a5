# %% [markdown]
# # 12 · Forecast and measurement
#
# **Question.** Everything in these notebooks was simulated. Does the same topology behave in the same way on
# real sockets, in real time?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: longer, and more nodes

# %% [markdown]
# ## The topology
# Calls to two nodes, one of which freezes after a few seconds: its sockets stay, so nobody is told. The
# addresses are loopback ones; a rehearsal moves them to free ones.

# %%
import lab
from lab import plots
from topologies import parse

topology = parse(
    f"""
name: live
edges:
  edge1:
    interfaces: {{agents: {{host: 127.0.0.1}}, inside: {{host: 127.0.0.2}}}}
    policy: {{use: round_robin, options: {{timeout_s: 0.6}}}}
    passive: {{enabled: false}}      # else the phase of a probe decides which call is the first to wait
    probe: {{mode: never}}
nodes:
  FS1: {{host: 127.0.1.1, interface: inside, resources: pstn=200}}
  FS2: {{host: 127.0.1.2, interface: inside, resources: pstn=200}}
clients: {{callers: {{host: 127.0.2.1}}}}
scenarios:
  death:
    duration_s: {6 if quick else 30}
    traffic:
      - from: callers
        to: 9196
        rate_per_s: 12
        calls: {55 if quick else 300}
        hold_s: {{distribution: exponential, mean: 0.5}}
    faults: [{{at_s: 3, kind: freeze, target: FS1}}]
""".encode(),
    "live",
)
topology

# %% [markdown]
# ## The runs
# First in virtual time, which takes a moment; then on real sockets, which takes as long as it says. The seed
# decides who calls when in both.

# %%
found = lab.rehearse_and_compare(topology, seed=1)
found.comparison

# %%
found.rehearsed

# %% [markdown]
# ## Message by message
# For each call, and each way from one place to another, both runs must have sent the same messages in the
# same order. The simulation knows no scheduler of an operating system: a real packet comes a little later.

# %%
plots.draw_comparison_in_time(found.comparison, title="Each message: forecast against measurement")

# %%
found.comparison.calls.head()

# %% [markdown]
# ## The gap after a death, measured
# Notebook 02 has the formula for how long a frozen node stays in use where probes alone tell. Here many nodes
# freeze at once, each at its own phase of the probes: one rehearsal of eight seconds measures all of them.

# %%
NODES, INTERVAL_S, TIMEOUT_S, MISSED, DEATH_S = (80 if quick else 240), 2.0, 0.5, 2, 2.5
many = parse(
    f"""
name: many nodes
edges:
  edge1:
    interfaces: {{agents: {{host: 127.0.0.1}}}}
    probe: {{interval_s: {INTERVAL_S}, timeout_s: {TIMEOUT_S}, leave_after: {MISSED}, jitter: 0}}
nodes:
{"".join(f"  FS{number}: {{host: 127.0.1.{number}}}{chr(10)}" for number in range(1, NODES + 1))}
clients: {{callers: {{host: 127.0.2.1}}}}
scenarios:
  death:
    duration_s: 7.5
    faults: [{{at_s: {DEATH_S}, kind: freeze, target: nodes}}]
""".encode(),
    "many",
)
both = lab.rehearse_and_compare(many)


def gaps_s(report) -> list[float]:
    """For each node, how long after its death it was put out of use."""
    states = report.frames.node_states.query("after == 'down'")
    return (states["time_s"] - DEATH_S).tolist()


from scipy.stats import ks_2samp, kstest, uniform

law = uniform((MISSED - 1) * INTERVAL_S + TIMEOUT_S, INTERVAL_S)
samples = {"simulated": gaps_s(both.simulated), "real sockets": gaps_s(both.rehearsed)}
plots.draw_ecdf(
    samples, {"by formula": law.cdf}, title="Gap after a death", of="seconds until the node is out of use"
)

# %% [markdown]
# ## Does it agree with what is known?
# - The rehearsal is the outside result: real sockets, the kernel's clock, another host for the same machines.
#   At least 95 of 100 messages must be the same, and half of them no more than 100 ms apart. (What is under
#   way in the moment of the death may fall on either side of it.)
# - Each caller that met the frozen node waited for the policy's 0.6 s, in both worlds.
# - The measured gaps obey the formula (uniform between $(k-1)T + t$ and $kT + t$), by Kolmogorov's and
#   Smirnov's test, and are not told apart from the simulated ones.

# %%
comparison = found.comparison
print(f"the same: {comparison.same_share:.1%} of {len(comparison.steps)} messages")
assert comparison.same_share > 0.95
assert comparison.steps["later_s"].abs().median() < 0.1

for report in (found.simulated, found.rehearsed):
    calls = report.frames.calls
    over = calls[calls["failed_over"] & (calls["placed_at_s"] > 3)]
    print(
        f"{report.outcome.world}: {len(over)} calls failed over, after {over['setup_s'].mean():.3f} s on average"
    )
    assert len(over) > 5
    assert (over["setup_s"] - 0.6).abs().max() < 0.3

for label, values in samples.items():
    p = kstest(values, law.cdf).pvalue
    print(f"{label}: {len(values)} gaps, {min(values):.2f} to {max(values):.2f} s, p = {p:.2f}")
    assert len(values) == NODES
    assert p > 0.005
assert ks_2samp(*samples.values()).pvalue > 0.005

# %% [markdown]
# ## In production
# `siptwin forecast my.yaml` does this for your own file. Against a deployment that carries real calls,
# capture what passes the edge and play it to the simulation: `siptwin replay monday.pcap my.yaml` tells the
# same story message by message, or shows where the model is wrong; `--policy` and `--set` tell what another
# policy or other timers would have changed (here, from the messages of the rehearsal above):

# %%
from lab.twin import recording_of

then = recording_of(found.rehearsed.outcome.messages, "the rehearsal")
lab.replay(then, found.rehearsed.outcome.topology, policy="least_loaded").figures()
