"""Experiments on disk: what was asked, each run as it ended, and the tables of all of them.

``experiment.json`` says what was asked, with the topology's text; ``runs/`` holds a file for each run, written
whole or not at all; ``calls.parquet`` (or ``.csv``) and the others are the tables of all runs together.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pandas as pd

from lab.errors import InputError
from lab.experiments.task import Done

ASKED: Final = "experiment.json"
_RUNS: Final = "runs"


class Store:
    """A folder of one experiment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Take the folder for this experiment.

        Raises
        ------
        InputError
            If it holds another experiment, or cannot be written.
        """
        before = self.asked() if (self.folder / ASKED).is_file() else None
        if before is not None and before["identity"] != asked["identity"]:
            differ = [
                name for name in asked["identity"] if before["identity"].get(name) != asked["identity"][name]
            ]
            raise InputError(
                f"{self.folder} holds another experiment ({', '.join(differ) or 'its contents'} differ) - "
                "choose another folder, or delete this one"
            )
        try:
            (self.folder / _RUNS).mkdir(parents=True, exist_ok=True)
            self._write(self.folder / ASKED, (json.dumps(asked, indent=1) + "\n").encode())
        except OSError as error:
            raise InputError(f"cannot write to {self.folder}: {error.strerror} - choose another folder") from None

    def asked(self) -> dict[str, Any]:
        """What was asked of the experiment that is here."""
        path = self.folder / ASKED
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            read["identity"], read["about"]
        except FileNotFoundError:
            raise InputError(
                f"there is no experiment in {self.folder} - give the folder that was saved to"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is damaged ({type(error).__name__}) - delete the folder and run again"
            ) from None
        return dict(read)

    # --- single runs ------------------------------------------------------------------------------------------

    def keep(self, done: Done) -> None:
        """Write a run; a crash leaves all of it, or nothing."""
        tables = {name: _as_plain(table) for name, table in done.tables.items()}
        plain = {**asdict(done), "tables": tables}
        self._write(self._path(done.key), gzip.compress(json.dumps(plain).encode(), compresslevel=1, mtime=0))

    def kept(self) -> dict[tuple[int, int], Done]:
        """The runs that are here, by variant and replication. Failed ones are to be tried again."""
        found = {}
        for path in sorted((self.folder / _RUNS).glob("*.json.gz")):
            done = self._read_run(path)
            if not done.error:
                found[done.key] = done
        return found

    def _path(self, key: tuple[int, int]) -> Path:
        return self.folder / _RUNS / f"{key[0]:04d}-{key[1]:05d}.json.gz"

    def _read_run(self, path: Path) -> Done:
        try:
            plain = json.loads(gzip.decompress(path.read_bytes()))
            tables = {name: _from_plain(table) for name, table in plain.pop("tables").items()}
            return Done(**plain, tables=tables)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise InputError(
                f"{path} is damaged ({type(error).__name__}) - delete it, and that run is made again"
            ) from None

    # --- all runs together ------------------------------------------------------------------------------------

    def write_tables(self, tables: Mapping[str, pd.DataFrame], form: str) -> None:
        """Write the tables of all runs, and note their types, which CSV forgets."""
        asked = self.asked()
        for name, table in tables.items():
            path = self.folder / f"{name}.{form}"
            if form == "parquet":
                table.to_parquet(path, index=False)
            else:
                table.to_csv(path, index=False)
        asked["tables"] = {
            "form": form,
            "columns": {name: {c: str(t) for c, t in table.dtypes.items()} for name, table in tables.items()},
        }
        self._write(self.folder / ASKED, (json.dumps(asked, indent=1) + "\n").encode())

    def read_tables(self) -> dict[str, pd.DataFrame]:
        """The tables of all runs, as they were written; none where the experiment was not finished."""
        told = self.asked().get("tables")
        if told is None:
            return {}
        return {name: self._read_table(name, told["form"], types) for name, types in told["columns"].items()}

    def _read_table(self, name: str, form: str, types: Mapping[str, str]) -> pd.DataFrame:
        path = self.folder / f"{name}.{form}"
        try:
            if form == "parquet":
                return pd.read_parquet(path)
            return _read_csv(path, types)
        except ImportError:
            raise InputError(f"{path} takes pyarrow - pip install 'siptwin[parquet]'") from None
        except Exception as error:  # whatever a reader says of a file that is not one
            raise InputError(f"{path} is damaged ({type(error).__name__}) - run the experiment again") from None

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        half = path.with_suffix(path.suffix + ".half")
        half.write_bytes(data)
        os.replace(half, path)


def parquet_or_csv() -> str:
    """The form of tables: Parquet where its library is installed."""
    return "parquet" if find_spec("pyarrow") else "csv"


def _as_plain(table: pd.DataFrame) -> dict[str, Any]:
    """A table as lists, with None for what is missing: JSON writes floats so that they come back the same."""
    columns = {
        name: [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
        for name, column in table.items()
    }
    return {"types": {name: str(kind) for name, kind in table.dtypes.items()}, "columns": columns}


def _from_plain(plain: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(values, dtype=plain["types"][name]) for name, values in plain["columns"].items()}
    )


def _read_csv(path: Path, types: Mapping[str, str]) -> pd.DataFrame:
    text = pd.read_csv(path, dtype="str", keep_default_na=False)
    return pd.DataFrame({name: _typed(text[name].tolist(), kind) for name, kind in types.items()})


def _typed(words: list[str], kind: str) -> pd.Series[Any]:
    """A column from its text; Python reads a float as it was, whatever pandas' own reader does."""
    values: list[Any] = list(words)
    if kind == "bool":
        values = [word == "True" for word in words]
    elif kind == "float64":
        values = [float(word) if word else None for word in words]
    elif kind in ("int64", "Int64"):
        values = [int(word) if word else None for word in words]
    return pd.Series(values, dtype=kind)
