"""Commands of an operator's by which a rehearsal does what it cannot do itself."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from lab.errors import InputError

COMMAND_S = 20.0


async def run_command(node: str, command: str, within_s: float = COMMAND_S) -> None:
    """Run the shell's command that kills a real node.

    Parameters
    ----------
    node : str
        Whom it kills.
    command : str
        As ``--kill-with`` had it; what it writes is seen where the rehearsal's own words are.
    within_s : float
        How long it gets; then it is ended with all that it has started.

    Raises
    ------
    InputError
        If it has failed, or not ended in time: all that followed would be told of a node that lives.
    """
    process = await asyncio.create_subprocess_shell(command, start_new_session=True)
    try:
        async with asyncio.timeout(within_s):
            status = await process.wait()
    except TimeoutError:
        late = f"not through after {within_s:g} s - let it not wait for what it has started"
        raise InputError(f"--kill-with {node}={command}: {late}") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status:
        how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        raise InputError(f"--kill-with {node}={command}: {how} - try it by itself first")
