"""The twin: what was said in a deployment, held against the simulation, or played to it once more.

from lab.twin import replay, rehearse_and_compare

replay("monday.pcap", "my.yaml", policy="least_loaded").figures()   # the same messages, another policy
rehearse_and_compare("seed", scenario="quiet", duration_s=5)        # forecast against real sockets
"""

from __future__ import annotations

from lab.twin.capture_writer import write_capture
from lab.twin.comparison import Comparison, compare, steps_of_messages
from lab.twin.forecast import Forecast, rehearse_and_compare
from lab.twin.recording import Recording, read_capture, recording_of
from lab.twin.replay import Replay, replay

__all__ = [
    "Comparison",
    "Forecast",
    "Recording",
    "Replay",
    "compare",
    "read_capture",
    "recording_of",
    "rehearse_and_compare",
    "replay",
    "steps_of_messages",
    "write_capture",
]
