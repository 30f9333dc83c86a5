"""Balancers and proxies by name, and where their figures come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sim.balancer.settings import BalancerSettings


@dataclass(frozen=True, slots=True)
class BalancerPreset:
    """Settings and their source."""

    settings: BalancerSettings
    source: str


BALANCERS: Final[Mapping[str, BalancerPreset]] = MappingProxyType(
    {
        "plain": BalancerPreset(BalancerSettings(), "no product's: round figures"),
        "aws_nlb": BalancerPreset(
            BalancerSettings(
                choice="flow",
                tcp_idle_s=350.0,
                udp_idle_s=120.0,
                on_idle="reset",
                fails_open=True,
                check_interval_s=30.0,
                check_timeout_s=10.0,
                unhealthy_after=3,
                healthy_after=3,
            ),
            "AWS, Network Load Balancers: TCP 350 s (RST to whoever speaks next), UDP 120 s; checks every 30 s",
        ),
        "aws_alb": BalancerPreset(
            BalancerSettings(
                choice="round_robin",
                keeps_source=False,
                tcp_idle_s=60.0,
                on_idle="close",
                fails_open=True,
                check_interval_s=30.0,
                check_timeout_s=5.0,
                unhealthy_after=2,
                healthy_after=5,
            ),
            "AWS, Application Load Balancers: idle timeout 60 s, WebSocket included; round robin",
        ),
        "nginx": BalancerPreset(
            BalancerSettings(
                choice="round_robin",
                keeps_source=False,
                tcp_idle_s=60.0,
                on_idle="close",
                check_interval_s=10.0,
                unhealthy_after=1,
                healthy_after=1,
            ),
            "nginx, WebSocket proxying: proxy_read_timeout 60 s; max_fails 1, fail_timeout 10 s",
        ),
        "huawei_elb": BalancerPreset(
            BalancerSettings(
                choice="source",
                tcp_idle_s=300.0,
                udp_idle_s=300.0,
                on_idle="close",
                check_interval_s=5.0,
                check_timeout_s=3.0,
            ),
            "Huawei Cloud, Configuring Timeout Durations: dedicated ELB, TCP and UDP 300 s; here sticky by source",
        ),
        "huawei_elb_http": BalancerPreset(
            BalancerSettings(choice="round_robin", keeps_source=False, tcp_idle_s=60.0, on_idle="close"),
            "Huawei Cloud ELB, Configuring Timeout Durations: HTTP and HTTPS listeners, WebSocket included, 60 s",
        ),
        "alibaba_clb": BalancerPreset(
            BalancerSettings(choice="round_robin", tcp_idle_s=900.0, on_idle="close", check_interval_s=2.0),
            "Alibaba Cloud CLB: TCP 900 s, then RST both ways",
        ),
    }
)
