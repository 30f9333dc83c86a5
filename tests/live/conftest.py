from __future__ import annotations

from importlib.util import find_spec

import pytest

LOOPS = [
    pytest.param(True, id="uvloop", marks=pytest.mark.skipif(not find_spec("uvloop"), reason="not installed")),
    pytest.param(False, id="asyncio"),
]


@pytest.fixture(params=LOOPS)
def fast(request: pytest.FixtureRequest) -> bool:
    """Which event loop the host runs in: both must do."""
    return bool(request.param)
