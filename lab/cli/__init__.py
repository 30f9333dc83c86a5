"""The command line: ``siptwin simulate | rehearse | serve | check | plan | lab | nodes``.

Heavy imports (data frames, plots, the engine itself) are made by the commands that need them, so that ``--help``
answers at once.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the command ``siptwin``."""
    from lab.cli.app import app

    app(prog_name="siptwin")
