"""What a stopped run leaves in a store, and disks that refuse."""

import errno
import itertools
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.faults import CONFIG, IDS, SHARDS, fill, flip, tree
from pipeline.errors import FeatureStoreError, GenserError, OutputError
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import ingest
from pipeline.progress import Silence
from pipeline.store.contents import INDEX, Contents, read_contents
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips in four shards; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    assert fill(folder) == len(IDS)
    return folder


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of that store, to be damaged."""
    return shutil.copytree(whole, tmp_path / "store")


class Stop(Silence):
    """Stops a run after so many shards."""

    def __init__(self, num_shards: int) -> None:
        self.left = num_shards

    def advance(self, items: int, audio_s: float = 0.0) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def stop(root: Path, num_shards: int) -> None:
    """Begin to fill a store and stop after so many shards."""
    features = np.stack([np.random.default_rng(ord(name)).normal(size=(3, 2)) for name in IDS])
    table = FeatureTable(utterance_ids=IDS, features=features)
    with pytest.raises(KeyboardInterrupt):
        ingest(table, root, CONFIG, Stop(num_shards))


def test_finished_shards_that_wait_are_told_and_taken_in(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    stop(root, 2)
    faults = verify_store(root)
    assert [fault.split(": ")[0] for fault in faults] == [str(root / name) for name in SHARDS[:2]]
    assert "its 2 clips wait for a commit; run the same extract again" in faults[0]
    assert repair_store(root) == [f"{root / name}: taken into the store" for name in SHARDS[:2]]
    assert verify_store(root) == []
    assert fill(root) == 3
    assert tree(root) == tree(whole)


def test_the_shards_of_jobs_that_wait_leave_the_others_their_numbers(
    whole: Path, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    stop(root, 3)
    for suffix in (".h5", ".sha256"):
        (root / SHARDS[1]).with_suffix(suffix).unlink()
    repair_store(root)
    assert verify_store(root) == []
    assert fill(root) == 3
    assert tree(root) == tree(whole)


def stop_in_commit(root: Path, monkeypatch: pytest.MonkeyPatch, num_replaced: int) -> None:
    """Fill a store, and stop after so many tables of the commit stand under their names."""
    replace = Path.replace
    count = itertools.count()

    def stopping(path: Path, target: Path) -> Path:
        if path.suffix == ".next" and next(count) == num_replaced:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopping)
        with pytest.raises(KeyboardInterrupt):
            fill(root)


@pytest.mark.parametrize("num_replaced", range(4))
def test_an_interrupted_commit_is_told_and_finished(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_replaced: int
) -> None:
    root = tmp_path / "store"
    stop_in_commit(root, monkeypatch, num_replaced)
    faults = verify_store(root)
    assert f"{root / 'store.json.next'}: a run was stopped while it was committing" in faults[0]
    repair_store(root)
    assert verify_store(root) == []
    assert tree(root) == tree(whole)


@pytest.mark.parametrize("num_replaced", range(4))
def test_a_damaged_interrupted_commit_is_mended(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_replaced: int
) -> None:
    root = tmp_path / "store"
    stop_in_commit(root, monkeypatch, num_replaced)
    flip(root / "store.json.next", 500)
    assert "store.json.next: damaged" in verify_store(root)[0]
    with pytest.raises(FeatureStoreError, match="run 'genser verify --repair' on it"):
        fill(root)
    assert f"{root / 'store.json.next'}: damaged, removed" in repair_store(root)
    assert verify_store(root) == []
    fill(root)
    assert tree(root) == tree(whole)


@pytest.mark.parametrize("remove", [repair_store, fill])
def test_what_a_killed_run_leaves_is_named_and_removed(
    whole: Path, root: Path, remove: Callable[[Path], object]
) -> None:
    names = [
        ".run.lock",
        "views/layers/shards/.000004.h5.tmp",
        "views/layers/shards/000004.sha256",
        "index.parquet.next",
    ]
    for name in names:
        (root / name).write_bytes(b"")
    assert sorted(fault.split(": ")[0] for fault in verify_store(root)) == sorted(
        str(root / name) for name in names
    )
    remove(root)
    assert tree(root) == tree(whole)


def refusal(root: Path) -> str | None:
    """Return what a run says that cannot write, None if it can."""
    try:
        fill(root)
    except OutputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["write_bytes", "replace", "unlink"])
def test_a_disk_full_at_any_touch_loses_nothing_finished(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original: Callable[..., object] = getattr(Path, name)
    for fail_at in itertools.count():
        count = itertools.count()

        def full(
            path: Path, *args: object, count: itertools.count = count, at: int = fail_at, **kw: bool
        ) -> object:
            if not path.name.endswith(".lock") and next(count) == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(path, *args, **kw)

        root = tmp_path / f"store{fail_at}"
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, full)
            message = refusal(root)
        if message is None:
            break
        assert "(No space left on device); free space" in message
        assert "\n" not in message
        num_finished = len(list(root.glob("views/layers/shards/*.h5")))
        assert fill(root) <= len(IDS) - min(2 * num_finished, len(IDS))
        assert tree(root) == tree(whole)
        shutil.rmtree(root)
    assert fail_at >= {"write_bytes": 12, "replace": 12, "unlink": 4}[name]


def test_a_limit_on_file_size_is_one_line_and_loses_nothing(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            largest = max(len((whole / name).read_bytes()) for name in SHARDS)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, largest - 1))
            fill(root)
        except OutputError as error:
            status = 42 if "cannot be written (File too large)" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    fill(root)
    assert tree(root) == tree(whole)


def test_a_file_in_the_way_of_the_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "way").write_bytes(b"")
    for root in (tmp_path / "way", tmp_path / "way" / "store"):
        with pytest.raises(OutputError, match=r"cannot be written \(.*\); choose a folder"):
            fill(root)


def test_a_repair_that_meets_a_full_disk_can_be_run_again(
    whole: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    flip(root / SHARDS[1], 100)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="No space left"):
            repair_store(root)
    repair_store(root)
    assert verify_store(root) == []
    fill(root)
    assert tree(root) == tree(whole)


def test_every_fault_is_one_line_for_the_user(root: Path) -> None:
    (root / "store.json").write_bytes(b"")
    with pytest.raises(GenserError) as caught:
        fill(root)
    assert "genser verify" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_repaired_store_remembers_what_to_fill(root: Path) -> None:
    flip(root / SHARDS[1], 100)
    repair_store(root)
    contents = read_contents(root) or Contents()
    assert contents.refill == {SHARDS[1]: ["c", "d"]}
    assert INDEX in contents.digests
    fill(root)
    assert (read_contents(root) or Contents()).refill == {}
