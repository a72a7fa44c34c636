"""Who may write a store: one run alone, or jobs that do nothing but add shards of their own.

A job of several writes shards that carry its own numbers. It never deletes, overwrites what is
finished, takes in what others left, or commits: only a run of the whole does, which is alone. So
jobs do one another no harm, not even where a lock does not reach from one machine to the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.files import TEMPORARY_SUFFIX, writing
from pipeline.locks import RUN_LOCK, FileLock, hold
from pipeline.store.commit import finish_commit
from pipeline.store.contents import NEXT


@dataclass(frozen=True, kw_only=True)
class Job:
    """One of the `num_jobs` jobs that share a plan; job `index` counts from 0."""

    num_jobs: int = 1
    index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.num_jobs:
            raise ParamsError(
                f"--job-index: {self.index} is not one of 0 to {self.num_jobs - 1}, the "
                f"jobs that --num-jobs {self.num_jobs} makes (an array of SLURM: "
                "--array=0-7 for eight; part of an array: give --num-jobs too)."
            )

    @property
    def is_whole(self) -> bool:
        """Whether this job does the whole plan."""
        return self.num_jobs == 1

    def owns(self, number: int) -> bool:
        """Say whether the shard is this job's to make."""
        return number % self.num_jobs == self.index


WHOLE = Job()


@contextmanager
def enter_turn(root: Path, job: Job = WHOLE) -> Iterator[None]:
    """Take the right to write a store and hold it for the length of a block.

    Args:
        root: The store's folder; made if need be.
        job: This job and how many share the plan.

    Raises:
        FeatureStoreError: If another run holds the store, or left a commit for a whole run to end.
        OutputError: If the folder cannot be written.
    """
    with hold(FileLock(root / RUN_LOCK), shared=not job.is_whole):
        if job.is_whole:
            tidy(root)
        elif (root / NEXT).exists():
            raise FeatureStoreError(
                f"{root}: a run was stopped while it wrote the index; run the same command once "
                "without --num-jobs and --job-index, then the jobs."
            )
        yield


def tidy(root: Path) -> None:
    """Finish or forget what a killed run left half done; only for the one who is alone."""
    finish_commit(root)
    with writing(root):
        for path in left_overs(root):
            path.unlink(missing_ok=True)


def left_overs(root: Path) -> list[Path]:
    """Return the temporary files of killed runs."""
    return list(root.glob(f"**/.*{TEMPORARY_SUFFIX}"))
