"""A package by name, for some distributions install a ``tests`` of their own, which would hide a nameless one."""

from __future__ import annotations
