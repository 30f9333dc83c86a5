"""``siptwin lab``: JupyterLab on the notebooks."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

_FIRST_PAGE: Final = "index.ipynb"


def lab(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Where the notebooks are, or are put if they aren't there yet."),
    ] = Path("notebooks"),
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of JupyterLab on this machine.")
    ] = 8888,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    allow_root: Annotated[
        bool, typer.Option("--allow-root", help="Run as root, as in a container; JupyterLab refuses it otherwise.")
    ] = False,
) -> None:
    """Open the notebooks in JupyterLab: questions about failover and capacity, each answered by simulation.

    They are put into FOLDER, next to what you write yourself; files that are there already are left alone.

    Examples:

        siptwin lab
        siptwin lab my-questions --no-browser --port 8890
    """
    from lab.errors import InputError

    if find_spec("jupyterlab") is None:
        raise InputError(f"JupyterLab is not installed - {sys.executable} -m pip install 'siptwin[lab]'")
    try:
        put = put_notebooks(folder)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror} - choose another folder") from None
    if put:
        typer.echo(f"put {len(put)} notebooks into {folder}", err=True)
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", f"--notebook-dir={folder.resolve()}"]
    command.append(f"--LabApp.default_url=/lab/tree/{_FIRST_PAGE}")
    command += ["--no-browser"] * (not browser) + ["--allow-root"] * allow_root
    sys.stderr.flush()
    os.execve(sys.executable, command, with_defaults())  # this process becomes JupyterLab: signals reach it


def with_defaults() -> dict[str, str]:
    """The environment, with our defaults for JupyterLab's settings: it asks a newcomer nothing about its news.

    What a user has chosen in JupyterLab counts more, and no file of theirs is touched.
    """
    ours = str(Path(__file__).parents[1] / "jupyter")
    before = os.environ.get("JUPYTER_CONFIG_PATH", "")
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, (before, ours)))}


def put_notebooks(folder: Path) -> list[Path]:
    """Copy the notebooks that the folder lacks; return what was copied."""
    found = find_spec("notebooks")  # where they lie; nothing of them is imported
    places = list(found.submodule_search_locations or ()) if found is not None else []
    folder.mkdir(parents=True, exist_ok=True)
    put = []
    for source in sorted(path for place in places for path in Path(place).glob("*.ipynb")):
        target = folder / source.name
        if not target.exists():
            target.write_bytes(source.read_bytes())
            put.append(target)
    return put
