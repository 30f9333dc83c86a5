"""What a user can mend."""

from __future__ import annotations


class InputError(Exception):
    """What was asked cannot be done; the text is one line that says why, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython asks): the one line, for the way that led here mends nothing."""
        return [str(self)]
