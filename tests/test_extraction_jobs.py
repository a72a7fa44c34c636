"""Two extracts at once, and jobs side by side."""

import contextlib
import fcntl
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from helpers.extraction import (
    KILLED,
    NUM_CLIPS,
    PlainEncoder,
    forked,
    kill_at,
    outcome,
    run,
    shards,
    stop_after,
    table,
    tree,
)
from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.progress import Silence
from pipeline.store.reader import FeatureStore
from pipeline.store.turns import Job
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

JOBS = [Job(num_jobs=3, index=index) for index in range(3)]


@pytest.fixture(params=["flock", "no flock"])
def locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With locks, and where they reach no other process, as on a shared folder of some clusters."""
    if request.param == "no flock":
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    return str(request.param)


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


def collected(requests: pd.DataFrame, root: Path, **options: Any) -> dict[str, bytes]:
    """Let a run of the whole write the index; it must have nothing to compute."""
    encoder = PlainEncoder()
    summary = run(requests, root, encoder=encoder, **options)
    assert (encoder.num_encoded, summary.is_committed) == (0, True)
    return tree(root)


def test_a_second_extract_is_refused_with_a_clear_line(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root) as child:
        for job in (Job(), JOBS[1]):
            with pytest.raises(FeatureStoreError, match=r"another run is writing this store.* wai"):
                run(table(files), root, job=job)
        with pytest.raises(FeatureStoreError, match="a run is writing this store; wait"):
            verify_store(root)
    assert outcome(child) == 0
    assert tree(root) == undisturbed


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_jobs_in_any_order_then_the_whole_give_the_bytes_of_one_run(
    tmp_path: Path,
    files: dict[str, Path],
    undisturbed: dict[str, bytes],
    order: tuple[int, ...],
) -> None:
    root = tmp_path / "store"
    done = [run(table(files), root, job=JOBS[index]) for index in order]
    assert not any(summary.is_committed or summary.outcomes for summary in done)
    assert sum(summary.num_computed for summary in done) == NUM_CLIPS
    assert collected(table(files), root) == undisturbed


def test_a_job_writes_files_of_its_own_numbers_and_nothing_else(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root, job=JOBS[1])
    assert sorted(tree(root)) == [
        "views/layers/shards/000001.h5",
        "views/layers/shards/000001.sha256",
    ]
    strange = root / "views/layers/shards/.000002.h5.0123abcd.tmp"
    strange.write_bytes(b"what another job has in hand")
    run(table(files), root, job=JOBS[0])
    assert strange.exists()
    assert shards(root) == {0, 1}


def test_jobs_side_by_side_give_the_bytes_of_one_run(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes], locks: str
) -> None:
    for attempt in range(2):
        root = tmp_path / f"store{attempt}"
        children = [
            forked(lambda root=root, job=job: run(table(files), root, job=job))  # type: ignore[misc]
            for job in JOBS
        ]
        assert [outcome(child) for child in children] == [0, 0, 0]
        assert collected(table(files), root) == undisturbed


def test_a_job_killed_beside_the_others_is_resumed(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes], locks: str
) -> None:
    def work(root: Path, index: int, event: int | None) -> None:
        if event is not None:
            kill_at(event)
        run(table(files), root, job=JOBS[index])

    for event in (1, 4):
        root = tmp_path / f"store{event}"
        events = (None, event, None)
        children = [
            forked(lambda root=root, i=i, e=e: work(root, i, e))  # type: ignore[misc]
            for i, e in enumerate(events)
        ]
        codes = [outcome(child) for child in children]
        assert codes[0] == codes[2] == 0
        assert codes[1] in (0, KILLED)
        run(table(files), root, job=JOBS[1])
        assert collected(table(files), root) == undisturbed, event


def test_a_job_that_is_begun_twice_and_one_while_another_is_at_work_go_on(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes], locks: str
) -> None:
    root = tmp_path / "store"
    with halted(table(files), root, job=JOBS[0]) as child:
        assert run(table(files), root, job=JOBS[0]).num_computed == 0  # it has the one shard
        run(table(files), root, job=JOBS[1])
        assert run(table(files), root, job=JOBS[1]).num_computed == 0
        if locks == "flock":
            with pytest.raises(FeatureStoreError, match="another run is writing this store"):
                run(table(files), root)
    assert outcome(child) == 0
    run(table(files), root, job=JOBS[2])
    assert collected(table(files), root) == undisturbed


def test_the_whole_does_what_a_job_has_left(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    for job in JOBS[1:]:
        run(table(files), root, job=job)
    summary = run(table(files), root)
    assert (summary.num_computed, summary.outcomes) == (2, {"ok": NUM_CLIPS})
    assert tree(root) == undisturbed


def test_shards_of_another_manifest_are_not_overwritten_by_a_job(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    few = table(files).iloc[1:]
    stop_after(2, few, root)
    with pytest.raises(FeatureStoreError, match=r"2 finished shards of other clips.*once without"):
        run(table(files), root, job=JOBS[2])
    run(table(files), root)
    assert verify_store(root) == []


def test_a_shard_that_another_run_puts_there_meanwhile_is_not_overwritten(
    tmp_path: Path, files: dict[str, Path], locks: str
) -> None:
    class Meanwhile(Silence):
        def begin(self, total: int) -> None:
            outcomes.append(outcome(forked(deed)))

    def other_manifest() -> None:
        run(table(files).iloc[1:], root, job=JOBS[0])

    def the_whole() -> None:
        fcntl.flock = lambda *_: None
        run(table(files), root)

    for deed in (other_manifest, the_whole):
        outcomes: list[int] = []
        root = tmp_path / deed.__name__
        with pytest.raises(FeatureStoreError, match="another run has written this shard; jobs"):
            run(table(files), root, job=JOBS[0], reporter=Meanwhile())
        assert outcomes == [0]
    assert verify_store(root) == []
    assert len(FeatureStore.open(root).view("layers").read(list(files))) == NUM_CLIPS


def test_a_commit_that_was_killed_is_the_whole_s_to_end(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"

    def die_in_commit() -> None:
        replace = Path.replace

        def last(path: Path, target: Path) -> Path:
            if path.name == "store.json.next":
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(path, target)

        Path.replace = last  # type: ignore[assignment,method-assign]
        run(table(files), root)

    assert outcome(forked(die_in_commit)) == KILLED
    with pytest.raises(FeatureStoreError, match=r"stopped while it wrote the index; .* without"):
        run(table(files), root, job=JOBS[0])
    assert collected(table(files), root) == undisturbed


def test_a_job_index_beyond_the_jobs_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"--job-index: 3 is not one of 0 to 2.*--array=0-7"):
        Job(num_jobs=3, index=3)
