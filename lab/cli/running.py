"""How commands reach a running `siptwin serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.live.api.client import ApiClient


def client(control: Path | None, api: str | None, token_file: Path | None) -> ApiClient:
    """By its control socket, or by its API where that is named.

    Raises
    ------
    InputError
        If there is no token for the API.
    """
    from engine.live.api.client import ApiClient
    from lab.deployment import read_secret
    from lab.errors import InputError

    if api is None:
        return ApiClient(control)
    token = read_secret("--token-file", None, str(token_file) if token_file else None)
    token = token or os.environ.get("SIPTWIN_TOKEN")
    if not token:
        raise InputError(f"{api} asks for a token - set SIPTWIN_TOKEN, or give --token-file")
    return ApiClient(url=api, token=token)
