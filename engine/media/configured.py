"""What a relay's configuration means: which address serves whom, and how streams are negotiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import cast

from engine.config import MediaInterface, RelayConfig
from engine.media.codecs import CodecPolicy
from engine.media.ports import OwnPorts, PortPool
from engine.media.profiles import PROFILE_OF_KIND, Kind
from engine.media.sdp.attributes import parse_fingerprints
from engine.media.settings import MediaSettings
from engine.media.targets import Targets


def places(interfaces: tuple[MediaInterface, ...]) -> Callable[[str], MediaInterface]:
    """Which of ours peers of a SIP interface are told; the first where none serves it."""
    by_interface = {name: each for each in reversed(interfaces) for name in each.serves}
    return lambda name: by_interface.get(name, interfaces[0])


def media_settings(config: RelayConfig, pools: Mapping[str, PortPool]) -> MediaSettings:
    """``pools`` are those of the interfaces whose ports are ours."""
    owned = [each for each in config.interfaces if each.name in pools]
    hosts = [(each.host, pools[each.name]) for each in owned]
    hosts += [(each.advertised_host, pools[each.name]) for each in owned if each.advertised_host]
    usual = MediaSettings()
    fingerprints = parse_fingerprints([config.fingerprint.encode("ascii")]) if config.fingerprint else ()
    return replace(
        usual,
        fingerprint=fingerprints[0] if fingerprints else None,
        profiles={**PROFILE_OF_KIND, **{cast(Kind, kind): name for kind, name in config.profiles.items()}},
        codecs=CodecPolicy(
            force=config.force_codecs,
            forbid=frozenset(config.forbid_codecs),
            order=config.order_codecs,
            transcode=config.transcode,
        ),
        # A relay that stands on loopback itself serves peers there: tests, and everything on one machine.
        targets=Targets(loopback=any(_is_loopback(each.host) for each in config.interfaces), own=OwnPorts(hosts)),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
