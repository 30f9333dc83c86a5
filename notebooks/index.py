# %% [markdown]
# # siptwin's notebooks
#
# Each asks one question of a SIP edge in front of FreeSWITCH, answers it by simulation, checks the answer
# against something outside - a formula, a standard, a published table - and says what to do in production.
# Open one and run it: *Run → Run All Cells*. Nothing needs a network or a FreeSWITCH.
#
# **Begin here**
#
# - [00 · The first call](00_first_call.ipynb): a topology, a run, the ladder of a call.
# - [01 · Four designs](01_four_designs.ipynb): whom FreeSWITCH can call, and why the edge is the Contact.
#
# **When a node or an edge dies**
#
# - [02 · The fail-over gap](02_failover_gap.ipynb): for how long are calls sent to a dead node?
# - [07 · The storm after an edge's death](07_storm.ipynb): when browsers come back, and how many at once.
# - [08 · The faults of the classic routing script](08_routing_faults.ipynb): what callers suffer, and what a
#   better policy changes.
# - [09 · Voice quality in failover](09_voice_quality.ipynb): what callers hear of a dead node, and of a bad
#   network.
# - [10 · Rescue](10_rescue.ipynb): conversations that outlive their node, and the pause in them.
# - [11 · Write your own policy](11_your_own_policy.ipynb): ten lines, many failures, deploy it.
#
# **NATs and WebSockets**
#
# - [03 · NAT against NAT, and keep-alives](03_nat_and_keep_alive.ipynb): who hears whom without a relay, and
#   how often a binding must be refreshed.
# - [04 · WebSocket time-outs](04_websocket_timeouts.ipynb): agents that are silently logged out, and three
#   remedies.
#
# **How much of what**
#
# - [05 · Sizing channels](05_sizing_channels.ipynb): calls refused, and Erlang's formula B.
# - [06 · Sizing agents](06_sizing_agents.ipynb): callers who wait, and Erlang's formula C.
#
# **From here to real sockets**
#
# - [13 · Before production](13_production.ipynb): what of a topology file will break, and a checklist.
# - [12 · Forecast and measurement](12_live.ipynb): the same topology in real time, message by message.
#
# **Take them further.** Change a number and run again; put your own topology file in place of the text
# (`lab.load("my.yaml")`). Set `SIPTWIN_FULL=1` for many more runs. Each notebook has a twin of the same name
# in plain Python (`.py`), which is the one to review and to keep in version control.

# %%
import lab

lab.load("seed")
