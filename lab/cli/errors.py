"""Errors at the border to the user: one line on stderr and an exit code, never a traceback.

Exit codes: 0 all is well; 1 the run found something wrong; 2 the input is wrong; 70 a fault of siptwin's own; 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

FOUND_SOMETHING: Final = 1
BAD_INPUT: Final = 2
INTERNAL: Final = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED: Final = 130  # as shells count SIGINT

# Typer's own ways out. Its base of usage errors comes from click in older versions and from a copy in newer ones.
_TYPERS_OWN: Final[tuple[type[BaseException], ...]] = (
    typer.Exit,
    typer.Abort,
    typer.BadParameter.__mro__[1],
)


class OneLineErrors(TyperGroup):
    """The group of all commands; what they raise becomes text and an exit code here."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises
        ------
        typer.Exit
            Instead of whatever the command raised.
        """
        try:
            return super().invoke(ctx)
        except _TYPERS_OWN:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `siptwin ... | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            if ctx.params.get("traceback"):
                raise
            raise typer.Exit(tell(error)) from None


def tell(error: Exception) -> int:
    """Write what is wrong to stderr; return the exit code that belongs to it."""
    if is_input_error(error):
        lines = str(error).splitlines() or [type(error).__name__]
        for line in lines:
            print(f"siptwin: {line}", file=sys.stderr)
        return BAD_INPUT
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"siptwin: a fault of its own: {summary} - run `siptwin --traceback ...` and report it", file=sys.stderr)
    return INTERNAL


def is_input_error(error: Exception) -> bool:
    """Whether the user can mend it. The classes are looked up late: importing them all would slow ``--help``."""
    from engine.live.errors import LiveError
    from engine.policies import PolicyError
    from lab.errors import InputError
    from topologies import TopologyError

    return isinstance(error, (TopologyError, PolicyError, LiveError, InputError))
