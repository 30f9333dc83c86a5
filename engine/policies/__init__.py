"""Stock policies, one to a file, and the loader that finds these and yours."""

from __future__ import annotations

from engine.policies.loading import PolicyError, load_policy, stock_policies

__all__ = ["PolicyError", "load_policy", "stock_policies"]
