"""Two extracts at once, and jobs side by side."""

import contextlib
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from helpers.extraction import KILLED, NUM_CLIPS, forked, kill_at, outcome, run, table, tree
from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.extraction import views as extraction
from pipeline.progress import Silence
from pipeline.store.planning import Group, plan_groups
from pipeline.store.turns import Job
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


class Gate(Silence):
    """Says through a pipe that a shard is published, and goes on when told to."""

    def __init__(self) -> None:
        self.arrived, self.arrive = os.pipe()
        self.passed, self.pass_on = os.pipe()

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        os.write(self.arrive, b"x")
        os.read(self.passed, 1)


@contextlib.contextmanager
def halted(requests: pd.DataFrame, root: Path, **options: Any) -> Iterator[int]:
    """Hold a run in another process at its first shard, then let it go."""
    gate = Gate()
    child = forked(lambda: run(requests, root, reporter=gate, **options))
    os.read(gate.arrived, 1)
    try:
        yield child
    finally:
        os.write(gate.pass_on, b"x" * NUM_CLIPS)


def test_a_second_extract_is_refused_with_a_clear_line(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root) as child:
        with pytest.raises(FeatureStoreError, match=r"another run is writing this store.* wait"):
            run(table(files), root)
        with pytest.raises(FeatureStoreError, match="a run is writing this store; wait"):
            verify_store(root)
    assert outcome(child) == 0
    assert tree(root) == undisturbed


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_jobs_one_after_another_in_any_order_give_the_bytes_of_one_run(
    tmp_path: Path,
    files: dict[str, Path],
    undisturbed: dict[str, bytes],
    order: tuple[int, ...],
) -> None:
    done = [
        run(table(files), tmp_path / "store", job=Job(num_jobs=3, index=index)) for index in order
    ]
    assert [summary.is_committed for summary in done] == [False, False, True]
    assert sum(summary.num_computed for summary in done) == NUM_CLIPS
    assert done[-1].outcomes == {"ok": NUM_CLIPS}
    assert tree(tmp_path / "store") == undisturbed


def test_jobs_side_by_side_give_the_bytes_of_one_run(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    for attempt in range(3):
        root = tmp_path / f"store{attempt}"
        jobs = [Job(num_jobs=3, index=index) for index in range(3)]
        children = [
            forked(lambda root=root, job=job: run(table(files), root, job=job))  # type: ignore[misc]
            for job in jobs
        ]
        assert [outcome(child) for child in children] == [0, 0, 0]
        assert tree(root) == undisturbed


def test_a_job_killed_beside_the_others_is_resumed(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    def work(root: Path, index: int, event: int | None) -> None:
        if event is not None:
            kill_at(event)
        run(table(files), root, job=Job(num_jobs=3, index=index))

    for event in range(0, 15, 3):
        root = tmp_path / f"store{event}"
        events = (None, event, None)
        children = [
            forked(lambda root=root, i=i, e=e: work(root, i, e))  # type: ignore[misc]
            for i, e in enumerate(events)
        ]
        codes = [outcome(child) for child in children]
        assert codes[0] == codes[2] == 0
        assert codes[1] in (0, KILLED)
        run(table(files), root, job=Job(num_jobs=3, index=1))
        assert tree(root) == undisturbed, event


def test_a_job_resumed_while_another_is_at_work_goes_on(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root, job=Job(num_jobs=2, index=0)) as child:
        resumed = Job(num_jobs=2, index=1)
        assert not run(table(files), root, job=resumed).is_committed
        again = run(table(files), root, job=resumed)
        assert (again.num_computed, again.is_committed) == (0, False)
    assert outcome(child) == 0
    assert tree(root) == undisturbed


def test_a_job_that_another_one_commits_for_tells_the_outcomes_too(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    # Of two shards each job has one: the first has published its own and not looked further.
    requests = table(files).iloc[:4]
    gate = Gate()

    def work() -> None:
        job = Job(num_jobs=2, index=0)
        summary = run(requests, root, reporter=gate, job=job)
        assert summary.is_committed
        assert summary.outcomes == {"ok": 4}

    child = forked(work)
    os.read(gate.arrived, 1)
    other = run(requests, root, job=Job(num_jobs=2, index=1))
    assert other.is_committed
    os.write(gate.pass_on, b"x")
    assert outcome(child) == 0
    assert verify_store(root) == []


def test_a_job_resumed_just_before_another_commits_computes_nothing_again(
    tmp_path: Path,
    files: dict[str, Path],
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "store"
    jobs = [Job(num_jobs=2, index=index) for index in range(2)]
    run(table(files), root, job=jobs[1])
    gate = Gate()
    child = forked(lambda: run(table(files), root, reporter=gate, job=jobs[0]))
    os.read(gate.arrived, 1)

    def plan_late(*args: Any, **kwargs: Any) -> list[Group]:
        if not committed:
            os.write(gate.pass_on, b"xx")
            committed.append(outcome(child))
        return plan_groups(*args, **kwargs)

    committed: list[int] = []
    monkeypatch.setattr(extraction, "plan_groups", plan_late)
    summary = run(table(files), root, job=jobs[1])
    assert committed == [0]
    assert (summary.num_computed, summary.outcomes) == (0, {"ok": NUM_CLIPS})
    assert tree(root) == undisturbed


class AtSay(Silence):
    """Does something when a run has planned and is about to work."""

    def __init__(self, deed: Callable[[], None]) -> None:
        self.deed = deed

    def say(self, line: str) -> None:
        self.deed()


def test_a_job_killed_in_its_commit_hinders_no_other(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    jobs = [Job(num_jobs=3, index=index) for index in range(3)]
    for job in jobs[1:]:
        run(table(files), root, job=job)

    def die_in_commit() -> None:
        replace = Path.replace

        def last(path: Path, target: Path) -> Path:
            if path.name == "store.json.next":
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(path, target)

        Path.replace = last  # type: ignore[assignment,method-assign]
        run(table(files), root, job=jobs[0])

    def others() -> None:
        codes.append(outcome(forked(die_in_commit)))
        assert (root / "store.json.next").exists()
        codes.append(outcome(forked(lambda: run(table(files), root, job=jobs[2]))))

    codes: list[int] = []
    assert run(table(files), root, job=jobs[1], reporter=AtSay(others)).is_committed
    assert codes == [KILLED, 0]
    assert tree(root) == undisturbed


def test_jobs_of_another_manifest_are_refused_meanwhile(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root, job=Job(num_jobs=2, index=0)) as child:
        for requests, job in (
            (table(files).iloc[:3], Job(num_jobs=2, index=1)),
            (table(files), Job(num_jobs=3, index=1)),
            (table(files), Job()),
        ):
            with pytest.raises(FeatureStoreError, match="manifest, parameters and --num-jobs"):
                run(requests, root, job=job)
        with pytest.raises(FeatureStoreError, match="another run is writing this store"):
            run(table(files), root, job=Job(num_jobs=2, index=0))
    assert outcome(child) == 0
    run(table(files), root, job=Job(num_jobs=2, index=1))
    assert tree(root) == undisturbed


def test_a_job_index_beyond_the_jobs_is_refused() -> None:
    with pytest.raises(ParamsError, match="--job-index: 3 is not one of 0 to 2"):
        Job(num_jobs=3, index=3)
