"""Experiments: what is varied meets the same calls, wherever it runs, however often it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest

from engine.policies.least_loaded import LeastLoaded
from engine.policy import Call
from lab.errors import InputError
from lab.experiments import Experiment, Results, interval, load
from lab.experiments import store as stores
from lab.experiments import workers as places
from lab.results import Frames
from tests.lab.small import topology

INTERVAL = "edges.edge1.probe.interval_s"


def two_policies() -> Experiment:
    return Experiment(topology()).vary(policy=["least_loaded", "seed"])


def same(one: Results, other: Results) -> None:
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name], check_exact=True)


class TestFrames:
    def test_each_row_says_which_run_it_is_of(self) -> None:
        results = two_policies().vary(**{INTERVAL: [1, 5]}).run(2, processes=1, progress=False)
        assert len(results.runs) == 2 * 2 * 2
        for name in ("runs", "calls", "attempts", "decisions", "node_states", "events"):
            assert list(results.tables[name].columns[:3]) == ["policy", "interval_s", "replication"]
        per_run = results.calls.groupby(["policy", "interval_s", "replication"]).size()
        assert per_run.tolist() == results.runs["calls_offered"].tolist()

    def test_all_variants_meet_the_same_calls(self) -> None:
        calls = two_policies().run(2, processes=1, progress=False).calls
        for _, run in calls.groupby("replication"):
            ours, theirs = (run[run["policy"] == name] for name in ("least_loaded", "seed"))
            assert ours["placed_at_s"].tolist() == theirs["placed_at_s"].tolist()
        assert calls.loc[calls["replication"] == 0, "placed_at_s"].iloc[0] != calls["placed_at_s"].iloc[-1]

    def test_calls_of_the_warm_up_are_left_out_of_the_figures(self) -> None:
        levels = {"scenario.warm_up_s": [0, 2]}
        results = Experiment(topology(), scenario="quiet").vary(**levels).run(1, processes=1, progress=False)
        late = (results.calls["placed_at_s"] >= 2).sum() // 2
        assert results.runs["calls_offered"].tolist() == [len(results.calls) // 2, late]

    def test_an_author_measures_what_he_likes(self) -> None:
        def longest_talk_s(frames: Frames) -> float:
            return float(frames.calls["talk_s"].max())

        found = Experiment(topology(), scenario="quiet", measures={"longest_talk_s": longest_talk_s}, keep=())
        results = found.run(1, processes=1, progress=False)
        assert results.runs["longest_talk_s"].iloc[0] == pytest.approx(0.3, abs=0.01)
        assert set(results.tables) == {"runs", "failures"}

    def test_messages_are_kept_where_they_are_asked_for(self) -> None:
        quiet = Experiment(topology(), scenario="quiet", keep=("calls", "messages"))
        results = quiet.run(2, processes=1, progress=False)
        calls = results.calls.groupby("replication").size()
        invites = (
            results.messages.query("message == 'INVITE' and to_place == 'edge1'").groupby("replication").size()
        )
        assert invites.tolist() == calls.tolist()
        assert {"sent_s", "size_bytes", "fate", "call_id"} <= set(results.messages.columns)
        assert "messages" not in two_policies().run(1, processes=1, progress=False).tables

    def test_a_policy_may_be_a_class_or_an_object(self) -> None:
        class Late(LeastLoaded):
            async def invite(self, call: Call) -> None:
                await call.pause(0.5)
                await super().invite(call)

        choices = {"as it is": LeastLoaded, "late": Late, "quick": LeastLoaded(timeout_s=0.3)}
        runs = Experiment(topology(), keep=()).vary(policy=choices).run(1, processes=2, progress=False).runs
        shown = dict(zip(runs["policy"], runs["setup_p50_s"], strict=True))
        assert shown["late"] - shown["as it is"] == pytest.approx(0.5, abs=0.01)


class TestStatistics:
    def test_students_t(self) -> None:
        found = interval([4.0, 5.0, 6.0])
        assert found.mean == 5.0
        assert found.half_width == pytest.approx(4.303 / 3**0.5, rel=1e-3)  # t table: 2 degrees, 95 %
        assert 5.1 in found
        assert 9.0 not in found

    def test_pairs_are_compared_run_by_run(self) -> None:
        results = two_policies().run(5, processes=1, progress=False)
        paired = results.compare("policy", "calls_delayed")
        by_hand = results.runs.pivot_table(index="replication", columns="policy", values="calls_delayed")
        assert paired["mean"].iloc[0] == pytest.approx((by_hand["seed"] - by_hand["least_loaded"]).mean())
        assert paired["low"].iloc[0] > 0, "the source design's script delays more calls"

    def test_runs_go_on_until_the_interval_is_narrow(self) -> None:
        asked = Experiment(topology(), keep=())
        wide = asked.run(3, half_width={"calls_offered": 4.0}, at_most=60, processes=1, progress=False)
        found = wide.estimate("calls_offered").iloc[0]
        assert found["half_width"] <= 4.0
        assert 3 < found["n"] <= 60
        few = asked.run(3, half_width={"calls_offered": 0.001}, at_most=5, processes=1, progress=False)
        assert len(few.runs) == 5


class TestWhereItRuns:
    def test_processes_bring_the_same_frames(self) -> None:
        asked = two_policies()
        same(asked.run(3, processes=1, progress=False), asked.run(3, processes=2, progress=False))

    def test_a_dask_cluster_brings_the_same_frames(self) -> None:
        distributed = pytest.importorskip("distributed", reason="distributed (extra dask) is not installed")
        asked = two_policies()
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
        ) as cluster:
            spread = asked.run(3, dask=cluster.scheduler_address, progress=False)
        same(asked.run(3, processes=1, progress=False), spread)

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("nonsense", "'nonsense' is no address of a Dask scheduler"),
            ("tcp://127.0.0.1:1", "no Dask scheduler at tcp://127.0.0.1:1 .* start one with `dask scheduler`"),
        ],
    )
    def test_no_cluster_there(self, address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("distributed", reason="distributed (extra dask) is not installed")
        monkeypatch.setattr(places, "CONNECT_S", 0.5)
        with pytest.raises(InputError, match=words):
            two_policies().run(1, dask=address, progress=False)

    def test_a_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(InputError, match=r"pip install 'siptwin\[dask\]'"):
            two_policies().run(1, dask="tcp://127.0.0.1:1", progress=False)


class TestFailures:
    @staticmethod
    def measured(measure: Callable[[Frames], float], processes: int) -> Results:
        return Experiment(topology(), measures={"odd": measure}).run(4, processes=processes, progress=False)

    def test_a_failed_run_is_told_with_its_seed_and_stops_nobody(self) -> None:
        first = self.measured(lambda _: 0.0, 1).calls.groupby("replication")["placed_at_s"].min()

        def picky(frames: Frames) -> float:
            if frames.calls["placed_at_s"].iloc[0] == first[2]:
                raise ArithmeticError("not this one")
            return 1.0

        results = self.measured(picky, 2)
        assert results.runs["seed"].tolist() == [0, 1, 3]
        (failure,) = results.failures.to_dict("records")
        assert failure["seed"] == 2
        assert failure["error"] == "ArithmeticError: not this one"
        assert "picky" in failure["trace"]

    def test_where_all_failed_the_first_reason_is_told(self) -> None:
        def never(_frames: Frames) -> float:
            raise ArithmeticError("never")

        with pytest.raises(InputError, match="no run ended well, the first with: ArithmeticError: never"):
            self.measured(never, 1).estimate("failed_share")

    def test_a_process_that_dies_takes_its_own_run_along_and_no_other(self) -> None:
        first = self.measured(lambda _: 0.0, 1).calls.groupby("replication")["placed_at_s"].min()

        def deadly(frames: Frames) -> float:
            if frames.calls["placed_at_s"].iloc[0] == first[1]:
                os.kill(os.getpid(), signal.SIGKILL)
            return 1.0

        results = self.measured(deadly, 2)
        assert results.runs["seed"].tolist() == [0, 2, 3]
        assert results.failures["seed"].tolist() == [1]
        assert "died" in results.failures["error"].iloc[0]

    def test_an_interrupt_keeps_what_is_done(self, tmp_path: Path) -> None:
        ended: list[int] = []

        def impatient(frames: Frames) -> float:
            ended.append(len(frames.calls))
            if len(ended) == 3:
                raise KeyboardInterrupt
            return 1.0

        asked = Experiment(topology(), measures={"odd": impatient})
        part = asked.run(5, processes=1, progress=False, folder=tmp_path)
        assert not part.complete
        assert part.runs["seed"].tolist() == [0, 1]
        assert load(tmp_path).runs["seed"].tolist() == [0, 1]
        assert "interrupted" in repr(part)


class TestFolders:
    def test_killed_at_half_and_resumed_no_run_is_made_twice(self, tmp_path: Path) -> None:
        script = dedent("""
            import os, signal, sys
            from pathlib import Path
            from lab.experiments import Experiment
            from tests.lab.small import topology

            folder, log, deadly = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "deadly"

            def count(frames):
                with log.open("a") as file:
                    print(frames.calls["placed_at_s"].iloc[0], len(frames.attempts), file=file)
                if deadly and len(log.read_text().splitlines()) == 5:
                    os.kill(os.getpid(), signal.SIGKILL)
                return 1.0

            asked = Experiment(topology(), measures={"count": count}).vary(policy=["least_loaded", "seed"])
            asked.run(4, processes=1, progress=False, folder=folder)
        """)

        def run(folder: str, log: str, how: str) -> tuple[int, list[str]]:
            command = [sys.executable, "-c", script, str(tmp_path / folder), str(tmp_path / log), how]
            ended = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, timeout=120)
            return ended.returncode, (tmp_path / log).read_text().splitlines()

        assert run("one", "first", "deadly")[0] == -signal.SIGKILL
        assert len(load(tmp_path / "one").runs) == 4
        code, resumed = run("one", "second", "calm")
        assert code == 0
        assert len(resumed) == 4, "the run that was under way and those after it"
        _, whole = run("two", "third", "calm")
        assert sorted((tmp_path / "first").read_text().splitlines()[:4] + resumed) == sorted(whole)
        same(load(tmp_path / "one"), load(tmp_path / "two"))

    def test_more_replications_add_runs(self, tmp_path: Path) -> None:
        asked = two_policies()
        asked.run(2, processes=1, progress=False, folder=tmp_path)
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
        more = asked.run(3, processes=1, progress=False, folder=tmp_path)
        same(more, asked.run(3, processes=1, progress=False))
        assert all(path.stat().st_mtime_ns == told for path, told in before.items())

    @pytest.mark.parametrize("form", ["parquet", "csv"])
    def test_what_is_saved_is_what_is_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        if form == "csv":
            monkeypatch.setattr(stores, "find_spec", lambda _name: None)
        results = two_policies().vary(**{INTERVAL: [1.5, 5]}).run(1, processes=1, progress=False)
        results.save(tmp_path / "here")
        assert (tmp_path / "here" / f"calls.{form}").is_file()
        again = load(tmp_path / "here")
        same(results, again)
        assert again.about == results.about
        assert again.about.read_topology() == topology()

    def test_another_experiment_is_not_mixed_in(self, tmp_path: Path) -> None:
        two_policies().run(1, processes=1, progress=False, folder=tmp_path)
        with pytest.raises(InputError, match=r"holds another experiment \(variants differ\)"):
            two_policies().vary(**{INTERVAL: [1, 5]}).run(1, processes=1, progress=False, folder=tmp_path)

    def test_a_damaged_file_is_named_with_its_remedy(self, tmp_path: Path) -> None:
        asked = two_policies()
        asked.run(1, processes=1, progress=False, folder=tmp_path)
        for table in tmp_path.glob("runs.*"):
            table.write_bytes(b"no table")
        with pytest.raises(InputError, match=r"runs\.\w+ is damaged"):
            load(tmp_path)
        (damaged,) = (tmp_path / "runs").glob("0001-*")
        damaged.write_bytes(damaged.read_bytes()[:-20])
        with pytest.raises(InputError, match=r"0001-00000.json.gz is damaged .* delete it"):
            asked.run(2, processes=1, progress=False, folder=tmp_path)
        with pytest.raises(InputError, match="no experiment"):
            load(tmp_path / "nowhere")


class TestBadInput:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: Experiment(topology(), scenario="deth"), "death"),
            (lambda: Experiment(topology(), policy="lest_loaded"), "least_loaded"),
            (lambda: Experiment(topology(), policy=int), "no policy"),
            (lambda: Experiment(topology(), keep=["cals"]), "calls"),
            (lambda: Experiment(topology(), duration_s=0), "above 0"),
            (lambda: Experiment(topology(), level="cals"), "did you mean 'calls'"),  # type: ignore[arg-type]
            (lambda: Experiment(topology(), level="calls"), "faults, which take messages"),
            (lambda: Experiment(topology(), level="calls", keep=["messages"]), "leave the one or the other out"),
            (lambda: two_policies().vary(policy=["seed"]), "varied twice"),
            (lambda: two_policies().vary(scenario="death"), "list"),
            (lambda: two_policies().vary(scenario=[]), "no values"),
            (lambda: two_policies().vary(seed=[1, 2]), "same seeds"),
            (lambda: two_policies().vary(**{"edges.edge1.prob.interval_s": [1]}), "did you mean 'probe'"),
            (lambda: two_policies().vary(**{INTERVAL: [1, -1]}), "more than 0"),
            (lambda: two_policies().vary(**{INTERVAL: [1, [2]]}), "labels"),
            (lambda: two_policies().run(0), "1 or more"),
            (lambda: two_policies().run(1, processes=-1), "processes"),
            (lambda: two_policies().run(1, processes=1, half_width={"faild_share": 1}), "failed_share"),
        ],
    )
    def test_one_line_says_what_and_what_to_do(self, make: Callable[[], object], words: str) -> None:
        with pytest.raises(InputError, match=words) as refused:
            make()
        assert len(str(refused.value).splitlines()) == 1
        assert refused.value._render_traceback_() == [str(refused.value)]

    def test_of_results_too(self) -> None:
        results = two_policies().run(1, processes=1, progress=False)
        with pytest.raises(InputError, match="failed_share"):
            results.estimate("faild_share")
        with pytest.raises(InputError, match="policy"):
            results.compare("polcy", "failed_share")
        with pytest.raises(InputError, match="least_loaded"):
            results.compare("policy", "failed_share", baseline="lest_loaded")
        with pytest.raises(AttributeError, match="calls"):
            results.cals  # noqa: B018 - the look itself is refused
