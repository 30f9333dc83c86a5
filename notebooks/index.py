# %% [markdown]
# # siptwin's notebooks
#
# Each asks one question of a SIP edge in front of FreeSWITCH, answers it by simulation, checks the answer
# against something outside - a formula, a standard, a published table - and says what to do in production. Open
# one and run it: *Run → Run All Cells*. Nothing needs a network or a FreeSWITCH.
#
# **Begin here**
#
# - [00 · The first call](00_first_call.ipynb): a topology, a run, the ladder of a call.
#
# **When a node dies**
#
# - [02 · The fail-over gap](02_failover_gap.ipynb): for how long are calls sent to a dead node?
# - [08 · The faults of the classic routing script](08_routing_faults.ipynb): what callers suffer, and what a
#   better policy changes.
# - [11 · Write your own policy](11_your_own_policy.ipynb): ten lines, many failures, deploy it.
#
# **How much of what**
#
# - [05 · Sizing channels](05_sizing_channels.ipynb): calls refused, and Erlang's formula B.
# - [06 · Sizing agents](06_sizing_agents.ipynb): callers who wait, and Erlang's formula C.
#
# **Take them further.** Change a number and run again; put your own topology file in place of the text
# (`lab.load("my.yaml")`). Set `SIPTWIN_FULL=1` for many more runs. Each notebook has a twin of the same name in
# plain Python (`.py`), which is the one to review and to keep in version control.

# %%
import lab

lab.load("seed")
