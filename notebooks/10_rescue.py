# %% [markdown]
# # 10 · Rescue
#
# **Question.** A FreeSWITCH dies under conversations between agents. Can they go on? For how long do both
# hear nothing, and what decides that?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: five times as many deaths

# %% [markdown]
# ## The topology
# The edge's relay stands between both agents and the node. When the node is gone, it lets the two hear each
# other, and the edge answers in the node's place until one of them hangs up.

# %%
import lab
from lab import plots
from lab.experiments.settings import with_settings
from lab.plots.timeline import marks_of

topology = lab.load("rescue")
topology

# %% [markdown]
# ## A death, with and without rescue
# Six conversations between softphones and browsers, and two agents who listen to an echo; FS1 is killed at 20
# s.

# %%
rescued = lab.simulate(topology, scenario="killed")
alone = lab.simulate(with_settings(topology, {"edges.edge1.rescue.enabled": False}, "killed"), scenario="killed")


def heard_by_agents(report):
    """What agents heard of others."""
    media = report.frames.media
    return media[media["listener"].str.isdigit() & (media["listener"] != media["speaker"])]


marks = marks_of(rescued.facts.events)[-1:]
plots.draw_quality(heard_by_agents(rescued), marks=marks, title="With rescue: both sides hear each other again")

# %%
plots.draw_quality(heard_by_agents(alone), marks=marks, title="Without: who talked through FS1 hears silence")

# %% [markdown]
# One rescued call, as its caller's messages tell it: no re-INVITE, no pause, and a BYE that the edge answers
# itself.

# %%
on_fs1 = rescued.frames.calls.query("node == 'FS1' and to != '9196'")["call_id"].iloc[0]
story = lab.simulate(topology, scenario="killed", messages=True).call(on_fs1)
story

# %% [markdown]
# ## How long is the pause?
# As long as it takes to know that the node is dead. With its event socket (`events: true`) the end of that
# connection tells at once. Without, a probe finds out: each five seconds, and the kernel of the dead node's
# host answers by ICMP, which is believed.

# %%
import yaml

plain = yaml.safe_load(topology.to_yaml())
plain["scenarios"] = {
    "death": {
        "duration_s": 20,
        "media": "streams",
        "faults": [
            {"at_s": 2, "kind": "call", "target": "softphones/1000", "to": 1001, "hold_s": 14},
            {"at_s": 6, "kind": "kill", "target": "FS1"},
            {"at_s": 6, "kind": "kill", "target": "FS2"},
        ],
    }
}
plain["clients"] = {"softphones": {**plain["clients"]["softphones"], "users": {"first": 1000, "last": 1001}}}
plain["edges"]["edge1"]["interfaces"].pop("web")
plain["edges"]["edge1"]["probe"] = {"interval_s": 5, "jitter": 0}
small = lab.Topology.model_validate(plain)


def gap_s(frames) -> float:
    """The longest pause in what an agent heard."""
    media = frames.media
    return float(media.loc[media["listener"].str.isdigit(), "longest_gap_s"].max())


def heard_until_s(frames) -> float:
    """When the last of them heard the last packet."""
    media = frames.media
    return float(media.loc[media["listener"].str.isdigit(), "last_s"].min())


measures = {"gap_s": gap_s, "heard_until_s": heard_until_s}
ways = {"event socket": True, "probes alone": None}
deaths = (
    lab.Experiment(small, measures=measures, keep=())
    .vary(**{"nodes.*.events": ways})
    .run(replications=24 if quick else 120)
)
gaps = {way: runs["gap_s"].tolist() for way, runs in deaths.runs.groupby("events", sort=False)}

# %%
from scipy.stats import kstest, uniform

law = uniform(0, 5)
plots.draw_ecdf(gaps, {"probes alone": law.cdf}, title="Pause in a rescued conversation", of="seconds of silence")

# %% [markdown]
# ## Does it agree with what is known?
# - A death comes at any phase of the probes, and the next one tells: the pause is uniform on [0, 5] s.
#   Kolmogorov's and Smirnov's test compares.
# - With the event socket the pause is what the packets in the pipe hide: below 0.3 s.
# - Nobody is cut off: each conversation lasts until its callers hang up.

# %%
p = kstest(gaps["probes alone"], law.cdf).pvalue
mean_s = sum(gaps["probes alone"]) / len(gaps["probes alone"])
print(f"probes alone: {mean_s:.2f} s on average, by the formula {law.mean():.2f} s; p = {p:.2f}")
assert p > 0.005
assert max(gaps["event socket"]) < 0.3
assert (deaths.runs["heard_until_s"] > 15.5).all(), "until the callers hang up at 16 s"

ends = rescued.frames.calls.query("to != '9196'")
assert (ends["end_why"] == "hung up").all()
assert (ends["talk_s"] > 44).all()
heard = heard_by_agents(rescued)
assert len(heard) == 12
assert heard["longest_gap_s"].max() < 0.3
lost = heard_by_agents(alone)
assert ((lost["time_s"] - lost["last_s"]) > 25).sum() >= 4, "without rescue they hear silence for the rest"

# %% [markdown]
# ## In production
# Give each node its event socket (`events:` with a password) and the edge a relay; rescue is on by default
# then. Calls to applications of the dead node (an IVR, a conference, a queue) have nobody to go on with:
# `rescue.others` ends, holds or moves them. Recording, transfer and what else the node did for a rescued call
# end with the node.
