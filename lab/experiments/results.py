"""What an experiment brought: tables of all runs, means with confidence, and paired differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from lab.errors import InputError
from lab.experiments.metrics import INTEGERS
from lab.experiments.statistics import interval
from lab.experiments.store import Store, parquet_or_csv
from lab.experiments.task import MESSAGES, Done
from lab.results import Frames
from topologies import Topology, parse
from topologies.errors import did_you_mean

_SHOWN = ("failed_share", "delayed_share", "setup_p99_s", "known_down_s")
_ROWS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class About:
    """What was asked: enough to run it again."""

    siptwin: str
    topology: str = field(repr=False)
    topology_name: str
    factors: Mapping[str, str]
    levels: Mapping[str, Sequence[Any]]
    seed: int
    replications: int

    def read_topology(self) -> Topology:
        """The topology that all variants come from."""
        return parse(self.topology.encode(), self.topology_name)


class Results:
    """The runs of an experiment as data frames. Each row says by the factors' columns which variant it is of.

    Attributes
    ----------
    runs : DataFrame
        One row a run: factors, ``replication``, ``seed``, and its figures. Durations are in seconds (``_s``),
        shares between 0 and 1 (``_share``).
    failures : DataFrame
        One row for each run that failed: its factors, seed, ``error`` and ``trace``.
    calls, attempts, decisions, node_states, events, registrations, pings, messages : DataFrame
        The tables of all runs one below the other (see `lab.results.Frames`), where they were kept.
    about : About
        What was asked.
    complete : bool
        Whether every run that was asked for has been tried.
    """

    def __init__(self, about: About, tables: Mapping[str, pd.DataFrame], *, complete: bool) -> None:
        self.about = about
        self.complete = complete
        self._tables = dict(tables)

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._tables[name]
        except KeyError:
            raise AttributeError(
                f"there is no table {name!r} here - {did_you_mean(name, self._tables)} (see keep= of Experiment)"
            ) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._tables]  # so that Tab offers them

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """All tables by name."""
        return self._tables

    @property
    def factors(self) -> list[str]:
        """The columns that say which variant a row is of."""
        return list(self.about.factors)

    # --- statistics -------------------------------------------------------------------------------------------

    def estimate(self, metric: str, confidence: float = 0.95) -> pd.DataFrame:
        """The mean of a figure in each variant, with its confidence interval over the replications.

        Parameters
        ----------
        metric : str
            A column of ``runs``.
        confidence : float
            Of the interval.

        Returns
        -------
        DataFrame
            The factors, ``n``, ``mean``, ``half_width``, ``low``, ``high``. Runs without a value don't count.

        Raises
        ------
        InputError
            If there is no such figure.

        Examples
        --------
        >>> results.estimate("failed_share")  # doctest: +SKIP
        """
        values = self._values(metric)
        rows = [
            {**labels, **_as_row(values.loc[index].tolist(), confidence)}
            for labels, index in self._groups(self.runs)
        ]
        return pd.DataFrame(rows)

    def compare(self, factor: str, metric: str, baseline: Any = None, confidence: float = 0.95) -> pd.DataFrame:
        """What a level of a factor changes against another one, run by run: both met the same calls.

        Parameters
        ----------
        factor : str
            The column whose levels are compared; all other factors are kept equal.
        metric : str
            A column of ``runs``.
        baseline : level, optional
            What the others are compared with; default: the first level.
        confidence : float
            Of the interval.

        Returns
        -------
        DataFrame
            Factors, ``n``, ``mean`` of the differences (level minus baseline), ``half_width``, ``low``, ``high``.
        """
        if factor not in self.factors:
            raise InputError(f"{factor!r} was not varied - {did_you_mean(factor, self.factors)}")
        levels = list(self.about.levels[factor])
        against = levels[0] if baseline is None else baseline
        if against not in levels:
            raise InputError(f"{factor} was never {against!r} - {did_you_mean(str(against), map(str, levels))}")
        self._values(metric)
        keys = [*(name for name in self.factors if name != factor), "replication"]
        base = self.runs[self.runs[factor] == against].set_index(keys)[metric].astype("float64")
        rows: list[dict[str, Any]] = []
        for labels, index in self._groups(self.runs):
            if labels[factor] == against:
                continue
            own = self.runs.loc[index].set_index(keys)[metric].astype("float64")
            differences = (own - base.reindex(own.index)).tolist()
            rows.append({**labels, **_as_row(differences, confidence)})
        return pd.DataFrame(rows)

    def _values(self, metric: str) -> pd.Series[float]:
        known = [c for c in self.runs.columns if c not in (*self.factors, "replication", "seed", "trace_hash")]
        if not len(self.runs):
            why = f", the first with: {self.failures['error'].iloc[0]}" if len(self.failures) else ""
            raise InputError(f"no run ended well{why} - look at the table failures")
        if metric not in known:
            raise InputError(f"there is no figure {metric!r} - {did_you_mean(metric, known)}")
        return self.runs[metric].astype("float64")

    def _groups(self, frame: pd.DataFrame) -> Iterable[tuple[dict[str, Any], pd.Index[Any]]]:
        if not self.factors:
            return [({}, frame.index)]
        return [
            (dict(zip(self.factors, key, strict=True)), part.index)
            for key, part in frame.groupby(self.factors, sort=False)
        ]

    # --- on disk ----------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write all tables (Parquet where pyarrow is installed, else CSV) with what is needed to run it again.

        Raises
        ------
        InputError
            If the folder cannot be written, or holds another experiment.
        """
        store = Store(Path(folder))
        if not (store.folder / "experiment.json").is_file():
            store.begin({"identity": {"saved": True}, "about": _plain(self.about)})
        try:
            store.write_tables(self._tables, parquet_or_csv())
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror} - choose another folder") from None
        return store.folder

    # --- shown ------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Results: {self._headline()}>"

    def _repr_html_(self) -> str:
        shown = [metric for metric in _SHOWN if metric in self.runs and self.runs[metric].notna().any()]
        parts = [f"<p><b>{escape(self._headline())}</b></p>"]
        if len(self.runs) and shown:
            table = self.estimate(shown[0])[[*self.factors, "n"]]
            for metric in shown:
                found = self.estimate(metric)
                table[metric] = [
                    f"{mean:.4g}" + (f" ± {half:.2g}" if half == half else "")
                    for mean, half in zip(found["mean"], found["half_width"], strict=True)
                ]
            parts.append(table.head(_ROWS_SHOWN).to_html(index=False, border=0))
        if len(self.failures):
            first = self.failures.iloc[0]
            parts.append(
                f"<p>{len(self.failures)} runs failed, seed {first['seed']}: {escape(first['error'])}</p>"
            )
        return "".join(parts)

    def _headline(self) -> str:
        varied = " x ".join(f"{len(levels)} {name}" for name, levels in self.about.levels.items()) or "one variant"
        state = "" if self.complete else ", interrupted"
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        return f"{self.about.topology_name}: {varied}, {len(self.runs)} runs{failed}{state}"


def load(folder: str | Path) -> Results:
    """Read what `Results.save` or ``Experiment.run(folder=...)`` wrote, also what an interrupted one left.

    Raises
    ------
    InputError
        If there is no experiment, or a file is damaged.
    """
    store = Store(Path(folder))
    try:
        about = About(**store.asked()["about"])
    except TypeError:
        raise InputError(f"{folder}/experiment.json is of another version of siptwin - run it again") from None
    tables = store.read_tables()
    if tables:
        return Results(about, tables, complete=True)
    labels = [dict(each) for each in store.asked()["variants"]]
    return Results(about, collect(store.kept().values(), labels, about), complete=False)


def collect(
    finished: Iterable[Done], labels: Sequence[Mapping[str, Any]], about: About
) -> dict[str, pd.DataFrame]:
    """The tables of all runs, in the order of variants and replications, whatever order they ended in."""
    ordered = sorted(finished, key=lambda done: done.key)
    sound = [done for done in ordered if not done.error]
    broken = [done for done in ordered if done.error]
    tables = {
        "runs": _runs(sound, labels),
        "failures": pd.DataFrame(
            [{**labels[d.variant], **_which(d), "error": d.error, "trace": d.trace} for d in broken],
            columns=[*about.factors, "replication", "seed", "error", "trace"],
        ),
    }
    known = (*(each.name for each in fields(Frames)), MESSAGES)
    names = [name for name in known if any(name in done.tables for done in sound)]
    for name in names:
        parts = [_placed(done, name, labels[done.variant]) for done in sound if name in done.tables]
        filled = [part for part in parts if len(part)] or parts[:1]
        tables[name] = pd.concat(filled, ignore_index=True)
    return tables


def _which(done: Done) -> dict[str, int]:
    return {"replication": done.replication, "seed": done.seed}


def _runs(sound: Sequence[Done], labels: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame([{**labels[done.variant], **_which(done), **done.figures} for done in sound])
    for name in frame.columns:
        if name in INTEGERS:
            frame[name] = frame[name].astype("int64")
        elif name not in labels[0] and name not in ("replication", "seed", "trace_hash"):
            frame[name] = frame[name].astype("float64")
    return frame


def _placed(done: Done, name: str, labels: Mapping[str, Any]) -> pd.DataFrame:
    """A run's table with the columns that say which run it was; they hide columns of the same name."""
    table = done.tables[name]
    where = {**labels, "replication": done.replication}
    shown = table.drop(columns=[column for column in where if column in table.columns])
    for position, (column, value) in enumerate(where.items()):
        shown.insert(position, column, value)
    return shown


def _as_row(values: Sequence[float], confidence: float) -> dict[str, Any]:
    found = interval(values, confidence)
    return {
        "n": found.n,
        "mean": found.mean,
        "half_width": found.half_width,
        "low": found.low,
        "high": found.high,
    }


def _plain(about: About) -> dict[str, Any]:
    return {each.name: getattr(about, each.name) for each in fields(about)}
