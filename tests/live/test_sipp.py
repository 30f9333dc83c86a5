"""`siptwin serve` between SIPp and SIPp, as its user starts it; one of two answerers is killed under load."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.peers.sipp import CALLER, EDGE, FIRST, MISSING, SECOND, last_row, programs, sipp, wait_for_answer

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

RATE, CALLS = 100, 600

TOPOLOGY = f"""
edges: {{edge1: {{interfaces: {{both: {{host: {EDGE}}}}}}}}}
nodes:
  FS1: {{host: {FIRST}, resources: pstn=1000}}
  FS2: {{host: {SECOND}, resources: pstn=1000}}
"""


def test_no_call_fails_when_an_answerer_is_killed(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TOPOLOGY)
    with programs(tmp_path) as start:
        first = start(*sipp("node", FIRST))
        start(*sipp("node", SECOND))
        serve = start(sys.executable, "-m", "lab.cli", "serve", "two.yaml", "--control", str(tmp_path / "control"))
        wait_for_answer(EDGE)
        statistics = tmp_path / "caller.csv"
        more = ("-r", str(RATE), "-m", str(CALLS), "-d", "100", "-trace_stat", "-stf", str(statistics), "-fd", "1")
        caller = start(*sipp("caller", CALLER, *more), f"{EDGE}:5060")
        ends = time.monotonic() + 30
        while int(last_row(statistics).get("SuccessfulCall(C)") or 0) < CALLS // 3 and time.monotonic() < ends:
            with pytest.raises(subprocess.TimeoutExpired):  # the caller still calls
                caller.wait(0.1)
        first.send_signal(signal.SIGKILL)
        # Calls that stood at the dead answerer can't be ended by a BYE to it; no call may fail to be set up.
        caller.wait(60)
        row = last_row(statistics)
        stood = RATE // 10 + 5
        assert int(row["SuccessfulCall(C)"]) >= CALLS - stood, row
        assert int(row["OutgoingCall(C)"] or row["TotalCallCreated"]) >= CALLS
        serve.terminate()
        assert serve.wait(40) == 0
