"""``siptwin certificate``: a certificate for development."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def certificate(
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="DNS name or IP address that clients connect to; may be repeated. Default: localhost.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where the files go.")] = Path(
        "certificates"
    ),
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=3650, help="How long it is valid.")] = 365,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Make a certificate for development: for `tls` and `wss` where no real one is at hand.

    An authority of its own signs it; who trusts that authority (its key is thrown away) trusts this certificate.
    Prints what to write into the topology, and how a browser comes to trust it. In production give the paths of a
    certificate that the world trusts.

    Examples:

        siptwin certificate
        siptwin certificate --host sip.example.test --host 192.0.2.10 --out /etc/siptwin/tls
    """
    from shlex import quote

    import yaml

    from lab.certificates import DEFAULT_HOSTS, make_certificate

    hosts = host or list(DEFAULT_HOSTS)
    files = make_certificate(out, hosts, days=days, force=force)
    lines = {"tls": {"certificate": str(files.certificate), "private_key": str(files.private_key)}}
    authority = quote(str(files.authority))
    print(f"A certificate for {', '.join(hosts)}, valid for {days} days:\n")
    for path in files:
        print(f"  {path}")
    print("\nIn the topology, below an interface of transport tls or wss:\n")
    for line in yaml.safe_dump(lines, sort_keys=False, allow_unicode=True, width=4096).splitlines():
        print(f"        {line}")
    print(
        "\nChromium trusts it after (Debian: apt-get install libnss3-tools; then restart Chromium)\n\n"
        f"  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n siptwin -i {authority}\n\n"
        "or by its settings, under certificates, as an authority; Firefox likewise.\n"
        f"Softphones: give {authority} as their CA file (baresip: `sip_cafile`)."
    )
