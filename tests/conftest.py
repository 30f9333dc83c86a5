"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--freeswitch",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="A real FreeSWITCH (its SIP port) for the tests marked freeswitch, which call and pause it; can be "
        "repeated. Its event socket's port and password, a user's password and the numbers of two users are "
        "taken from FREESWITCH_EVENTS (8021), FREESWITCH_EVENTS_PASSWORD (ClueCon), FREESWITCH_PASSWORD (1234) "
        "and FREESWITCH_USERS (1000,1001; also as 1000-1019).",
    )
    parser.addoption(
        "--freeswitch-kill",
        metavar="COMMAND",
        help="The shell's command that kills the first --freeswitch with SIGKILL: calls are to outlive that.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "freeswitch" in metafunc.fixturenames:
        given = metafunc.config.getoption("--freeswitch")
        missing = pytest.param("", marks=pytest.mark.skip(reason="no --freeswitch HOST[:PORT] given"))
        metafunc.parametrize("freeswitch", given or [missing])
