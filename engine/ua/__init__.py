"""What it takes to be an end of a dialog: one side's state, messages from parts, a 2xx until its ACK.

The edge is one where it stands in for a node that is gone; the modelled phones and nodes always are.
"""

from __future__ import annotations
