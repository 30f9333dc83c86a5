"""Rescue: a conversation that goes on when its node dies.

The edge and its relay stand on both sides of a node that connects two agents: A - edge - node - edge - B. When the
node is gone, all that it did for the two can be done from here: the relay joins their media, and the edge answers
in the node's place in both dialogs, and ends the one when the other ends.

Which two dialogs are one conversation is never guessed: the node's events say so, or a mark that the node copied
from the one INVITE into the other. Without such proof there is no rescue, and a Note says why.
"""

from __future__ import annotations

from engine.rescue.bridges import bridge_of
from engine.rescue.ground import Ground
from engine.rescue.node_side import NodeSide
from engine.rescue.rescue import Rescue
from engine.rescue.ways import Ways

__all__ = ["Ground", "NodeSide", "Rescue", "Ways", "bridge_of"]
