"""Make each notebook from its text, run it, and keep what it shows: ``python -m notebooks [NAME ...]``.

The text (``NAME.py``, jupytext's percent form) is what is edited and reviewed; ``NAME.ipynb`` follows from it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient
from nbformat import writes

HERE = Path(__file__).parent
TIMEOUT_S = 300
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def names() -> list[str]:
    """All notebooks."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("__"))


def from_text(name: str) -> Any:
    """A notebook without outputs; its cells have numbers for identities, so that they stay the same."""
    notebook = jupytext.read(HERE / f"{name}.py")
    notebook.metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def execute(notebook: Any, timeout_s: float = TIMEOUT_S) -> Any:
    """Run all cells in a kernel of their own; raises nbclient's ``CellExecutionError`` where one fails."""
    NotebookClient(notebook, timeout=timeout_s, resources={"metadata": {"path": str(HERE)}}).execute()
    for cell in notebook.cells:
        cell["metadata"].pop("execution", None)  # when each cell ran: another time each time
    return notebook


def main(wanted: list[str]) -> None:
    """Run the notebooks asked for, or all."""
    for name in wanted or names():
        print(name, flush=True)
        text: str = writes(execute(from_text(name)))
        (HERE / f"{name}.ipynb").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
