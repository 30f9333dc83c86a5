# %% [markdown]
# # 01 · Four designs
#
# **Question.** FreeSWITCH stands behind an edge, its agents behind NATs. Four designs were tried before one was
# chosen. Whom can FreeSWITCH call in each of them, and what does the death of a node cost?
#
# | | design | what FreeSWITCH stores as an agent's Contact |
# |---|---|---|
# | S21 | direct contact | the agent's address as the NAT shows it *to the edge* |
# | S22 | client-side failover | the agent's address; each agent registers at a node of its own choice |
# | S23 | media flag | the edge's address; all calls offer browser media (`media_webrtc=true`), without a relay |
# | S24 | edge as Contact | the edge's address, and a relay that offers each side what it can take |

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: more calls, a longer death

# %% [markdown]
# ## The topology
# Softphones in the LAN and behind seven kinds of NAT, and browsers; two call generators ring each of them in turn.
# FS1 dies for a few minutes. The other designs are derived from this one, the chosen one, by what they change.

# %%
import lab
from lab import plots
from lab.designs import compare_designs, topology_of

plain = topology_of("S24").model_dump(mode="json", by_alias=True, exclude_defaults=True)
if quick:
    scenario = plain["scenarios"]["death"]
    scenario["duration_s"] = 470
    for traffic in scenario["traffic"]:
        traffic["rate_per_s"] = 1.125
    for fault, at_s in zip(scenario["faults"], (200, 430), strict=True):
        fault["at_s"] = at_s
chosen = lab.Topology.model_validate(plain)
chosen

# %% [markdown]
# ## The runs
# The same seed for all: identical agents, NATs, calls and faults.

# %%
compared = compare_designs(chosen=chosen)
plots.draw_designs(compared)

# %%
compared.groupby(["design", "what"], sort=False).agg(
    calls_lost=("calls_lost", "sum"), unreachable_longest_s=("unreachable_s", "max")
)

# %% [markdown]
# Why does S23 reach no softphone? One of its calls, message by message: the offer is for browsers, and the phone
# says 488.

# %%
media_flag = lab.simulate(topology_of("S23", chosen), duration_s=70, messages=True)
to_a_phone = media_flag.frames.calls.query("to == '1000' and placed_at_s > 20")["call_id"].iloc[0]
refused = media_flag.call(to_a_phone)
refused

# %% [markdown]
# ## Does it agree with what is known?
# - S21: the node sends to the agent from another host than the one that the agent has sent to. By RFC 4787 §5 only
#   a NAT with *endpoint-independent* filtering (RFC 3489's full cone) lets that in.
# - S22: half of the agents are at either node. Where only the node of one's own can pass the filter, half of all
#   calls fail even while all is well; and half of the agents must register anew when that node dies.
# - S23: softphones answer 488 (S9 of the source design); browsers take the calls.
# - S24: nothing of this.

# %%
reached = compared.pivot_table(index="client", columns="design", values="reached_before", sort=False)
independent = {"lan", "full_cone"}
for client, share in reached["S21"].items():
    assert share == (1.0 if client in independent else 0.0), f"S21 behind {client}"

behind_filters = [client for client in reached.index if client not in independent | {"browsers"}]
half = reached.loc[behind_filters, "S22"]
print(f"S22 behind filtering NATs: {half.mean():.2f} of calls arrive; by halves: 0.50")
assert abs(half.mean() - 0.5) < 0.06
cut_off = compared.set_index(["design", "client"]).loc["S22"].loc[behind_filters, "cut_off"]
print(f"S22: {cut_off.mean():.2f} of those agents are cut off by the death of FS1; by halves: 0.50")
assert abs(cut_off.mean() - 0.5) < 0.15

assert "488 Not Acceptable Here" in {step.label for step in refused.steps}
assert (reached.drop(index="browsers")["S23"] == 0).all()
assert reached.loc["browsers", "S23"] == 1.0

s24 = compared[compared["design"] == "S24"]
assert (s24["reached_before"] == 1.0).all()
assert (s24["cut_off"] == 0.0).all()

# %% [markdown]
# ## In production
# Let the edge be the Contact: what a NAT lets in is what comes from where the agent has sent to, so only the
# edge's own socket can use the binding. It is siptwin's default (`registrar.mode`). If FreeSWITCH itself must
# call agents directly, keep them in one LAN with it. `siptwin designs` prints this table.
