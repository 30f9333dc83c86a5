"""Where results go: told before a run that could not keep what it brings."""

from __future__ import annotations

import os
from errno import EACCES
from pathlib import Path

from lab.errors import InputError


def ready_directory(directory: Path) -> Path:
    """Make the directory if it is missing.

    Raises
    ------
    InputError
        If nothing can be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"cannot write to {directory}: it is no directory - choose another place") from None
    except OSError as error:
        raise refused(directory, error) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise refused(directory, PermissionError(EACCES, os.strerror(EACCES)))
    return directory


def ready_file(path: Path) -> Path:
    """Make the directory of a file that is going to be written.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    ready_directory(path.parent)
    was_there = path.exists()
    try:
        path.open("ab").close()  # nothing but the system knows whether it lets us
        if not was_there:
            path.unlink()
    except OSError as error:
        raise refused(path, error) from None
    return path


def ready_picture(path: Path) -> Path:
    """As `ready_file`; the suffix must be of a format that pictures can have.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    known = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        said = f"the suffix {path.suffix}" if path.suffix else "a name without a suffix"
        raise InputError(f"cannot write {path}: {said} says no format - write .png, .svg or .pdf")
    return ready_file(path)


def refused(path: Path, error: OSError) -> InputError:
    """What to tell of a place that the system refuses."""
    return InputError(f"cannot write to {path}: {(error.strerror or str(error)).lower()} - choose another place")
