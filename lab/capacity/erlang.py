"""Erlang's formulas B and C, and their inverses.

Both hold for Poisson arrivals and full accessibility (any caller may take any free channel). B asks nothing of the
hold times but their mean; C takes them to be exponential. See V. B. Iversen, *Teletraffic Engineering and Network
Planning* (DTU, 2015), §4.3 (B by recursion), §9.2 (C).
"""

from __future__ import annotations

from math import ceil, exp, inf
from typing import Final

from lab.errors import InputError

_NOTHING: Final = 1e-12
"""A share that no one will ever observe; the recursion ends there."""
_MOST_CHANNELS: Final = 10_000_000


def erlangs(calls_per_hour: float, hold_s: float) -> float:
    """Offered traffic: how many calls stand at once on average where none is refused.

    Parameters
    ----------
    calls_per_hour : float
        Calls that come.
    hold_s : float
        How long one lasts on average.

    Examples
    --------
    >>> erlangs(1200, 180)
    60.0
    """
    return calls_per_hour * hold_s / 3600.0


def erlang_b(offered: float, channels: int) -> float:
    """Erlang's B formula: the share of calls that find all channels taken, and are refused.

    Parameters
    ----------
    offered : float
        Traffic in Erlang.
    channels : int
        Calls that can stand at once.

    Examples
    --------
    >>> round(erlang_b(10, 15), 4)
    0.0365
    """
    _check(offered, channels)
    share = 1.0
    for channel in range(1, channels + 1):
        share = offered * share / (channel + offered * share)
        if share < _NOTHING:
            return 0.0
    return share


def erlang_c(offered: float, agents: int) -> float:
    """Erlang's C formula: the share of calls that have to wait for an agent, where none gives up.

    1 where the agents cannot keep up, so that the queue grows without end.

    Parameters
    ----------
    offered : float
        Traffic in Erlang.
    agents : int
        Who take calls.

    Examples
    --------
    >>> round(erlang_c(10, 14), 4)
    0.1741
    """
    blocked = erlang_b(offered, agents)
    if agents <= offered:
        return 1.0 if offered else 0.0
    return agents * blocked / (agents - offered * (1.0 - blocked))


def service_level(offered: float, agents: int, handling_s: float, within_s: float) -> float:
    """The share of calls that an agent takes within so many seconds (Erlang C).

    Parameters
    ----------
    offered : float
        Traffic in Erlang.
    agents : int
        Who take calls.
    handling_s : float
        Mean time that a call keeps an agent busy.
    within_s : float
        The wait that is still good.

    Examples
    --------
    >>> round(service_level(10, 14, handling_s=180, within_s=20), 4)
    0.8884
    """
    if agents <= offered:
        return 0.0 if offered else 1.0
    return 1.0 - erlang_c(offered, agents) * exp(-(agents - offered) * within_s / handling_s)


def mean_wait_s(offered: float, agents: int, handling_s: float) -> float:
    """Mean wait of all calls, those that need not wait included (Erlang C); infinite where the queue grows.

    Parameters
    ----------
    offered, agents, handling_s
        As for `service_level`.

    Examples
    --------
    >>> round(mean_wait_s(10, 14, handling_s=180), 2)
    7.84
    """
    if agents <= offered:
        return inf if offered else 0.0
    return erlang_c(offered, agents) * handling_s / (agents - offered)


def channels_for(offered: float, blocking: float) -> int:
    """The fewest channels at which no more than this share of calls is refused.

    Parameters
    ----------
    offered : float
        Traffic in Erlang.
    blocking : float
        The share that may be refused: 0.01 is 1 %.

    Examples
    --------
    >>> channels_for(100, 0.01)
    117
    """
    _check(offered, 0)
    _check_share(blocking, "blocking")
    share, channels = 1.0, 0
    while share > blocking:
        channels += 1
        share = offered * share / (channels + offered * share)
        if channels > _MOST_CHANNELS:
            raise InputError(f"{offered:g} Erlang take more than {_MOST_CHANNELS:,} channels - offer less")
    return channels


def agents_for(offered: float, level: float, handling_s: float, within_s: float) -> int:
    """The fewest agents at which this share of calls waits no longer than ``within_s``.

    Parameters
    ----------
    offered : float
        Traffic in Erlang.
    level : float
        The share of calls: 0.8 is 80 %.
    handling_s, within_s : float
        As for `service_level`.

    Examples
    --------
    >>> agents_for(10, 0.8, handling_s=180, within_s=20)
    14
    """
    _check_share(1.0 - level, "1 - service level")
    agents = ceil(offered) or 1
    while service_level(offered, agents, handling_s, within_s) < level:
        agents += 1
    return agents


def erlangs_for(channels: int, blocking: float) -> float:
    """The most traffic, in Erlang, of which these channels refuse no more than this share.

    Parameters
    ----------
    channels : int
        Calls that can stand at once.
    blocking : float
        The share that may be refused: 0.01 is 1 %.

    Examples
    --------
    >>> round(erlangs_for(117, 0.01), 1)
    100.1
    """
    _check_share(blocking, "blocking")
    low, high = 0.0, 1.0
    while erlang_b(high, channels) <= blocking:
        low, high = high, 2.0 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2.0
        low, high = (middle, high) if erlang_b(middle, channels) <= blocking else (low, middle)
    return low


def _check(offered: float, channels: int) -> None:
    if not 0.0 <= offered < inf:
        raise InputError(f"{offered:g} Erlang cannot be offered - give a number from 0")
    if channels < 0:
        raise InputError(f"there are no {channels} channels - give a number from 0")


def _check_share(share: float, what: str) -> None:
    if not 0.0 < share < 1.0:
        raise InputError(f"{what} is a share of calls between 0 and 1, not {share:g} - write 0.01 for 1 %")
