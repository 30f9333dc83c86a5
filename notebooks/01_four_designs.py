# %% [markdown]
# # 01 · Four designs
#
# **Question.** FreeSWITCH stands behind an edge, its agents behind NATs. Four designs were tried before one was
# chosen. Whom can FreeSWITCH call in each of them, and what does the death of a node cost?
#
# | design | what FreeSWITCH stores as an agent's Contact |
# |---|---|
# | direct contact | the agent's address as the NAT shows it *to the edge* |
# | client-side failover | the agent's address; each agent registers at a node of its own choice |
# | media flag | the edge's address; all calls offer browser media (`media_webrtc=true`), without a relay |
# | edge as Contact | the edge's address, and a relay that offers each side what it can take |

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

plain = topology_of("edge_as_contact").model_dump(mode="json", by_alias=True, exclude_defaults=True)
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
compared.groupby("design", sort=False).agg(
    calls_lost=("calls_lost", "sum"), unreachable_longest_s=("unreachable_s", "max")
)

# %% [markdown]
# Why does the media flag reach no softphone? One of its calls, message by message: the offer is for browsers, and
# the phone says 488.

# %%
media_flag = lab.simulate(topology_of("media_flag", chosen), duration_s=70, messages=True)
to_a_phone = media_flag.frames.calls.query("to == '1000' and placed_at_s > 20")["call_id"].iloc[0]
refused = media_flag.call(to_a_phone)
refused

# %% [markdown]
# ## Does it agree with what is known?
# - *Direct contact*: the node sends to the agent from another host than the one that the agent has sent to. By
#   RFC 4787 §5 only a NAT with *endpoint-independent* filtering (RFC 3489's full cone) lets that in.
# - *Client-side failover*: half of the agents are at either node. Where only the node of one's own can pass the
#   filter, half of all calls fail even while all is well; and half of the agents must register anew when that
#   node dies.
# - *Media flag*: softphones answer 488 (RFC 3264 §6); browsers take the calls.
# - *Edge as Contact*: nothing of this.

# %%
reached = compared.pivot_table(index="client", columns="design", values="reached_before", sort=False)
independent = {"lan", "full_cone"}
for client, share in reached["direct_contact"].items():
    assert share == (1.0 if client in independent else 0.0), f"direct contact behind {client}"

behind_filters = [client for client in reached.index if client not in independent | {"browsers"}]
half = reached.loc[behind_filters, "client_side_failover"]
print(f"client-side failover behind filtering NATs: {half.mean():.2f} of calls arrive; by halves: 0.50")
assert abs(half.mean() - 0.5) < 0.06
cut_off = compared.set_index(["design", "client"]).loc["client_side_failover"].loc[behind_filters, "cut_off"]
print(f"client-side failover: {cut_off.mean():.2f} of those agents are cut off when FS1 dies; by halves: 0.50")
assert abs(cut_off.mean() - 0.5) < 0.15

assert "488 Not Acceptable Here" in {step.label for step in refused.steps}
assert (reached.drop(index="browsers")["media_flag"] == 0).all()
assert reached.loc["browsers", "media_flag"] == 1.0

chosen_one = compared[compared["design"] == "edge_as_contact"]
assert (chosen_one["reached_before"] == 1.0).all()
assert (chosen_one["cut_off"] == 0.0).all()

# %% [markdown]
# ## In production
# Let the edge be the Contact: what a NAT lets in is what comes from where the agent has sent to, so only the
# edge's own socket can use the binding. It is siptwin's default (`registrar.mode`). If FreeSWITCH itself must
# call agents directly, keep them in one LAN with it. `siptwin designs` prints this table.
