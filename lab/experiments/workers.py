"""Where tasks run: here, on the cores of this machine, or on a Dask cluster. Results come as they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, TypeAlias

from lab.errors import InputError
from lab.experiments.task import Done, Task, failed, run_task, version

Workers: TypeAlias = "Callable[[Sequence[Task]], Iterator[Done]]"
"""Runs tasks and yields each result as it ends, in any order."""

CONNECT_S: Final = 10.0
_IDLE_S: Final = 60  # worker processes wait so long for the next experiment


def workers(processes: int | None, dask: str | None) -> Workers:
    """What runs the tasks.

    Parameters
    ----------
    processes : int or None
        Processes on this machine; 1 runs all here, None takes all cores.
    dask : str or None
        The address of a Dask scheduler instead, for example ``tcp://10.0.0.1:8786``.

    Raises
    ------
    InputError
        If there is no such cluster, or its workers cannot do it.
    """
    if dask is not None:
        return _on_dask(dask)
    count = len(os.sched_getaffinity(0)) if processes is None else processes
    if count < 1:
        raise InputError(f"processes is {processes} - give 1 or more, or None for all cores")
    return _here if count == 1 else lambda tasks: _on_cores(tasks, count)


def _here(tasks: Sequence[Task]) -> Iterator[Done]:
    for task in tasks:
        yield run_task(task)


# --- processes ----------------------------------------------------------------------------------------------


def _on_cores(tasks: Sequence[Task], count: int) -> Iterator[Done]:
    """A process that dies (out of memory, killed) takes its pool along; what it left is run one by one."""
    left = {task.key: task for task in tasks}
    for done in _in_pool(tasks, count):
        del left[done.key]
        yield done
    for task in left.values():
        alone = next(_in_pool([task], 1), None)
        yield alone or failed(task, RuntimeError("its process died - the machine may lack the memory for it"))


def _in_pool(tasks: Sequence[Task], count: int) -> Iterator[Done]:
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool

    # loky's processes take classes and functions that a notebook defines; the standard library's don't.
    from loky import get_reusable_executor

    executor = get_reusable_executor(max_workers=count, timeout=_IDLE_S, initializer=_leave_interrupts_alone)
    futures = {executor.submit(run_task, task): task for task in tasks}
    try:
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                return
            except Exception as error:  # what a task holds could not be sent
                yield failed(futures[future], error)
    except BaseException:  # interrupted, or nobody wants the rest
        executor.shutdown(wait=True, kill_workers=True)
        raise


def _leave_interrupts_alone() -> None:
    """Ctrl-C reaches every process of a terminal; the one that gave the work decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- Dask ---------------------------------------------------------------------------------------------------


def _on_dask(address: str) -> Workers:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise InputError("a Dask cluster takes distributed - pip install 'siptwin[dask]'") from None
    _check_address(address)

    def run(tasks: Sequence[Task]) -> Iterator[Done]:
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(
                f"no Dask scheduler at {address} ({reason}) - start one with `dask scheduler`, or leave dask out"
            ) from None
        with client, client.as_current():
            _check_versions(client, address)
            yield from _finished(distributed, client, tasks)

    return run


def _check_address(address: str) -> None:
    """Refused here, for a client of a malformed address waits long for its own end."""
    addressing: Any = import_module("distributed.comm")
    try:
        addressing.get_address_host_port(address)
    except ValueError as error:
        raise InputError(
            f"{address!r} is no address of a Dask scheduler ({error}) - write tcp://HOST:PORT"
        ) from None


def _check_versions(client: Any, address: str) -> None:
    try:
        versions = set(client.run(version).values())
    except Exception as error:
        raise InputError(
            f"the workers at {address} cannot import siptwin ({type(error).__name__}) - install it there"
        ) from None
    if not versions:
        raise InputError(f"the scheduler at {address} has no workers - start some with `dask worker {address}`")
    if versions != {version()}:
        told = ", ".join(sorted(versions))
        raise InputError(f"the workers at {address} run siptwin {told}, here it is {version()} - install the same")


def _finished(distributed: Any, client: Any, tasks: Sequence[Task]) -> Iterator[Done]:
    futures = {client.submit(run_task, task, pure=False): task for task in tasks}
    try:
        for future in distributed.as_completed(futures):
            try:
                yield future.result()
            except Exception as error:  # the worker died, or the task could not be sent
                yield failed(futures[future], error)
            future.release()
    finally:
        with suppress(Exception):
            client.cancel(list(futures))
