"""What operators reach an edge by: secrets that are not there, and a token that others can read."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from engine.config import EdgeConfig
from lab.deployment import read_secret
from lab.errors import InputError
from lab.findings.finding import Finding


def operation(config: EdgeConfig) -> Iterator[Finding]:
    """Whether `siptwin serve` finds its secrets, and keeps them; simulation and rehearsal need none."""
    api = config.api
    if api is not None:
        yield from _secret(config.name, "api", api.token_env, api.token_file)
        if not (api.token_env or api.token_file or api.token):
            yield Finding("breaks", config.name, "api: has no token", "give token_env or token_file")
        if not _is_loopback(api.host):
            what = f"api: listens on {api.host} without TLS: the token passes in clear"
            yield Finding("risk", config.name, what, "let it listen on 127.0.0.1, behind a proxy with TLS")
    for node in config.nodes:
        if node.events is not None:
            yield from _secret(
                config.name, f"node {node.name}", node.events.password_env, node.events.password_file
            )


def _secret(edge: str, where: str, variable: str | None, file: str | None) -> Iterator[Finding]:
    try:
        read_secret(where, variable, file)
    except InputError as error:
        problem, _, remedy = str(error).partition(" - ")
        yield Finding("risk", edge, f"`siptwin serve` cannot start: {problem}", remedy)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
