"""Database servers of Debian's packages, each with a folder, a socket and nobody else's."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

_START_S = 60.0


class Server:
    """One database server. ``url`` leads to it, to no database of its own."""

    def __init__(self, folder: Path, command: list[str], user: str | None, url: str) -> None:
        self.folder = folder
        self.url: URL = make_url(url)
        self._command = command
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def database(self, name: str) -> str:
        """The URL of a database of this name."""
        return self.url.set(database=name).render_as_string(hide_password=False)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, user=self._user)
        ends = time.monotonic() + _START_S
        engine = create_engine(self.url)
        while True:
            try:
                engine.connect().close()
                break
            except SQLAlchemyError:
                if time.monotonic() > ends or self._process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)
        engine.dispose()

    def kill(self) -> None:
        """End it at once; what it has committed it keeps."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It takes connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def mariadb() -> Iterator[Server]:
    """A MariaDB; skips where it is not installed."""
    if shutil.which("mariadbd") is None:
        pytest.skip("MariaDB (Debian: mariadb-server) is not installed")
    with _folder("mysql") as (folder, user):
        data, socket = folder / "data", folder / "socket"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        install += ["--auth-root-authentication-method=normal", "--innodb-log-file-size=4M"]
        _run(install, user, folder)
        command = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--skip-networking"]
        command += [f"--pid-file={folder}/pid", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M"]
        yield from _serving(Server(folder, command, user, f"mysql+pymysql://root@localhost/?unix_socket={socket}"))


@contextmanager
def postgresql() -> Iterator[Server]:
    """A PostgreSQL; skips where it is not installed."""
    programs = sorted(glob("/usr/lib/postgresql/*/bin/postgres"))
    if not programs:
        pytest.skip("PostgreSQL (Debian: postgresql) is not installed")
    with _folder("postgres") as (folder, user):
        data = folder / "data"
        initdb = str(Path(programs[-1]).parent / "initdb")
        _run([initdb, "-D", str(data), "-U", "siptwin", "--auth=trust", "--no-sync", "-E", "UTF8"], user, folder)
        command = [programs[-1], "-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
        url = f"postgresql+pg8000://siptwin@/postgres?unix_sock={folder}/.s.PGSQL.5432"
        yield from _serving(Server(folder, command, user, url))


def _serving(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def _folder(owner: str) -> Iterator[tuple[Path, str | None]]:
    """A short path, for sockets end at 107 octets; and the user to be where root is not welcome."""
    with tempfile.TemporaryDirectory(prefix="siptwin-db-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder, None
            return
        try:
            pwd.getpwnam(owner)
        except KeyError:
            owner = "nobody"
        shutil.chown(folder, owner)
        yield folder, owner


def _run(command: list[str], user: str | None, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, user=user, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
