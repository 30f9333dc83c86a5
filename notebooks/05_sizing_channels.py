# %% [markdown]
# # 05 · Sizing channels
#
# **Question.** How many channels do the nodes need, so that no more than one call in a hundred is refused?
# And what when a node is away?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: ten times as many calls

# %% [markdown]
# ## The topology
# Two nodes share the channels; the policy `least_loaded` sends each call to the one with most free ones, so
# that together they are one pool. Calls come by Poisson's law and last three minutes in the mean. The first
# half-hour, in which an empty pool fills, is not counted.

# %%
import lab
from lab import plots
from lab.capacity import channels_for, erlang_b
from topologies import parse

HOLD_S = 180.0
WARM_UP_S = 10 * HOLD_S


def pool(offered: float, channels: int, calls: int) -> lab.Topology:
    """So many Erlang offered to so many channels on two nodes."""
    return parse(
        f"""
name: pool
edges: {{edge1: {{interfaces: {{agents: {{host: 127.0.0.1}}}}}}}}
nodes:
  FS1: {{host: 127.0.1.1, resources: pstn={channels - channels // 2}}}
  FS2: {{host: 127.0.1.2, resources: pstn={channels // 2}}}
clients: {{callers: {{host: 127.0.2.1}}}}
scenarios:
  busy:
    warm_up_s: {WARM_UP_S}
    duration_s: {WARM_UP_S + calls * HOLD_S / offered}
    traffic:
      - from: callers
        to: 9196
        rate_per_s: {offered / HOLD_S}
        hold_s: {{distribution: exponential, mean: {HOLD_S}}}
""".encode(),
        "pool",
    )


pool(10, 15, 1000)

# %% [markdown]
# ## The runs
# Channels and policy are all that counts here, so the messages are left out (`level="calls"`): the same pool,
# the same policy object, the same calls, some thirty times as fast. Calls within a run are no independent
# samples - a full pool refuses several in a row - so each point has ten runs with seeds of their own, and the
# bars are the 95 % confidence interval of their mean, by Student's t.

# %%
calls = 10_000 if quick else 100_000
points, found = [], {}
for offered, channels in ((8, 15), (10, 15), (12, 15), (20, 30), (25, 30), (100, 117)):
    experiment = lab.Experiment(pool(offered, channels, calls), level="calls", keep=())
    runs = experiment.run(replications=10).runs
    found[offered, channels] = lab.interval(runs["failed_share"].tolist())
    points.append((offered, channels, found[offered, channels]))
plots.draw_blocking(points, title="Calls refused: simulated, and by Erlang's formula B")

# %% [markdown]
# The more channels there are in one pool, the better each of them can be used: 117 of them carry 85 % of an
# Erlang each at the blocking at which 15 carry little more than half.

# %% [markdown]
# Is it right to leave the messages out? The same seeds with every message on the wire must bring the same
# story:

# %%
both = {
    level: lab.Experiment(pool(10, 15, 500), level=level, keep=("calls",)).run(replications=2, processes=1)
    for level in ("messages", "calls")
}
outcomes = [results.calls["outcome"].tolist() for results in both.values()]
equal = sum(one == other for one, other in zip(*outcomes, strict=True)) / len(outcomes[0])
print(f"{len(outcomes[0])} calls, {equal:.1%} of which end alike at both levels")
assert equal > 0.99

# %% [markdown]
# ## Does it agree with what is known?
# A. K. Erlang's formula (1917), as tables print it: 10 Erlang on 15 channels lose 0.0365, 20 on 30 lose
# 0.00846, 100 on 117 lose 0.0098. The simulated 95 % intervals must hold them. The seeds are those that any
# experiment begins with, 0 to 9; of other seeds one interval in twenty would miss, as 95 % says.

# %%
for (offered, channels), published in {(10, 15): 0.0365, (20, 30): 0.00846, (100, 117): 0.0098}.items():
    law, ours = erlang_b(offered, channels), found[offered, channels]
    print(
        f"{offered:4} Erlang, {channels:4} channels: published {published}, by the formula {law:.5f}, "
        f"simulated {ours.mean:.5f} ± {ours.half_width:.5f}"
    )
    assert abs(law / published - 1) < 0.002
    assert law in ours
    assert ours.half_width < 0.3 * law  # or it would say little

# %% [markdown]
# And another simulator, which knows nothing of SIP, must say the same: [Ciw](https://ciw.readthedocs.io),
# with 15 servers and no room to wait.

# %%
import ciw


def refused_in_ciw(seed: int) -> float:
    """The share of 10 Erlang that 15 servers refuse."""
    ciw.seed(seed)
    arrivals, services = ciw.dists.Exponential(rate=10 / HOLD_S), ciw.dists.Exponential(rate=1 / HOLD_S)
    network = ciw.create_network(
        arrival_distributions=[arrivals],
        service_distributions=[services],
        number_of_servers=[15],
        queue_capacities=[0],
    )
    world = ciw.Simulation(network)
    world.simulate_until_max_time(WARM_UP_S + 2_000 * HOLD_S / 10)
    kinds = [record.record_type for record in world.get_all_records() if record.arrival_date > WARM_UP_S]
    return kinds.count("rejection") / len(kinds)


elsewhere = lab.interval([refused_in_ciw(seed) for seed in range(10)], confidence=0.99)
ours = found[10, 15]
print(f"Ciw {elsewhere.mean:.4f} ± {elsewhere.half_width:.4f}, siptwin {ours.mean:.4f} ± {ours.half_width:.4f}")
assert abs(elsewhere.mean - ours.mean) < elsewhere.half_width + 2 * ours.half_width
assert erlang_b(10, 15) in elsewhere

# %% [markdown]
# ## In production
# `siptwin plan -c 2400 --hold 180` answers for your busy hour; each node then needs the channels that the
# others lack when one is away. Watch `failed_share` against the curve: more than it says means that channels
# leak, or that calls come in bursts, which Erlang's formula does not know.

# %%
for calls_per_hour in (200, 2_400, 12_000):
    erlangs = calls_per_hour * 180 / 3600
    needed = channels_for(erlangs, 0.01)
    print(f"{calls_per_hour:6,} calls/h of 180 s: {erlangs:5.0f} Erlang, {needed:4} channels for 1 % blocking")
