"""What a user can mend."""

from __future__ import annotations


class InputError(Exception):
    """What was asked cannot be done; the text is one line that says why, and what to do."""
