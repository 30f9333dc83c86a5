"""Formulas of capacity and speech quality: what simulation is checked against, and what ``siptwin plan`` uses."""

from __future__ import annotations

from engine.media.mos import mos, rating
from lab.capacity.bandwidth import CODECS, Codec, codec, stream_kbit_per_s
from lab.capacity.erlang import (
    agents_for,
    channels_for,
    erlang_b,
    erlang_c,
    erlangs,
    erlangs_for,
    mean_wait_s,
    service_level,
)

__all__ = [
    "CODECS",
    "Codec",
    "agents_for",
    "channels_for",
    "codec",
    "erlang_b",
    "erlang_c",
    "erlangs",
    "erlangs_for",
    "mean_wait_s",
    "mos",
    "rating",
    "service_level",
    "stream_kbit_per_s",
]
