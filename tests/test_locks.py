import errno
import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import FeatureStoreError, OutputError
from pipeline.locks import FileLock, hold, is_held


def started(work: Callable[[], int]) -> int:
    """Start `work` in a child of this process; it exits with what `work` returns."""
    child = os.fork()
    if child:
        return child
    status = 100
    try:
        status = work()
    finally:
        os._exit(status)


def outcome(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Callable[[], int]) -> int:
    return outcome(started(work))


def can_take(path: Path, *, shared: bool = False) -> bool:
    """Say whether another process would get the lock now."""
    return in_child(lambda: int(FileLock(path).try_acquire(shared=shared))) == 1


def test_a_lock_held_alone_keeps_everybody_out(tmp_path: Path) -> None:
    with hold(FileLock(tmp_path / "lock")):
        assert not can_take(tmp_path / "lock")
        assert not can_take(tmp_path / "lock", shared=True)
        assert is_held(tmp_path / "lock")


def test_a_shared_lock_lets_sharers_in_and_nobody_alone(tmp_path: Path) -> None:
    with hold(FileLock(tmp_path / "lock"), shared=True):
        assert can_take(tmp_path / "lock", shared=True)
        assert not can_take(tmp_path / "lock")
        assert is_held(tmp_path / "lock")


def test_the_last_holder_takes_the_file_away(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire(shared=True)
    assert second.try_acquire(shared=True)
    first.release()
    assert (tmp_path / "lock").exists()
    second.release()
    assert not list(tmp_path.iterdir())
    second.release()  # once more is harmless


def test_an_error_within_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold(FileLock(tmp_path / "lock")):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_killed_holder_leaves_a_file_that_locks_nobody_out(tmp_path: Path) -> None:
    def work() -> int:
        FileLock(tmp_path / "lock").try_acquire()
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert in_child(work) == -signal.SIGKILL
    assert (tmp_path / "lock").exists()
    assert not is_held(tmp_path / "lock")
    with hold(FileLock(tmp_path / "lock")):
        assert not can_take(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_nobody_holds_a_lock_without_a_file(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_a_lock_on_a_file_that_was_just_removed_is_taken_on_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    flock = fcntl.flock
    calls = []

    def remove_first(descriptor: int, mode: int) -> None:
        calls.append(mode)
        if len(calls) == 1:
            path.unlink()
        flock(descriptor, mode)

    lock = FileLock(path)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", remove_first)
        assert lock.try_acquire()
    assert len(calls) == 2
    assert not can_take(path)
    lock.release()


def test_many_processes_never_hold_it_together(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def work() -> int:
        for _ in range(5):
            lock = FileLock(tmp_path / "lock")
            while not lock.try_acquire():
                os.sched_yield()
            number = int(counter.read_text())
            os.sched_yield()
            counter.write_text(str(number + 1))
            lock.release()
        return 0

    children = [started(work) for _ in range(3)]
    assert [outcome(child) for child in children] == [0, 0, 0]
    assert counter.read_text() == "15"
    assert not (tmp_path / "lock").exists()


def test_who_comes_second_is_told_so(tmp_path: Path) -> None:
    with (
        hold(FileLock(tmp_path / "lock")),
        pytest.raises(FeatureStoreError, match=r"another run is writing this store; wait until"),
        hold(FileLock(tmp_path / "lock")),
    ):
        pass


def test_a_file_in_the_way_of_the_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "way").write_bytes(b"")
    with pytest.raises(OutputError, match=r"way/store: cannot be written \(Not a directory\); ch"):
        FileLock(tmp_path / "way" / "store" / "lock").try_acquire()
    with pytest.raises(OutputError, match=r"way: cannot be written \(File exists\)"):
        FileLock(tmp_path / "way" / "lock").try_acquire()


def test_a_file_system_without_locks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OutputError, match=r"cannot be locked \(No locks available\); choose"):
        FileLock(tmp_path / "lock").try_acquire()
