"""The relay's settings on a host: what it can't do isn't offered."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from relay_desk import loopback_host

from engine.config import MediaInterface, RelayConfig
from engine.live.relay import hosting
from engine.live.relay.certificate import new_certificate

HOST = loopback_host()
CONFIG = RelayConfig(interfaces=(MediaInterface(name="outside", host="127.0.0.1"),))


def test_without_ffmpeg_nobody_is_offered_a_codec_that_would_have_to_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate = new_certificate()
    for able, expected in ((True, "needed"), (False, "never")):
        monkeypatch.setattr(hosting, "can_transcode", lambda able=able: able)
        assert hosting.shown(CONFIG, certificate).transcode == expected


def test_peers_are_told_the_fingerprint_of_the_certificate_that_they_will_see() -> None:
    certificate = new_certificate()
    assert hosting.shown(CONFIG, certificate).fingerprint == bytes(certificate.fingerprint).decode()


def test_a_pair_is_free_where_neither_port_is_bound_by_anybody() -> None:
    is_free = hosting.port_check(replace(CONFIG, interfaces=(MediaInterface(name="outside", host=HOST),)))
    assert is_free("outside", 20_000)
    for port in (20_000, 20_001):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((HOST, port))
            assert not is_free("outside", 20_000)
    assert is_free("outside", 20_000)


def test_an_address_that_is_not_ours_is_left_to_fail_with_its_own_words() -> None:
    config = replace(CONFIG, interfaces=(MediaInterface(name="outside", host="192.0.2.1"),))
    assert hosting.port_check(config)("outside", 20_000)
