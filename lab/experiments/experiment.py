"""A question to the simulation: one topology, what is varied, how often it is tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, get_args

from engine import __version__
from lab.asked import GivenTopology, check_run, topology_from
from lab.errors import InputError
from lab.experiments.metrics import Measure
from lab.experiments.progress import Tell, progress_bar
from lab.experiments.results import About, Results, collect
from lab.experiments.statistics import interval
from lab.experiments.store import Store, parquet_or_csv
from lab.experiments.task import MESSAGES, Done, Level, Task
from lab.experiments.variants import Factor, Variant, factor, variants, with_columns
from lab.experiments.workers import workers
from lab.results import Frames
from sim.build import PolicyChoice
from topologies import Topology
from topologies.errors import did_you_mean

ALL_TABLES: Final = tuple(each.name for each in fields(Frames))


@dataclass(frozen=True, kw_only=True)
class _Asked:
    topology: Topology
    scenario: str | None = None
    policy: PolicyChoice = None
    duration_s: float | None = None
    level: Level = "messages"
    seed: int = 0
    keep: tuple[str, ...] = ALL_TABLES
    measures: Mapping[str, Measure] = field(default_factory=dict)
    factors: tuple[Factor, ...] = ()


class Experiment:
    """Simulations of one topology that differ in what is varied, and in their seed.

    An experiment is never changed: each method returns another one, or results.

    Parameters
    ----------
    topology : Topology, str or path
        What is simulated; a name or path is loaded.
    scenario : str, optional
        Default: the topology's own.
    policy : str, class or object, optional
        Of all edges, instead of the topology's. An object is copied for each run.
    duration_s : float, optional
        New calls come for so long; default: the scenario's.
    level : {"messages", "calls"}
        ``calls`` leaves the messages out, which is some thirty times as fast: for channels and policies over many
        hours. Faults take messages.
    seed : int
        Of the first replication; the n-th has ``seed + n`` in every variant (common random numbers), and
        ``siptwin simulate --seed`` repeats it.
    keep : sequence of str, optional
        The tables to keep besides ``runs``; default: all but ``messages``, which have a dozen rows a call. ``()``
        for very long experiments.
    measures : mapping, optional
        Figures of your own by name: functions of a run's `lab.results.Frames`, called where the run was.

    Raises
    ------
    InputError, TopologyError
        If it could not be run; said here, not in each run.

    Examples
    --------
    >>> slow = Experiment("seed", duration_s=40).vary(policy=["least_loaded", "seed"])
    >>> results = slow.run(replications=2, processes=1, progress=False)
    >>> len(results.runs)
    4
    >>> results.compare("policy", "calls_delayed")["mean"].iloc[0] > 10
    True
    """

    def __init__(
        self,
        topology: GivenTopology,
        *,
        scenario: str | None = None,
        policy: PolicyChoice = None,
        duration_s: float | None = None,
        level: Level = "messages",
        seed: int = 0,
        keep: Iterable[str] = ALL_TABLES,
        measures: Mapping[str, Measure] | None = None,
    ) -> None:
        kept = tuple(keep)
        known = (*ALL_TABLES, MESSAGES)
        for name in kept:
            if name not in known:
                raise InputError(f"there is no table {name!r} - {did_you_mean(name, known)}")
        if MESSAGES in kept and level == "calls":
            raise InputError("level='calls' has no messages - leave the one or the other out")
        check_run(seed, duration_s)
        if level not in get_args(Level):
            raise InputError(f"there is no level {level!r} - {did_you_mean(str(level), get_args(Level))}")
        self._asked = _Asked(
            topology=topology_from(topology),
            scenario=scenario,
            policy=policy,
            duration_s=duration_s,
            level=level,
            seed=seed,
            keep=tuple(name for name in known if name in kept),
            measures=dict(measures or {}),
        )
        self._variants = self._make()

    @classmethod
    def _of(cls, asked: _Asked) -> Experiment:
        made = cls.__new__(cls)
        made._asked = asked
        made._variants = made._make()
        return made

    def vary(self, **factors: Iterable[Any] | Mapping[str, Any]) -> Experiment:
        """The experiment with more factors; all combinations of all levels are run.

        Parameters
        ----------
        **factors
            ``policy=[...]``, ``scenario=[...]``, or a path of the topology with its values:
            ``**{"edges.edge1.probe.interval_s": [1, 5]}``, ``**{"scenario.traffic[*].rate_per_s": [5, 10]}``.
            Levels may have labels: ``policy={"mine": Mine(patience_s=2), "theirs": "seed"}``.

        Raises
        ------
        InputError
            If a path leads nowhere, or a combination makes no sense.
        """
        taken = list(self._asked.factors)
        for path, values in factors.items():
            taken.append(factor(path, values, taken))
        return self._of(replace(self._asked, factors=tuple(taken)))

    @property
    def variants(self) -> Sequence[Variant]:
        """What is simulated, in order."""
        return self._variants

    def run(
        self,
        replications: int = 10,
        *,
        half_width: Mapping[str, float] | None = None,
        at_most: int = 1000,
        confidence: float = 0.95,
        processes: int | None = None,
        dask: str | None = None,
        folder: str | Path | None = None,
        progress: bool = True,
    ) -> Results:
        """Simulate every variant so many times.

        Parameters
        ----------
        replications : int
            Runs of each variant, each with a seed of its own.
        half_width : mapping, optional
            Go on until the confidence interval of each of these figures is no wider to either side, in every
            variant: ``{"failed_share": 0.001}``.
        at_most : int
            Replications after which to stop all the same.
        confidence : float
            Of those intervals.
        processes : int, optional
            Default: all cores; 1 runs everything in this process. The results are the same.
        dask : str, optional
            Address of a Dask scheduler to run it instead.
        folder : str or path, optional
            Each run is written there as it ends. The same experiment run again there makes the missing runs only:
            after a crash, or for more replications.
        progress : bool
            Show a bar.

        Returns
        -------
        Results
            Of what has ended: also after Ctrl-C, where ``complete`` is False.

        Raises
        ------
        InputError
            If a figure is not known, the folder holds another experiment, or the cluster cannot be reached.
        """
        if replications < 1:
            raise InputError(f"replications is {replications} - give 1 or more")
        rounds = _Rounds(self, replications, dict(half_width or {}), max(at_most, replications), confidence)
        about = self._about(replications)
        store = None if folder is None else Store(Path(folder))
        finished: dict[tuple[int, int], Done] = {}
        if store is not None:
            store.begin(self._on_disk(about))
            finished = store.kept()
        work = workers(processes, dask)
        complete = True
        with progress_bar(self._asked.topology.name, shown=progress) as tell:
            try:
                while tasks := rounds.next(finished):
                    _do(tasks, work, finished, store, tell)
            except KeyboardInterrupt:
                complete = False
        asked_for = {key: done for key, done in finished.items() if rounds.wants(key)}
        tables = collect(asked_for.values(), [each.labels for each in self._variants], about)
        results = Results(about, tables, complete=complete)
        if store is not None and complete:
            store.write_tables(tables, parquet_or_csv())
        return results

    def task(self, variant: Variant, replication: int) -> Task:
        """One run, as a worker gets it.

        Parameters
        ----------
        variant : Variant
            One of `variants`.
        replication : int
            Its number, from 0.
        """
        asked = self._asked
        return Task(
            variant=variant.number,
            replication=replication,
            seed=asked.seed + replication,
            topology=variant.topology,
            scenario=variant.scenario,
            policy=variant.policy,
            duration_s=asked.duration_s,
            level=asked.level,
            keep=asked.keep,
            measures=asked.measures,
        )

    def __repr__(self) -> str:
        varied = " x ".join(f"{len(each.levels)} {each.column}" for each in self._asked.factors) or "one variant"
        return f"<Experiment: {self._asked.topology.name}, {varied}>"

    def _make(self) -> list[Variant]:
        asked = self._asked
        made = variants(asked.topology, with_columns(asked.factors), asked.scenario, asked.policy)
        for each in made:
            if asked.level == "calls" and each.topology.scenario(each.scenario).faults:
                raise InputError(
                    f"scenario {each.scenario} has faults, which take messages - leave level='calls' out"
                )
        return made

    def _about(self, replications: int) -> About:
        named = with_columns(self._asked.factors)
        return About(
            siptwin=__version__,
            topology=self._asked.topology.to_yaml(),
            topology_name=self._asked.topology.name,
            factors={each.column: each.path for each in named},
            levels={each.column: each.labels for each in named},
            seed=self._asked.seed,
            replications=replications,
        )

    def _on_disk(self, about: About) -> dict[str, Any]:
        return {
            "identity": {
                "siptwin": __version__,
                "variants": [each.identity() for each in self._variants],
                "duration_s": self._asked.duration_s,
                "level": self._asked.level,
                "seed": self._asked.seed,
                "keep": list(self._asked.keep),
                "measures": sorted(self._asked.measures),
            },
            "about": {each.name: getattr(about, each.name) for each in fields(about)},
            "variants": [dict(each.labels) for each in self._variants],
        }


class _Rounds:
    """Which runs come next: first the replications asked for, then one more for each variant not narrow enough.

    Decided between whole rounds, so that it does not depend on which run happened to end first.
    """

    def __init__(
        self,
        experiment: Experiment,
        replications: int,
        half_width: Mapping[str, float],
        at_most: int,
        confidence: float,
    ) -> None:
        self._experiment = experiment
        self._half_width = half_width
        self._at_most = at_most
        self._confidence = confidence
        self._wanted = {each.number: replications for each in experiment.variants}
        self._first = True

    def wants(self, key: tuple[int, int]) -> bool:
        return key[1] < self._wanted[key[0]]

    def next(self, finished: Mapping[tuple[int, int], Done]) -> list[Task]:
        if not self._first:
            self._go_on(finished)
        self._first = False
        while not (tasks := self._missing(finished)) and self._half_width and self._go_on(finished):
            pass
        return tasks

    def _missing(self, finished: Mapping[tuple[int, int], Done]) -> list[Task]:
        return [
            self._experiment.task(variant, replication)
            for replication in range(max(self._wanted.values()))
            for variant in self._experiment.variants
            if self.wants((variant.number, replication)) and (variant.number, replication) not in finished
        ]

    def _go_on(self, finished: Mapping[tuple[int, int], Done]) -> bool:
        """Want more of the variants that need more; whether there were any."""
        more = False
        for variant in self._experiment.variants:
            wanted = self._wanted[variant.number]
            runs = [finished[variant.number, number] for number in range(wanted)]
            if wanted < self._at_most and not self._narrow([done for done in runs if not done.error]):
                self._wanted[variant.number] = min(wanted + max(1, wanted // 4), self._at_most)
                more = True
        return more

    def _narrow(self, runs: Sequence[Done]) -> bool:
        for metric, wanted in self._half_width.items():
            values = [done.figures.get(metric) for done in runs]
            if runs and metric not in runs[0].figures:
                raise InputError(f"there is no figure {metric!r} - {did_you_mean(metric, runs[0].figures)}")
            found = interval([float(value) for value in values if value is not None], self._confidence)
            if not found.half_width <= wanted:
                return False
        return True


def _do(
    tasks: Sequence[Task],
    work: Any,
    finished: dict[tuple[int, int], Done],
    store: Store | None,
    tell: Tell,
) -> None:
    total = len(finished) + len(tasks)
    tell(len(finished), total)
    for done in work(tasks):
        finished[done.key] = done
        if store is not None:
            store.keep(done)
        tell(len(finished), total)
