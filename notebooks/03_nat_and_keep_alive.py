# %% [markdown]
# # 03 · NAT against NAT, and keep-alives
#
# **Question.** Two agents behind NATs: for which pairs can media pass without a relay? And how often must the edge
# send a keep-alive, so that an agent behind a NAT can still be called?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: more home gateways

# %% [markdown]
# ## The topology
# No deployment here, but the smallest world that shows the matter: two agents, a NAT before each of them, and a
# server that both can reach. Both ask it how they are seen (STUN), are told of each other, and send checks, as
# ICE does. The NATs are the ones that topologies have in `nats:`; tests hold `linux_masquerade` against the
# kernel's own.

# %%
import lab
from lab import plots
from lab.hole_punching import SIMPLE_NATS, hole_punching
from lab.nat_table import nat_table

lab.load("seed")  # what it is about: `callers` are such agents, `edge1` is what they can reach

# %% [markdown]
# ## NAT against NAT

# %%
kinds = (*SIMPLE_NATS, "linux_masquerade", "carrier_grade")
matrix = hole_punching(kinds)
plots.draw_heat_map(
    matrix,
    "one",
    "other",
    "direct",
    of="pairs whose media pass directly",
    form="{:.0%}",
    title="Media without a relay, by the NAT on either side",
    down="NAT of one agent",
    across="NAT of the other",
)

# %% [markdown]
# Behind *one* NAT it is another question: whether it lets its own inside hosts reach each other by their outside
# addresses (hairpinning). Linux does not.

# %%
hole_punching(kinds, behind_one=True)

# %% [markdown]
# ## Keep-alives
# An agent registers and is kept alive; half an hour later somebody calls, just before the next keep-alive is due.

# %%
intervals_s = [0, 15, 25, 30, 45, 60, 90, 120, 150, 180, 300]
presets = ("full_cone", "symmetric", "linux_masquerade", "carrier_grade", "home_gateway")
kept = nat_table(presets, intervals_s=intervals_s, devices=60 if quick else 400)
plots.draw_heat_map(
    kept,
    "preset",
    "interval_s",
    "reached",
    of="agents that the call reaches",
    form="{:.0%}",
    title="Who can be called half an hour after the registration (0 s: without keep-alives)",
    down="kind of NAT",
    across="seconds between two keep-alives",
)

# %% [markdown]
# And who may call? The NAT asks where a packet comes from:

# %%
callers = nat_table(kinds, intervals_s=[25], callers=["edge", "other port", "stranger"], devices=5)
plots.draw_heat_map(
    callers,
    "preset",
    "caller",
    "reached",
    of="agents that the call reaches",
    form="{:.0%}",
    title="Only the socket that was registered at reaches everybody",
    down="kind of NAT",
    across="from where the call is sent",
)

# %% [markdown]
# ## Does it agree with what is known?
# - The table that every text on WebRTC prints for RFC 3489's kinds: media pass, but where a symmetric NAT meets a
#   symmetric or a port-restricted one.
# - Linux (`nf_conntrack_udp_timeout`): 30 s for a flow that was seen for less than two seconds, which a
#   registration is; `MASQUERADE` maps endpoint-independently and filters by address and port, hence behaves like
#   *port-restricted*.
# - Home gateways (Hätönen et al., IMC 2010): the shortest time-out of 34 devices was 30 s; RFC 4787 asks for 120
#   s, which few give.

# %%
published = {
    frozenset(pair)
    for pair in (
        ("symmetric", "symmetric"),
        ("symmetric", "port_restricted"),
    )  # these alone take a relay
}
simple = matrix[matrix["one"].isin(SIMPLE_NATS) & matrix["other"].isin(SIMPLE_NATS)]
for one, other, _, direct in simple.itertuples(index=False):
    assert direct == (0.0 if frozenset((one, other)) in published else 1.0), (one, other)

table = matrix.pivot_table(index="one", columns="other", values="direct", sort=False)
assert (table.loc["linux_masquerade", list(SIMPLE_NATS)] == table.loc["port_restricted", list(SIMPLE_NATS)]).all()

# The longest interval at which an agent behind Linux is still reached, to a quarter of a second
fine_s = [28 + quarter / 4 for quarter in range(17)]
fine = nat_table(["linux_masquerade"], intervals_s=fine_s)
longest_s = fine.loc[fine["reached"] == 1.0, "interval_s"].max()
print(f"behind Linux the longest interval is {longest_s} s; nf_conntrack_udp_timeout is 30 s")
assert abs(longest_s - 30) <= 1.0

home = kept[kept["preset"] == "home_gateway"].set_index("interval_s")["reached"]
print(home)
assert home[25] == 1.0, "no device of the study forgot a flow in less than 30 s"
assert home[45] < 1.0, "but some did soon afterwards"
assert 0.3 < home[180] < 0.7, "the median device of the study: 180 s"

# %% [markdown]
# How many calls need a relay, then? Of 4.4 million real attempts at hole punching 70 % ± 7 succeeded
# (arXiv 2510.27500). If all NATs were either symmetric or port-restricted, that would be a share *s* of symmetric
# ones with $1 - s^2 - 2s(1-s) = 0.70$:

# %%
symmetric_share = 1 - 0.70**0.5
print(f"{symmetric_share:.0%} of NATs are symmetric, and 30 % of calls between agents take a relay")

# %% [markdown]
# ## In production
# Keep `keep_alive: {method: options, interval_s: 25}`, the edge's default: below every time-out that was ever
# measured at a home gateway. Let the edge be the only one that calls agents (notebook 01 shows what happens
# otherwise). And carry the media of agents over a relay: a third of them could not hear each other without.
