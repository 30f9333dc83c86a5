# %% [markdown]
# # 09 · Voice quality in failover
#
# **Question.** A node freezes, and later the Internet loses packets. What do callers *hear* meanwhile, those
# whose calls stand and those who call now?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: ten times as many calls

# %% [markdown]
# ## The topology
# The edge relays the media; callers are 30 ms away and talk to an echo. `media: streams` lets the simulation
# follow who hears whom. FS1 freezes from 20 to 35 s; from 50 to 65 s one packet in twenty between callers and
# edge is lost.

# %%
import lab
from lab import plots
from lab.plots.timeline import marks_of
from topologies import parse

topology = parse(
    f"""
name: voice
edges:
  edge1:
    interfaces: {{agents: {{host: 127.0.0.1}}, inside: {{host: 127.0.0.2}}}}
    relay: builtin
nodes:
  FS1: {{host: 127.0.1.1, interface: inside, model: {{trusts_edges: true}}}}
  FS2: {{host: 127.0.1.2, interface: inside, model: {{trusts_edges: true}}}}
clients: {{callers: {{host: 127.0.2.1, network: wan}}}}
networks: {{wan: {{latency_ms: 30, jitter_ms: 3}}}}
scenarios:
  day:
    duration_s: 80
    media: streams
    traffic: [{{from: callers, to: 9196, rate_per_s: {2 if quick else 20}, hold_s: 6}}]
    faults:
      - {{at_s: 20, kind: freeze, target: FS1}}
      - {{at_s: 35, kind: thaw, target: FS1}}
      - {{at_s: 50, kind: loss, between: [callers, edge1], share: 0.05}}
      - {{at_s: 65, kind: heal, between: [callers, edge1]}}
""".encode(),
    "voice",
)
topology

# %% [markdown]
# ## The run

# %%
report = lab.simulate(topology)
media = report.frames.media
heard = media[media["listener"].isin(topology.clients["callers"].users.names)]  # what callers heard of the echo
heard[["call_id", "began_s", "after_s", "packets", "lost", "longest_gap_s", "delay_ms", "mos"]].head()

# %%
plots.draw_quality(heard, marks=marks_of(report.facts.events), title="What callers hear of the echo")

# %% [markdown]
# Calls that stood on FS1 fall silent; the relay cannot help, for who was to be heard *is* FS1. Calls that
# come after the death are as good as before. Loss is another matter: all hear, but not well.

# %% [markdown]
# ## Does it agree with what is known?
# - ITU-T G.107, Annex B, Table B.1: R = 90, 80, 70, 60, 50 are MOS 4.34, 4.03, 3.60, 3.10, 2.58; the defaults
#   give R = 93.2, MOS 4.41.
# - An echo goes both ways, so of its packets 1 - 0.95² = 9.75 % are lost. G.711 with concealment has Bpl =
#   25.1 (G.113), so Ie-eff = 95 · 9.75 / (9.75 + 25.1) = 26.6, R = 93.2 - 26.6 = 66.6 and MOS 3.44.
# - Delay: 2 · 30 ms and a few, far below the 150 ms of G.114: no impairment.

# %%
from lab.capacity import mos

for rating, published in ((93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)):
    print(f"R = {rating}: {mos(rating):.3f}, published {published}")
    assert abs(mos(rating) - published) < 0.008

calm = heard[heard["time_s"] < 20]
lossy = heard[(heard["began_s"] > 51) & (heard["time_s"] < 64.5)]
lost = lossy["lost"].sum() / (lossy["lost"].sum() + lossy["packets"].sum())
print(f"while packets are lost: {lost:.4f} of the echo is missing; 1 - 0.95² is 0.0975")
assert abs(lost - 0.0975) < (0.012 if quick else 0.005)
print(f"MOS {calm['mos'].median():.2f} before, by G.107 4.41; {lossy['mos'].median():.2f} with loss, by hand 3.44")
assert abs(calm["mos"].median() - 4.41) < 0.02
assert abs(lossy["mos"].median() - 3.44) < 0.12
assert 60 < calm["delay_ms"].median() < 75

silent = heard[(heard["time_s"] - heard["last_s"] > 0.5) & (heard["last_s"] < 21) & (heard["last_s"] > 19)]
standing = heard[(heard["began_s"] < 19.5) & (heard["time_s"] > 20.5)]
print(f"{len(silent)} of {len(standing)} calls that stood at the death fell silent; half stood on FS1")
assert 0.25 < len(silent) / len(standing) < 0.75
after = heard[(heard["began_s"] > 22) & (heard["time_s"] < 34)]
assert (after["mos"] > 4.03).all(), "calls after the death are as good as before"

# %% [markdown]
# ## In production
# Watch the relay's own figures (`relayed` here; Prometheus in `siptwin serve`): MOS below 4.03 for many calls
# at once is the network, silence on one node is the node. Between *agents* the relay can join both sides when
# their node dies: notebook 10. Codecs with concealment (Opus above all) bear loss better than G.711 does.
