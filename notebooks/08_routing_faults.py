# %% [markdown]
# # 08 · The faults of the classic routing script
#
# **Question.** The classic design (OpenSIPS 2.4, `load_balancer` before FreeSWITCH) is rebuilt here as the policy
# `seed`, faults included. What do its callers suffer when a node dies, and what does the better policy change?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: five times as many deaths

# %% [markdown]
# ## The topology
# FS1 dies at 30 s under ten calls a second, and comes back, with empty memory, 30 s later.

# %%
import lab
from lab import plots

topology = lab.load("seed")
classic = lab.simulate(topology, policy="seed")
classic

# %% [markdown]
# The dead node carries no call, so it is the *least loaded* one: it attracts every new call. Each waits `fr_timer`
# (2 s) and is then sent to the other node. In the time line these are the orange dots at 2,000 ms:

# %%
classic.timeline()

# %%
classic.graph()

# %% [markdown]
# One such call, message by message:

# %%
classic.call()

# %% [markdown]
# ## The comparison
# Both policies meet the very same calls: same seeds, same arrivals, same hold times. So differences are taken
# run by run, which needs far fewer runs than a comparison of two means.

# %%
asked = lab.Experiment(topology, duration_s=70).vary(policy=["seed", "least_loaded", "hash_user"])
results = asked.run(replications=6 if quick else 30)
results

# %%
delayed = results.compare("policy", "calls_delayed", baseline="seed")
delayed

# %%
plots.draw_comparison(delayed, of="calls delayed above 0.3 s", baseline="seed", title="Fewer callers wait")

# %% [markdown]
# ## Does it agree with what is known?
# - The design's own figure: `fr_timer` is 2 s, so a dead node costs each call 2 s. All delayed calls must show
#   that.
# - While FS1 is away and empty, *every* new call meets it: 30 s of 10 calls a second are 300 calls; those that
#   stood on FS1 when it died still count there until their callers hang up (20 s on average), so the first go to
#   the other node. 300 is the bound, and half of it is surely passed.
# - The better policy believes the first sign: some calls may meet the dead node, but not for longer than it takes.

# %%
calls = results.calls
before_return = calls["placed_at_s"] < 58  # later ones may meet FS1 as it comes back
classic_delayed = calls[(calls["policy"] == "seed") & (calls["setup_s"] > 0.3) & before_return]
print(classic_delayed["setup_s"].describe())
assert (classic_delayed["setup_s"] - 2.0).abs().max() < 0.1

runs = results.runs.set_index(["policy", "replication"])
print(runs["calls_delayed"].unstack("policy"))
assert runs.loc["seed", "calls_delayed"].between(150, 345).all()
assert delayed.set_index("policy").loc["least_loaded", "high"] < -100, "paired, 95 %"
assert runs.loc["least_loaded", "calls_failed"].sum() == 0

# %% [markdown]
# ## In production
# In OpenSIPS, let the load balancer's own probing (`probe_mode` 2) take dead destinations out, in addition to
# the dispatcher's; fail REGISTER over as well; and don't try the next node on 6xx. In siptwin `least_loaded`,
# the default, does all that.
