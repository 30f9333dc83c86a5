"""Programs under measurement: started on one core, measured by the scheduler's own count, ended by their id."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

PROXY_CORE, LOAD_CORE = 0, 1
NANOSECONDS = 1e9


class BenchmarkError(Exception):
    """The measurement cannot be made; the text says why and what helps."""


def require(command: str, package: str) -> None:
    """Refuse to start without a program, and say which Debian package holds it."""
    if shutil.which(command) is None:
        raise BenchmarkError(f"{command} is not installed - apt-get install {package}")


def pin(core: int) -> list[str]:
    """The words before a command that keep it on one core, where the machine has one to spare."""
    if (os.cpu_count() or 1) < 2:
        return []
    require("taskset", "util-linux")
    return ["taskset", "--cpu-list", str(core)]


def end_with_us(number: int, _frame: object) -> None:
    """Turn a signal into an exit that runs every ``with`` block, and so ends what was started."""
    raise SystemExit(128 + number)


def end_children_on_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_with_us)


def interpreter(word: str) -> str:
    """A Python as given on the command line, absolute: programs run in a folder of their own.

    Links are kept, since a virtual environment is found by the link that was followed.
    """
    found = shutil.which(word)
    if found is None:
        raise argparse.ArgumentTypeError(f"no interpreter at {word}")
    return str(Path(found).absolute())


class Cpu(NamedTuple):
    """Seconds that a program ran, and that it was ready to run while others had its core."""

    used_s: float
    waited_s: float


class Program:
    """One started program and all its descendants; leaving the ``with`` block ends them.

    Its output goes to ``log``. The kernel kills it should this process die first.
    """

    def __init__(self, argv: Sequence[str], *, core: int, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = Path(argv[0]).name
        self.log = log
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [*guard, *pin(core), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=log.parent,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, timeout_s: float) -> int:
        """The exit code; a program that outlives the time-out is ended and told as an error."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise BenchmarkError(
                f"{self.name} did not end within {timeout_s:.0f} s - {self.last_words()}"
            ) from None

    def kill(self) -> None:
        """End it at once and without a farewell, as a crash would."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self._popen.wait()

    def stop(self, patience_s: float = 5.0) -> None:
        """Ask it to end, and insist after a while."""
        pids = self.pids()
        if self.running:
            self._popen.terminate()
            try:
                self._popen.wait(patience_s)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        for pid in pids[1:]:
            if _parent_of(pid) == 1:  # orphaned by what we just ended
                os.kill(pid, signal.SIGKILL)

    def pids(self) -> list[int]:
        """Its own id and those of its descendants."""
        if not self.running:
            return []
        parents = {int(entry.name): _parent_of(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
        family = [self._popen.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        return family

    def cpu(self) -> Cpu:
        """CPU time of all its processes and threads so far.

        From schedstat, which counts nanoseconds; /proc/stat samples by the tick and reads several times too low.
        """
        used = waited = 0
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                ran, queued, _slices = task.read_text().split()
                used += int(ran)
                waited += int(queued)
        return Cpu(used / NANOSECONDS, waited / NANOSECONDS)

    def memory_bytes(self) -> int:
        """Resident memory of all its processes; a page that several share is counted once (PSS)."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "it said: " + " | ".join(lines[-3:]) if lines else "it said nothing"


def _parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])  # the name before may hold spaces and parentheses


def wait_until(condition: Callable[[], bool], *, deadline_s: float, what: str, every_s: float = 0.005) -> None:
    """Wait for a condition, at most until the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise BenchmarkError(f"waited {deadline_s:.0f} s in vain: {what}")
        time.sleep(every_s)


def run_main(main: Callable[[], None]) -> None:
    """Run a benchmark's main: what went wrong becomes one line and exit code 2."""
    end_children_on_signals()
    try:
        main()
    except BenchmarkError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
