"""Media: what the two sides of a call are told of each other, and the table of rules by which their packets go.

Pure decisions only. Packets are forwarded by the host, in its fastest loop, by the rules that this room sets; the
engine sees the exceptional ones: unknown source, STUN, DTLS, and summaries.
"""

from __future__ import annotations
