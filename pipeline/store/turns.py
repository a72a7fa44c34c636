"""Who may write a store: one run alone, or the jobs of one plan side by side.

The first job of a plan is alone until it has read the store, and then lets the others in; each
publishes its own shards, and whoever finds the plan complete commits it.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.files import (
    TEMPORARY_SUFFIX,
    fingerprint,
    publish_bytes,
    read_bytes,
    sealed_json,
    writing,
)
from pipeline.locks import RUN_LOCK, FileLock, hold, is_held
from pipeline.store.commit import finish_commit
from pipeline.typed import unsealed

COMMIT_LOCK = ".commit.lock"
PLAN = ".plan.json"
JOIN_WAIT_S = 600.0  # the first job hashes the files of known clips before it lets others in


@dataclass(frozen=True, kw_only=True)
class Job:
    """One of the `num_jobs` jobs that share a plan; job `index` counts from 0."""

    num_jobs: int = 1
    index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.num_jobs:
            raise ParamsError(
                f"--job-index: {self.index} is not one of 0 to {self.num_jobs - 1}, the "
                f"jobs that --num-jobs {self.num_jobs} makes."
            )

    @property
    def is_whole(self) -> bool:
        """Whether this job does the whole plan."""
        return self.num_jobs == 1

    def owns(self, number: int) -> bool:
        """Say whether the shard is this job's to make."""
        return number % self.num_jobs == self.index


class Turn:
    """A right to write, as long as `enter_turn` lasts.

    Attributes:
        alone: Whether no other process may write now.
    """

    def __init__(self, lock: FileLock, job: Job, plan: str, *, alone: bool) -> None:
        self._lock = lock
        self._plan_path = lock.path.with_name(PLAN)
        self._plan = plan
        self.job = job
        self.alone = alone

    def share(self) -> None:
        """Let the other jobs of the plan in."""
        if self.alone and not self.job.is_whole:
            publish_bytes(self._plan_path, sealed_json({"plan": self._plan}))
            self._lock.downgrade()
            self.alone = False

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Keep the other jobs from committing for the length of a block."""
        if self.alone:
            yield
            return
        root = self._plan_path.parent
        with hold(FileLock(root / COMMIT_LOCK), wait_s=JOIN_WAIT_S):
            finish_commit(root)  # of a job that was killed in it
            yield

    def close_plan(self) -> None:
        """Say that the plan is committed; what killed jobs of it have left goes with it."""
        with writing(self._plan_path):
            self._plan_path.unlink(missing_ok=True)
            for path in self._plan_path.parent.glob(".job-*.lock"):
                if not is_held(path):
                    path.unlink(missing_ok=True)


@contextmanager
def enter_turn(root: Path, *, job: Job, plan_key: object) -> Iterator[Turn]:
    """Take the right to write a store and hold it for the length of a block.

    Args:
        root: The store's folder; made if need be.
        job: This job and how many share the plan.
        plan_key: JSON value that all jobs of one plan agree on: clips and recipe.

    Raises:
        FeatureStoreError: If another run holds the store.
        OutputError: If the folder cannot be written.
    """
    plan = fingerprint([plan_key, job.num_jobs])
    lock = FileLock(root / RUN_LOCK)
    with ExitStack() as stack:
        alone = _enter(lock, plan, job)
        stack.callback(lock.release)
        if alone:
            tidy(root)
        if not job.is_whole:
            stack.enter_context(hold(FileLock(root / f".job-{job.index}.lock")))
        yield Turn(lock, job, plan, alone=alone)


def _enter(lock: FileLock, plan: str, job: Job) -> bool:
    """Take the run lock and say whether this run is alone; the jobs of one plan share it."""
    deadline = time.monotonic() + (0.0 if job.is_whole else JOIN_WAIT_S)
    path = lock.path.with_name(PLAN)
    while True:
        if lock.try_acquire():
            return True
        if not job.is_whole and lock.try_acquire(shared=True):
            current = _read_plan(path)
            if current == plan:
                return False
            lock.release()
            if current is not None:  # None: ours has just been committed
                deadline = 0.0
        if time.monotonic() >= deadline:
            raise FeatureStoreError(
                f"{lock.path.parent}: another run is writing this store (for jobs side by side, "
                "manifest, parameters and --num-jobs must be the same); wait until it has "
                "ended, then run the same command again."
            )
        time.sleep(0.05)


def _read_plan(path: Path) -> str | None:
    try:
        told = unsealed(dict[str, str], read_bytes(path))
    except FileNotFoundError:
        return None
    return None if told is None else told.get("plan")


def tidy(root: Path) -> None:
    """Finish or forget what a killed run left half done; only for the one who is alone."""
    finish_commit(root)
    with writing(root):
        for path in left_overs(root):
            path.unlink(missing_ok=True)


def left_overs(root: Path) -> list[Path]:
    """Return the locks and temporary files of a killed run, its own lock not among them."""
    temporary = [*root.glob(f"**/.*{TEMPORARY_SUFFIX}"), *root.glob(".job-*.lock")]
    return [*temporary, *(path for path in (root / COMMIT_LOCK, root / PLAN) if path.exists())]
