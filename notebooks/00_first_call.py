# %% [markdown]
# # 00 · The first call
#
# **Question.** What does a call through the edge look like, message by message, and how many calls stand at once?
#
# Everything below runs in virtual time: no network, no FreeSWITCH, two seconds.

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: more calls, smaller tolerances

# %% [markdown]
# ## The topology
# One YAML file describes the deployment. The same file is simulated here, rehearsed on real sockets by `siptwin
# rehearse seed`, and served by `siptwin serve`. A topology draws itself; a broken frame marks what must not
# fail.

# %%
import lab

seed = lab.load("seed")
seed

# %% [markdown]
# ## A run
# Ten calls a second for a while, nothing goes wrong. The last line is the trace's hash: the same seed brings the
# same run, packet by packet, on any machine.

# %%
report = lab.simulate(seed, scenario="quiet", duration_s=120 if quick else 1200, messages=True)
report

# %% [markdown]
# ## One call
# INVITE goes through the edge to the node that has most free channels. The edge answers 100 at once, passes on
# what the node says, and stays in the way (Record-Route), so that ACK and BYE come by, too.

# %%
first = report.frames.calls["call_id"].iloc[0]
ladder = report.call(first)
ladder

# %% [markdown]
# ## The same as tables
# Each call, each attempt, each decision and its reasons is a row; units are in the names of the columns.

# %%
report.frames.calls[["call_id", "placed_at_s", "setup_s", "node", "talk_s", "end_why"]].head()

# %%
report.frames.decisions[["time_s", "call_id", "chosen", "why", "passed_over"]].head()

# %% [markdown]
# ## Does it agree with what is known?
# - RFC 3261 §16: what goes through a proxy goes over two legs. The echo test answers at once, so INVITE, 200,
#   ACK, BYE and its 200 come twice, 10 messages; a 100 never passes a proxy (§16.7 step 5), so each leg has its
#   own: 12.
# - Little's law: calls that stand at once = calls per second x mean time that each stands. The topology says
#   10/s and 20 s.

# %%
delivered = [step.label for step in ladder.steps]
print(len(delivered), "messages:", ", ".join(delivered))
assert len(delivered) == 12
assert {delivered.count(label) for label in delivered} == {2}

calls = report.frames.calls
duration_s = report.outcome.duration_s
offered = len(calls) / duration_s * calls["talk_s"].mean()
print(f"{len(calls)} calls of {calls['talk_s'].mean():.1f} s: {offered:.0f} stand at once; Little's law says 200")
assert abs(offered - 10 * 20) < (30 if quick else 10)
assert report.sound, "no checker has found anything"

# %% [markdown]
# ## In production
# `siptwin check my.yaml` says what of your own file will break; `siptwin rehearse my.yaml` makes these calls on
# real loopback sockets; `siptwin serve my.yaml` carries them. The ladder of a call that went wrong is the first
# thing to look at: `siptwin simulate` writes that of one which failed over.
