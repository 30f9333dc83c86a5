"""The relay's settings on a host: what it can't do isn't offered."""

from __future__ import annotations

import pytest

from engine.config import MediaInterface, RelayConfig
from engine.live.relay import hosting
from engine.live.relay.certificate import new_certificate

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
