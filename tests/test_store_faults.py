import errno
import itertools
import os
import resource
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import FeatureStoreError, GenserError, OutputError
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.progress import Silence
from pipeline.store.contents import INDEX, Contents, read_contents
from pipeline.store.reader import FeatureStore
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store
from pipeline.store.writer import ViewWriter

IDS = ["b", "a", "d", "c", "f", "e", "g"]
TABLES = ["index.parquet", "views/layers/outcomes.parquet", "views/layers/recipe.json"]
SHARDS = [f"views/layers/shards/{number:06d}.h5" for number in range(4)]
CONFIG = IngestConfig(rows_per_shard=2)


def fill(root: Path, ids: list[str] = IDS, *, changed: str = "") -> int:
    """Bring a store up to date with these clips, made of their names; return how many were made."""
    seeds = [ord(name) + 100 * (name in changed) for name in ids]
    features = np.stack([np.random.default_rng(seed).normal(size=(3, 2)) for seed in seeds])
    return ingest(FeatureTable(utterance_ids=ids, features=features), root, CONFIG, Silence())


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    files = (path for path in root.rglob("*") if not path.is_dir())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def read_everything(root: Path) -> None:
    """Read every byte of a store as training would."""
    store = FeatureStore.open(root)
    assert len(store.index) == len(IDS)
    for name in store.views:
        view = store.view(name)
        assert len(view.records) == len(IDS)
        for number in store.contents.shard_numbers(name):
            view.shard(number)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << place % 8
    path.write_bytes(data)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush changes no byte that a test reads."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


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


# Damage is found


def test_a_whole_store_has_no_fault_and_reading_it_changes_nothing(root: Path) -> None:
    before = tree(root)
    assert verify_store(root) == []
    assert repair_store(root) == []
    read_everything(root)
    assert tree(root) == before


@pytest.mark.parametrize("name", ["store.json", *TABLES, *SHARDS])
def test_every_flipped_byte_is_found_by_verify_and_by_a_reader(root: Path, name: str) -> None:
    path = root / name
    data = path.read_bytes()
    view = FeatureStore.open(root).view("layers")
    read_shard = partial(view.shard, SHARDS.index(name)) if name in SHARDS else None
    step = 1 if name == "store.json" else 37
    for i, place in enumerate(range(0, len(data), step)):
        flip(path, place)
        with pytest.raises(FeatureStoreError):
            (read_shard or partial(read_everything, root))()
        if i % 8 == 0:  # verify hashes what the reader hashes, and seven other files
            assert any(str(path) in fault for fault in verify_store(root)), place
        path.write_bytes(data)
    read_everything(root)
    assert verify_store(root) == []


@pytest.mark.parametrize("name", ["store.json", *TABLES, *SHARDS])
@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "gone"])
def test_a_file_cut_lengthened_or_deleted_is_found(root: Path, name: str, damage: str) -> None:
    path = root / name
    if damage == "gone":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes({"cut": data[:-1], "longer": data + b"\0", "empty": b""}[damage])
    wanted = "missing" if damage == "gone" else "damaged"
    assert any(fault.startswith(f"{path}: {wanted}") for fault in verify_store(root))
    with pytest.raises(FeatureStoreError):
        read_everything(root)


def test_verify_counts_the_clips_that_are_hit(root: Path) -> None:
    flip(root / SHARDS[1], 100)
    (root / SHARDS[3]).unlink()
    damaged, missing, count = verify_store(root)
    assert damaged.startswith(f"{root / SHARDS[1]}: damaged, found digest ")
    assert missing == f"{root / SHARDS[3]}: missing."
    assert count == f"{root}: 3 of 7 clips are affected."


def test_without_a_table_all_clips_are_hit(root: Path) -> None:
    flip(root / TABLES[0], 100)
    assert verify_store(root)[-1] == f"{root}: 7 of 7 clips are affected."
    flip(root / TABLES[1], 100)
    assert "cannot be told before a repair" in verify_store(root)[-1]


def test_a_damaged_shard_hurts_only_who_reads_it(root: Path) -> None:
    flip(root / SHARDS[1], 100)
    view = FeatureStore.open(root).view("layers")
    assert view.read(["a", "b", "f"]).shape == (3, 3, 2)
    with pytest.raises(FeatureStoreError, match=r"000001\.h5: damaged, found digest .* --repair"):
        view.read(["a", "c"])


def test_an_extra_file_is_named_and_never_deleted(root: Path) -> None:
    (root / "notes.txt").write_text("mine")
    (root / "views/layers/shards/more").write_text("mine")
    faults = verify_store(root)
    assert [fault.split(": ")[1] for fault in faults] == ["no part of this store; remove it."] * 2
    assert repair_store(root) == []
    assert verify_store(root) == faults


def test_an_extra_shard_is_named_and_removed(root: Path) -> None:
    extra = root / "views/layers/shards/000009.h5"
    shutil.copy(root / SHARDS[0], extra)
    assert [fault.split(":")[0] for fault in verify_store(root)] == [str(extra)]
    assert repair_store(root) == [f"{extra}: removed"]
    assert verify_store(root) == []


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FeatureStoreError, match="no feature store there"):
            verify_store(folder)
        with pytest.raises(FeatureStoreError, match="no feature store there"):
            repair_store(folder)
    assert not list(tmp_path.iterdir())


# Damage is mended


@pytest.mark.parametrize(
    "lost",
    [
        *([name] for name in ["store.json", *TABLES, *SHARDS]),
        SHARDS[1:3],
        [SHARDS[0], SHARDS[3]],
        SHARDS,
        TABLES,
        ["store.json", TABLES[0]],
        ["store.json", SHARDS[2]],
        ["store.json", *TABLES[1:]],
        [TABLES[0], SHARDS[1]],
        [TABLES[1], SHARDS[1], SHARDS[2]],
        [TABLES[2], SHARDS[0]],
        [*TABLES, *SHARDS],
        ["store.json", *TABLES, *SHARDS[1:]],
    ],
    ids=lambda lost: "+".join(name.rsplit("/")[-1] for name in lost),
)
@pytest.mark.parametrize("damage", ["flip", "gone"])
def test_after_a_repair_the_store_is_whole_and_a_rerun_gives_its_bytes(
    whole: Path, root: Path, lost: list[str], damage: str
) -> None:
    for name in lost:
        if damage == "flip":
            flip(root / name, len((root / name).read_bytes()) // 2)
        else:
            (root / name).unlink()
    assert verify_store(root)
    assert repair_store(root)
    assert verify_store(root) == []
    fill(root)
    assert tree(root) == tree(whole)


def test_every_damaged_byte_of_the_catalogue_can_be_mended(whole: Path, root: Path) -> None:
    data = (root / "store.json").read_bytes()
    for place in range(0, len(data), 29):
        flip(root / "store.json", place)
        repair_store(root)
        assert tree(root) == tree(whole), place


def test_a_repair_makes_only_the_clips_of_damaged_shards_anew(root: Path) -> None:
    flip(root / SHARDS[1], 100)
    (done,) = repair_store(root)
    assert done == f"{root / SHARDS[1]}: dropped"
    with pytest.raises(FeatureStoreError, match="'d', was never extracted"):
        FeatureStore.open(root).view("layers").read(["d"])
    assert fill(root) == 2


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store made in four runs: uneven shards, a changed clip; not to be changed."""
    folder = tmp_path_factory.mktemp("grown") / "store"
    fill(folder, IDS[:3])
    fill(folder, IDS[:5])
    fill(folder, IDS[:5], changed="c")
    fill(folder, IDS, changed="c")
    return folder


@pytest.mark.parametrize("lost", [["000001", "000004"], ["000003", "000004"], ["000001"]])
@pytest.mark.parametrize("table", [None, *TABLES, "store.json"])
def test_a_grown_store_gets_its_shards_back_under_their_old_numbers(
    grown: Path, tmp_path: Path, lost: list[str], table: str | None
) -> None:
    root = shutil.copytree(grown, tmp_path / "store")
    wanted = tree(root)
    names = [name for name in wanted if any(number in name for number in lost)]
    assert len(names) == len(lost)
    for name in names:
        flip(root / name, 100)
    if table:
        (root / table).unlink()
    repair_store(root)
    assert verify_store(root) == []
    fill(root, changed="c")
    assert tree(root) == wanted


def test_a_pruned_clip_does_not_come_back_by_a_repair(tmp_path: Path) -> None:
    for name in ("store.json", *TABLES):
        root = tmp_path / Path(name).stem
        fill(root)
        recipe = FeatureStore.open(root).view("layers")
        writer = ViewWriter(root, "layers", recipe.recipe, recipe.provenance)
        writer.commit([], keep=frozenset(IDS) - {"a"})
        wanted = tree(root)
        (root / name).unlink()
        repair_store(root)
        assert tree(root) == wanted


# What a stopped run leaves


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
        ".commit.lock",
        ".job-1.lock",
        ".plan.json",
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


# Disks that refuse


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


def test_a_repaired_catalogue_remembers_what_to_fill(root: Path) -> None:
    flip(root / SHARDS[1], 100)
    repair_store(root)
    catalogue = read_contents(root) or Contents()
    assert catalogue.refill == {SHARDS[1]: ["c", "d"]}
    assert INDEX in catalogue.digests
    fill(root)
    assert (read_contents(root) or Contents()).refill == {}
