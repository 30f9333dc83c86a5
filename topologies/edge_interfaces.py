"""The local addresses of an edge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from engine.boundary import Interface, TlsFiles, Transport
from topologies.base import BoundPort, Host, IpAddress, Mirror, Origin, Port, Section

Tls = Annotated[
    TlsFiles,
    Mirror(
        certificate=Field(min_length=1, description="PEM file: the certificate, then its chain."),
        private_key=Field(min_length=1, description="PEM file, without a password."),
        trusted=Field(description="PEM file of authorities that sign the peers; default: the system's."),
    ),
]


class EdgeInterface(Section):
    """One local address on which an edge talks."""

    transport: Transport = Field(default="udp", description="udp, tcp, tls, ws or wss.")
    host: IpAddress = Field(description="IP address to bind; 0.0.0.0 for all, then advertised_host is needed.")
    port: BoundPort = Field(default=5060, description="Port to bind; 0 takes a free one (not in simulation).")
    advertised_host: Host | None = Field(
        default=None, description="What Via and Record-Route say where peers cannot reach the bound address."
    )
    advertised_port: Port | None = Field(default=None, description="Port that peers are told, if another.")
    tls: Tls | None = Field(
        default=None, description="Certificate and key of tls and wss; paths count from the topology's file."
    )

    origins: tuple[Origin, ...] = Field(
        default=(),
        description="Web pages that may open a WebSocket here, such as https://phone.example.org; default: all.",
    )

    def to_engine(self, name: str, base: Path | None = None) -> Interface:
        """The engine's own form of it; relative paths count from ``base``."""
        return Interface(
            name=name,
            transport=self.transport,
            host=self.host,
            port=self.port,
            advertised_host=self.advertised_host,
            advertised_port=self.advertised_port,
            tls=_from(base, self.tls) if self.tls and base else self.tls,
            origins=self.origins,
        )


def _from(base: Path, files: TlsFiles) -> TlsFiles:
    return TlsFiles(
        certificate=str(base / files.certificate),
        private_key=str(base / files.private_key),
        trusted=str(base / files.trusted) if files.trusted else None,
    )
