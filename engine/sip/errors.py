"""What is wrong with a message, and what its sender is to be told."""

from __future__ import annotations


class SipError(ValueError):
    """A message, or a part of it, that breaks the grammar or a rule.

    ``status`` is the response that RFC 3261 or RFC 4475 asks for where the message is a request.
    """

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.why = why
        self.status = status


class RefusalError(SipError):
    """A refusal whose response bears further header lines."""

    def __init__(self, status: int, why: str, *lines: bytes) -> None:
        super().__init__(why, status)
        self.lines = lines
