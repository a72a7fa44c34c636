"""Locks: one run alone writes a store or an output, or jobs add to a store side by side.

The lock is `flock` on a file in the folder that is written. It ends with the process that holds it,
however that ends, and the file is removed by the last holder, so a finished run leaves nothing.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import FeatureStoreError, OutputError
from pipeline.files import clear_temporaries

RUN_LOCK = ".run.lock"  # in the folder of who writes it


class FileLock:
    """An exclusive or shared lock on a file, whose removal by another holder is noticed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock if nobody holds it (or, shared, if nobody holds it alone)."""
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise OutputError(
                    f"{self.path.parent}: cannot be written ({error.strerror}); "
                    "choose a folder that this user may write to."
                ) from error
            try:
                fcntl.flock(descriptor, mode)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError as error:
                os.close(descriptor)
                raise OutputError(
                    f"{self.path.parent}: cannot be locked ({error.strerror}); "
                    "choose a folder on a file system that has flock."
                ) from error
            if self._is_current(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)  # removed by its last holder between our open and our lock

    def release(self) -> None:
        """Give the lock back; its file goes if nobody else holds it."""
        if self._descriptor is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_current(self._descriptor):
                self.path.unlink()
        except BlockingIOError:
            pass  # another job still shares it and will remove it
        finally:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock file at `path`, without making or changing it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def hold(lock: FileLock, *, shared: bool = False) -> Iterator[None]:
    """Hold `lock` for the length of a block.

    Raises:
        FeatureStoreError: If another process holds it.
    """
    if not lock.try_acquire(shared=shared):
        raise FeatureStoreError(
            f"{lock.path.parent}: another run is writing this store; "
            "wait until it has ended, then run the same command again."
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def claimed(out: Path, *, is_folder: bool) -> Iterator[None]:
    """Be the only run that writes an output for the length of a block; what a killed one left goes.

    Raises:
        OutputError: If another run writes it, or its folder cannot be written.
    """
    out = Path(os.path.realpath(out))
    lock = FileLock(out / RUN_LOCK if is_folder else out.with_name(f".{out.name}.lock"))
    is_new = is_folder and not out.exists()
    if not lock.try_acquire():
        raise OutputError(
            f"{out}: another run is writing it; wait until that has ended, or name another output."
        )
    try:
        clear_temporaries(lock.path.parent, None if is_folder else out.name)
        yield
    finally:
        lock.release()
        if is_new and not any(out.iterdir()):
            out.rmdir()  # of a command that was refused
