"""Pictures of a run: readable in print, in grey, and by the colour-blind."""

from __future__ import annotations
