# %% [markdown]
# # 13 · Before production
#
# **Question.** My topology file is written. What of it will break in front of real FreeSWITCH nodes, and how
# do I know before the first agent logs in?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: ten times as many calls

# %% [markdown]
# ## The topology
# A draft, with mistakes that were made in real deployments. Browsers and softphones share one edge; 3,000
# calls of 60 s in the busy hour are 50 Erlang; each node has 40 channels.

# %%
import lab
import pandas as pd
from engine.policies import load_policy
from lab import plots
from lab.capacity import erlang_b
from lab.capacity.plan import Wishes, plan
from lab.experiments.settings import with_settings
from lab.findings import find
from topologies import parse

draft = parse(
    b"""
name: draft
edges:
  edge1:
    interfaces:
      phones: {host: 127.0.0.1}
      web: {transport: ws, host: 127.0.0.1, port: 8080}
      inside: {host: 127.0.0.2}
    streams: {lifetime: fixed, idle_s: 120, ping_interval_s: 0}
nodes:
  FS1: &freeswitch
    host: 127.0.1.1
    interface: inside
    resources: {pstn: 40}
    model: {users: 1000-1019, force_expires_s: 180, trusts_edges: true}
  FS2: {<<: *freeswitch, host: 127.0.1.2}
clients:
  callers: {host: 127.0.2.1, users: 1000-1009}
  browsers: {kind: browser, transport: ws, host: 127.0.2.2, users: 1010-1019, refresh_share: 0.95}
scenarios:
  busy_hour:
    warm_up_s: 300
    duration_s: 3900
    traffic:
      - {from: callers, to: 9196, rate_per_s: 0.8333, hold_s: {distribution: exponential, mean: 60}}
  morning:
    duration_s: 400
""",
    "draft",
)
draft

# %% [markdown]
# ## First item: what can be said without running anything
# `siptwin check draft.yaml` prints this. *breaks* will happen; *risk* may.


# %%
def checked(topology: lab.Topology) -> pd.DataFrame:
    """The findings of `siptwin check`."""
    policies = {name: load_policy(edge.policy) for name, edge in topology.edges.items()}
    rows = [(each.severity, each.where, each.what, each.remedy) for each in find(topology, policies)]
    return pd.DataFrame(rows, columns=["severity", "where", "what", "remedy"])


pd.set_option("display.max_colwidth", None)
checked(draft)

# %% [markdown]
# ## Second: is it true? One run of a quiet morning
# Each browser is lost two minutes after its login, as the first finding says.

# %%
morning = lab.simulate(draft, scenario="morning")
morning.timeline()

# %% [markdown]
# ## Third: how many channels, with one node away?

# %%
needed = plan(Wishes(calls_per_hour=3000, hold_s=60, blocking=0.01, node_channels=80, agents=80))
plots.draw_plan(needed)

# %% [markdown]
# ## The remedies
# Each finding names its own; they go into the file. (Here they are put over it.)

# %%
channels = int(needed["channels_per_node"])
cured = with_settings(
    draft,
    {
        "edges.edge1.streams.lifetime": "follows_registration",
        "edges.edge1.registrar": {"secret": "of this notebook"},
        "edges.edge1.relay": "builtin",
        "nodes.*.resources.pstn": channels,
    },
    "busy_hour",
)
checked(cured)[["severity", "where", "what"]]

# %% [markdown]
# ## Does it agree with what is known?
# - The connection's 120 s against the registration's 180 s log every browser out, at its 120th second;
#   with the remedy nobody is.
# - Erlang's formula B for the busy hour while one node is away: 50 Erlang on 40 channels, and on as many as
#   planned.

# %%
after_s = morning.frames.registrations.query("state == 'unreachable' and began_at_s < 200")["began_at_s"]
print(f"{len(after_s)} browsers lost, the first at {after_s.min():.1f} s")
assert len(after_s) == 10
assert 119 < after_s.min() < 123
assert lab.simulate(cured, scenario="morning").summary.agents.log_outs == 0

for name, topology, count in (("draft", draft, 40), ("cured", cured, channels)):
    one_node = with_settings(topology, {"nodes.FS2.enabled": False, "edges.edge1.relay": "off"}, "busy_hour")
    hours = lab.Experiment(one_node, scenario="busy_hour", level="calls", keep=()).run(
        replications=10 if quick else 100, processes=1
    )
    found = lab.interval(hours.runs["failed_share"].tolist(), confidence=0.999)
    law = erlang_b(0.8333 * 60, count)
    print(f"{name}: {found.mean:.4f} ± {found.half_width:.4f} of calls refused, by Erlang B {law:.4f}")
    assert law in found
assert law <= 0.01

assert (checked(draft)["severity"] == "breaks").any()
assert not (checked(cured)["severity"] == "breaks").any()

# %% [markdown]
# ## The same file on real sockets
# Two seconds of registrations in real time, with modelled nodes. No checker may speak.

# %%
signalling = with_settings(cured, {"edges.edge1.relay": "off"}, "morning")  # nobody speaks here
rehearsed = lab.rehearse(signalling, scenario="morning", duration_s=2)
assert rehearsed.sound
agents = rehearsed.summary.agents
print(f"{agents.agents} browsers registered over real WebSockets, {agents.share:.0%} of their time reachable")
assert agents.agents == 10

# %% [markdown]
# ## Last: the doctor
# It sends agents of its own through each door of the edge: they register, call an echo, a tone and each other,
# and listen. Here to edges and nodes that it starts on loopback first, as `siptwin doctor draft.yaml --rehearse`
# does; in production, without `--rehearse`, to what runs. What it finds wrong with the draft:

# %%
ailing = lab.examine(draft, rehearse=True, listen_s=0.5).frame
ailing.query("outcome == 'red'")[["step", "told", "cause", "remedy"]]

# %% [markdown]
# And with the remedies in the file:

# %%
healthy = lab.examine(cured, rehearse=True, listen_s=0.5).frame
healthy[["step", "outcome", "told"]]

# %%
assert set(ailing.query("outcome == 'red'")["cause"]) == {"timers", "relay_off"}
assert list(ailing["step"]) == list(healthy["step"])
assert (healthy["outcome"] == "green").all()

# %% [markdown]
# ## In production
# 1. `siptwin check my.yaml`: nothing may *break*, and each risk is one that you take knowingly.
# 2. `siptwin plan`: channels, nodes and edges for the busiest hour, with one of them away.
# 3. `siptwin simulate my.yaml` with the faults that you fear; `siptwin rehearse my.yaml`; `siptwin forecast
#    my.yaml`; `siptwin doctor my.yaml --rehearse`: every step green.
# 4. FreeSWITCH: the edge's addresses in the ACL (`apply-inbound-acl`), `sip-force-expires` as the file has it,
#    its event socket open to the edge, RTP ports open to the relay.
# 5. `siptwin serve my.yaml`; `siptwin nodes list` must show each node *active*. Then `siptwin doctor my.yaml
#    --users 1990,1991,1992,1993 --password-env DOCTOR_PASSWORD`, with accounts that nobody else uses: now real
#    nodes answer.
# 6. One call to 9196 from a browser, with ears on; then pull a node's plug while somebody talks.
# 7. Keep a capture of the first busy hour: `siptwin replay` makes it the test of every later change.
