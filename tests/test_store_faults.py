"""Damage of a store is found, and mended from what is whole."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from helpers.faults import IDS, SHARDS, TABLES, fill, flip, read_everything, tree
from pipeline.errors import FeatureStoreError
from pipeline.store.reader import FeatureStore
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store
from pipeline.store.writer import ViewWriter

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
    view = FeatureStore.open(root).view("layers")
    flip(root / SHARDS[1], view.records.set_index("utterance_id").loc["c", "features_start"])
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


def test_every_damaged_byte_of_store_json_can_be_mended(whole: Path, root: Path) -> None:
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
