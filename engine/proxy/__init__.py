"""The mechanics of a stateful proxy (RFC 3261 §16); what to do with a call is the policy's business."""

from __future__ import annotations
