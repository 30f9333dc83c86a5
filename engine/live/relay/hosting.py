"""The data plane of one host: what its machine's built-in relay needs on real sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from engine.config import RelayConfig
from engine.live.relay.certificate import Certificate
from engine.live.relay.codecs import can_transcode
from engine.live.relay.plane import MediaPlane, is_free
from engine.media.rules import MediaInput

PlaneMaker: TypeAlias = Callable[[Callable[[MediaInput], None]], MediaPlane]
"""Makes the data plane, given whom it tells what happens."""


def shown(config: RelayConfig, certificate: Certificate) -> RelayConfig:
    """The relay's settings as this host can obey them, with the certificate that its peers will see.

    Without FFmpeg nobody is offered a codec that would have to be made: sides without a common one are told 488.
    """
    return replace(
        config,
        fingerprint=bytes(certificate.fingerprint).decode("ascii"),
        transcode=config.transcode if can_transcode() else "never",
    )


def port_check(config: RelayConfig) -> Callable[[str, int], bool]:
    """What tells the edge which pairs of ports something else on this machine has."""
    return partial(is_free, {each.name: each.host for each in config.interfaces})


def plane_for(config: RelayConfig, certificate: Certificate) -> PlaneMaker:
    """What makes the data plane of these settings."""
    hosts = {each.name: each.host for each in config.interfaces}
    return lambda on_input: MediaPlane(hosts, on_input, certificate=certificate)
