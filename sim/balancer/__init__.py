"""Load balancers (SLB) before the edges: pure machines, no clock and no network inside."""

from __future__ import annotations

from sim.balancer.machine import Balancer, Forwarded
from sim.balancer.presets import BALANCERS, BalancerPreset
from sim.balancer.settings import BalancerSettings

__all__ = ["BALANCERS", "Balancer", "BalancerPreset", "BalancerSettings", "Forwarded"]
