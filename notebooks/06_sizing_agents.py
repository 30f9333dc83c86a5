# %% [markdown]
# # 06 · Sizing agents
#
# **Question.** How many agents take so many calls, if four in five callers are to wait no longer than 20
# seconds? And how many channels do they need, when those who wait hold one, too?

# %% tags=["parameters"]
import os

quick = "SIPTWIN_FULL" not in os.environ  # SIPTWIN_FULL=1: ten times as many calls

# %% [markdown]
# ## The formula
# Calls that nobody can take wait in a queue: Erlang's formula C, which takes hold times to be exponential and
# callers to be patient. 200 calls an hour of 180 s are 10 Erlang.

# %%
import pandas as pd

from lab import plots
from lab.capacity import agents_for, erlang_b, erlang_c, erlangs, mean_wait_s, service_level
from lab.capacity.plan import Wishes, plan

offered = erlangs(calls_per_hour=200, hold_s=180)
table = pd.DataFrame(
    {
        "agents": agents,
        "busy_share": offered / agents,
        "waiting_share": erlang_c(offered, agents),
        "mean_wait_s": mean_wait_s(offered, agents, 180),
        "within_20_s_share": service_level(offered, agents, 180, 20),
    }
    for agents in range(11, 18)
)
table

# %% [markdown]
# One agent more or less changes everything near the edge of what they can do:

# %%
made = plan(Wishes(calls_per_hour=200, hold_s=180))
plots.draw_plan(made)

# %% [markdown]
# ## Does it agree with what is known?
# - Published: 10 Erlang and 14 agents let 0.1741 of the calls wait, and 0.8884 of all are taken within 20 s.
# - [pyworkforce](https://pyworkforce.readthedocs.io) must compute the same.
# - A queue thrown with dice, without any formula, must behave alike: agents in a heap, the first one free
#   takes the call that has waited longest.

# %%
from heapq import heapreplace
from random import Random

assert round(erlang_c(10, 14), 4) == 0.1741
assert round(service_level(10, 14, handling_s=180, within_s=20), 4) == 0.8884

from importlib.util import find_spec

if find_spec("pyworkforce"):  # another implementation, where it is installed
    from pyworkforce.queuing import ErlangC

    theirs = ErlangC(transactions=100, asa=20 / 60, aht=3, interval=30, shrinkage=0)  # in minutes
    assert abs(theirs.waiting_probability(14) - erlang_c(10, 14)) < 1e-9
    assert abs(theirs.service_level(14) - service_level(10, 14, 180, 20)) < 1e-9


def queue(seed: int, agents: int, calls: int) -> tuple[float, float]:
    """The shares of calls that wait at all, and no longer than 20 s."""
    random = Random(seed)
    free_at_s, now_s, waits, good = [0.0] * agents, 0.0, 0, 0
    for _ in range(calls):
        now_s += random.expovariate(offered / 180)
        begins_s = max(now_s, free_at_s[0])
        heapreplace(free_at_s, begins_s + random.expovariate(1 / 180))
        waits += begins_s > now_s
        good += begins_s - now_s <= 20
    return waits / calls, good / calls


from lab import interval

runs = [queue(seed, 14, 20_000 if quick else 200_000) for seed in range(10)]
waiting, taken = (interval(column, confidence=0.99) for column in zip(*runs, strict=True))
print(f"wait at all: {waiting.mean:.4f} ± {waiting.half_width:.4f}, formula {erlang_c(10, 14):.4f}")
print(f"within 20 s: {taken.mean:.4f} ± {taken.half_width:.4f}, formula {service_level(10, 14, 180, 20):.4f}")
assert erlang_c(10, 14) in waiting
assert service_level(10, 14, 180, 20) in taken

# %% [markdown]
# ## From agents to channels
# Whoever waits holds a channel. With few agents the queue is long, and takes more channels than the talking
# does:

# %%
pd.DataFrame(
    {
        "agents": agents,
        "mean_wait_s": mean_wait_s(offered, agents, 180),
        "channels": plan(Wishes(calls_per_hour=200, hold_s=180, agents=agents))["channels"],
    }
    for agents in range(11, 18)
)

# %%
assert agents_for(offered, 0.8, 180, 20) == made["agents"] == 14
assert erlang_b(made["channel_load"], int(made["channels"])) <= 0.01

# %% [markdown]
# ## In production
# `siptwin plan --calls-per-hour 200 --hold 180 --wrap-up 20` counts what an agent needs after a call as well.
# Plan with the busiest quarter of an hour, not with the day's mean; add those who are ill or at lunch (a
# third is usual); and keep agents below 85 % busy, or they leave.
