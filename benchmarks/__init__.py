"""Timed runs beside Kamailio; see README.md in this folder. Never part of the tests."""
