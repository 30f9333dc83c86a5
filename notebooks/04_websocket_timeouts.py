# %% [markdown]
# # 04 · WebSocket time-outs
#
# **Question.** FreeSWITCH grants 180 s, the edge closes WebSockets that were idle for 120 s, and agents are
# silently logged out. When exactly does this happen, and which remedy is good for what?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: a finer map

# %% [markdown]
# ## The topology
# The deployment of 2021 as it was: browsers over `wss`, ten of which open a lost WebSocket again, ten of which do
# not, and twenty softphones over UDP.

# %%
import lab
from lab import plots

topology = lab.load("seed_2021")
topology

# %% [markdown]
# ## A quiet morning
# Nobody calls. Two minutes after its login each browser is lost; those that reconnect lose the next connection in
# the same way.

# %%
morning = lab.simulate(topology, scenario="quiet_morning")
morning.timeline()

# %%
away = morning.frames.registrations.query("state == 'unreachable' and began_at_s < 900")
away.groupby("why").agg(times=("agent", "size"), agents=("agent", "nunique"), first_s=("began_at_s", "min"))

# %% [markdown]
# ## Lifetime against expiry
# Which pairs of the connection's idle time and the registration's expiry log agents out? A browser of that time
# refreshes at 0.972 of the expiry.

# %%
IDLE, EXPIRES = "edges.edge1.streams.idle_s", "nodes.*.model.force_expires_s"
lifetimes_s = [60, 90, 120, 180] if quick else [30, 45, 60, 75, 90, 105, 120, 150, 180, 240, 300]
expiries_s = [60, 120, 180, 240] if quick else [30, 60, 75, 90, 105, 120, 150, 180, 240, 300]
minutes = 7 if quick else 15
mapped = (
    lab.Experiment(topology, scenario="quiet_morning", duration_s=60 * minutes, keep=())
    .vary(**{IDLE: lifetimes_s, EXPIRES: expiries_s})
    .run(replications=1)
)
plots.draw_heat_map(
    mapped.estimate("log_outs"),
    "idle_s",
    "force_expires_s",
    of=f"log-outs of 20 browsers in {minutes} min",
    form="{:.0f}",
    title="Which pairs of times log agents out",
    down="idle time of a WebSocket (s)",
    across="expiry of a registration (s)",
)

# %% [markdown]
# ## Three remedies

# %%
remedies = {
    "as it was": {},
    "shorter expiry": {"edges.edge1.registrar.agent_max_expires_s": 60},
    "longer idle time": {"edges.edge1.streams.lifetime": "above_expiry"},
    "lifetime follows the grant": {"edges.edge1.streams.lifetime": "follows_registration"},
}
from lab.experiments.settings import with_settings

found = {}
for remedy, settings in remedies.items():
    cured = with_settings(topology, settings, "quiet_morning")
    report = lab.simulate(cured, scenario="quiet_morning", messages=True)
    agents = report.summary.agents
    registers = [each for each in report.outcome.messages if each.data.startswith(b"REGISTER")]
    hours = agents.agents * report.outcome.end_s / 3600
    found[remedy] = {
        "log_outs": agents.log_outs,
        "agents_logged_out": agents.agents_logged_out,
        "reachable_share": agents.share,
        "registers_per_agent_hour": sum(each.to_place == "edge1" for each in registers) / hours,
        "of_them_to_nodes": sum(each.from_place == "edge1" for each in registers) / hours,
    }

import pandas as pd

table = pd.DataFrame(found).T
table

# %% [markdown]
# All three cure it. The first lets agents refresh three times as often; the nodes see none of that, for the edge
# answers such refreshes itself while what the node granted lasts (and without a challenge, so that agents send
# only twice as many REGISTERs). The second keeps every connection, whoever is at its far end, for longer than
# any registration. The third (siptwin's default) gives a connection the time that its own agent was granted, and
# closes those of strangers as early as before.
#
# ## Does it agree with what is known?
# - OpenSIPS' `tcp_connection_lifetime` is 120 s, so each browser is lost 120 s after its login.
# - JsSIP waits at least two seconds before it opens a lost WebSocket again (`connection_recovery_min_interval`),
#   and after a first loss at most two; then come the handshakes.
# - The rule behind the map: an agent is logged out where the refresh comes later than the idle time, 0.972 of the
#   expiry; every cell must obey.

# %%
logged_in_s = morning.frames.registrations.query("state == 'reachable'").groupby("agent")["began_at_s"].min()
lost_s = away.groupby("agent")["began_at_s"].min()
after_s = (lost_s - logged_in_s).dropna()
print(f"{len(after_s)} browsers are lost {after_s.min():.1f} to {after_s.max():.1f} s after their login")
assert len(after_s) == 20
assert (after_s - 120).abs().max() < 1.5

back = away[away["agent"].str.startswith("browsers/")].dropna(subset=["ended_at_s"])
gap_s = back["ended_at_s"] - back["began_at_s"]
print(f"who reconnects is away for {gap_s.min():.2f} to {gap_s.max():.2f} s")
assert gap_s.min() >= 2.0
assert gap_s.max() < 3.0

for idle_s, expires_s, log_outs in mapped.runs[["idle_s", "force_expires_s", "log_outs"]].itertuples(index=False):
    assert (log_outs > 0) == (0.972 * expires_s > idle_s), (idle_s, expires_s)

assert found["as it was"]["agents_logged_out"] == 20
assert all(found[remedy]["log_outs"] == 0 for remedy in list(remedies)[1:])
more = table["registers_per_agent_hour"]
assert 1.7 < more["shorter expiry"] / more["lifetime follows the grant"] < 2.3
to_nodes = table["of_them_to_nodes"]
assert abs(to_nodes["shorter expiry"] / to_nodes["lifetime follows the grant"] - 1) < 0.05

# %% [markdown]
# ## In production
# Leave `streams.lifetime` at `follows_registration`. Where a balancer or a proxy stands before the edge, its
# idle time counts as well (nginx 60 s, AWS NLB 350 s): `siptwin check my.yaml` compares all of them and says
# which agents will be logged out. Then let agents refresh more often (`registrar.agent_max_expires_s`), which
# the nodes do not notice: the edge answers such refreshes itself.
