"""Clips read from where they lie in a shard: the same numbers, each byte held to a digest."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.faults import IDS, SHARDS, fill, flip, tree
from helpers.old_stores import as_before
from helpers.ragged import LENGTHS, frames_of, known, write_ragged
from pipeline.errors import FeatureStoreError
from pipeline.store.commit import commit
from pipeline.store.contents import outcomes_name, read_contents
from pipeline.store.index import outcomes_bytes
from pipeline.store.reader import FeatureStore, View
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store
from pipeline.store.views import FRAMES, PLACED

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

ROW = 3 * 2 * 2  # bytes of a clip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips in four shards; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def before(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips in a store of before; not to be changed."""
    folder = shutil.copytree(whole, tmp_path_factory.mktemp("before") / "store")
    as_before(folder)
    return folder


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ragged view of six clips in two shards; not to be changed."""
    return write_ragged(tmp_path_factory.mktemp("ragged") / "store")


def opened(root: Path, view: str = "layers") -> View:
    """Open a view that knows what its clips look like, so that it opens no other shard whole."""
    found = FeatureStore.open(root).view(view)
    assert len(found.feature_shape) == 2
    return found


def values(ids: list[str]) -> np.ndarray:
    seeds = [ord(name) for name in ids]
    every = [np.random.default_rng(seed).normal(size=(3, 2)) for seed in seeds]
    return np.array(every).astype(np.float16).reshape(-1, 3, 2)


def test_the_table_tells_where_the_features_are_that_hdf5_reads(whole: Path, ragged: Path) -> None:
    for root, view in ((whole, "layers"), (ragged, FRAMES)):
        found = opened(root, view)
        for record in found.records.itertuples():
            path = root / f"views/{view}/shards/{record.shard:06d}.h5"
            if record.row < 0:
                assert (record.features_start, record.features_digest) == (-1, "")
                continue
            with h5py.File(path) as file:
                first, end = record.row, record.row + 1
                if view == FRAMES:
                    first, end = file["offsets"][record.row : record.row + 2]
                wanted = file["features"][first:end].tobytes()
            data = path.read_bytes()[record.features_start :][: len(wanted)]
            assert data == wanted
            assert hashlib.sha256(data).hexdigest() == record.features_digest


@settings(deadline=None, max_examples=20)
@given(
    ids=st.lists(st.sampled_from(IDS), max_size=12),
    layers=st.sampled_from([None, [2, 0], [1]]),
)
def test_clips_are_the_same_read_alone_and_out_of_whole_shards(
    whole: Path, before: Path, ids: list[str], layers: list[int] | None
) -> None:
    wanted = values(ids) if layers is None else values(ids)[:, layers]
    for root in (whole, before):
        found = opened(root).read(ids, layers)
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@settings(deadline=None, max_examples=10)
@given(
    ids=st.lists(st.sampled_from(list(known(LENGTHS))), max_size=8),
    layers=st.sampled_from([None, [1, 0], [1]]),
)
def test_frames_are_the_same_read_alone(
    ragged: Path, ids: list[str], layers: list[int] | None
) -> None:
    found = opened(ragged, FRAMES).read_ragged(ids, layers)
    for name, frames in zip(ids, found, strict=True):
        wanted = frames_of(name, known(LENGTHS)[name])
        np.testing.assert_array_equal(frames, wanted if layers is None else wanted[:, layers])


def test_once_a_shard_was_opened_hdf5_is_not_asked(
    whole: Path, ragged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, frames = opened(whole), opened(ragged, FRAMES)
    monkeypatch.setattr(h5py, "File", None)
    assert len(layers.read(IDS)) == len(IDS)
    assert len(frames.read_ragged(list(known(LENGTHS)))) == len(known(LENGTHS))


def test_every_flipped_byte_of_a_clip_is_found_and_none_of_others_is_in_the_way(
    whole: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    view = opened(root)
    place = view.records.set_index("utterance_id").loc["c"]
    path = root / f"views/layers/shards/{place['shard']:06d}.h5"
    data = path.read_bytes()
    mine = range(place["features_start"], place["features_start"] + ROW)
    for position in [*mine, mine.start - 1, mine.stop, 0, 100, len(data) - 1]:
        flip(path, position)
        if position in mine:
            with pytest.raises(FeatureStoreError, match=rf"{path.name}: damaged, found digest .*"):
                view.read(["a", "c"])
        else:
            np.testing.assert_array_equal(view.read(["a", "c"]), values(["a", "c"]))
        assert any(str(path) in fault for fault in verify_store(root))
        path.write_bytes(data)


@pytest.mark.parametrize("kind", ["gone", "empty", "cut", "folder"])
def test_a_shard_that_cannot_be_read_is_told_as_before(
    whole: Path, tmp_path: Path, kind: str
) -> None:
    root = shutil.copytree(whole, tmp_path / "store")
    view = opened(root)
    path = root / SHARDS[1]
    start = view.records.set_index("utterance_id").loc["c", "features_start"]
    data = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind != "gone":
        path.write_bytes(data[: start + ROW - 1] if kind == "cut" else b"")
    told = {"gone": "damaged, found digest nothing", "folder": r"cannot be read \(Is a directory\)"}
    with pytest.raises(FeatureStoreError, match=told.get(kind, "damaged, found digest")) as caught:
        view.read(["c"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("features_digest", "0f" * 32),
        ("features_start", 0),
        ("features_start", -1),
        ("features_start", 1 << 40),
        ("num_frames", 1 << 20),
        ("num_frames", -1),
        ("num_frames", 1 << 62),
    ],
)
def test_a_table_that_tells_something_else_is_refused(
    ragged: Path, tmp_path: Path, column: str, value: Any
) -> None:
    root = shutil.copytree(ragged, tmp_path / "store")
    contents = read_contents(root)
    assert contents is not None
    records = FeatureStore.open(root).view(FRAMES).records
    changed = records.assign(**{column: value})
    commit(
        root, contents, {outcomes_name(FRAMES): outcomes_bytes(changed, FRAMES, is_current=True)}
    )
    with pytest.raises(FeatureStoreError, match=r"whole, and yet .*no genser wrote this") as caught:
        opened(root, FRAMES).read_ragged(["d"])
    assert "\n" not in str(caught.value)


def test_a_store_of_before_stays_as_it_is_and_grows(before: Path, tmp_path: Path) -> None:
    root = shutil.copytree(before, tmp_path / "store")
    assert not set(PLACED) & set(FeatureStore.open(root).view("layers").records)
    assert verify_store(root) == []
    assert fill(root) == 0
    assert repair_store(root) == []
    assert tree(root) == tree(before)
    assert fill(root, [*IDS, "x", "y"]) == 2
    view = FeatureStore.open(root).view("layers")
    told = view.records.set_index("utterance_id")["features_digest"] != ""
    assert told[told].index.tolist() == ["x", "y"]
    every = [*reversed(IDS), "y", "x"]
    np.testing.assert_array_equal(view.read(every), values(every))
    grown = tree(root)
    (root / "store.json").unlink()
    repair_store(root)
    assert tree(root) == grown
    assert verify_store(root) == []


def test_a_changed_clip_is_told_anew(before: Path, tmp_path: Path) -> None:
    root = shutil.copytree(before, tmp_path / "store")
    assert fill(root, changed="c") == 1
    found = opened(root).read(["a", "c"])
    seed = ord("c") + 100
    wanted = np.random.default_rng(seed).normal(size=(3, 2)).astype(np.float16)
    np.testing.assert_array_equal(found[1], wanted)
    np.testing.assert_array_equal(found[:1], values(["a"]))


def test_a_repair_without_tables_tells_the_same(whole: Path, ragged: Path, tmp_path: Path) -> None:
    for root, view in ((whole, "layers"), (ragged, FRAMES)):
        copy = shutil.copytree(root, tmp_path / view)
        for name in ("index.parquet", outcomes_name(view)):
            (copy / name).unlink()
        repair_store(copy)
        assert tree(copy) == tree(root)
        wanted = FeatureStore.open(root).view(view).records
        pd.testing.assert_frame_equal(FeatureStore.open(copy).view(view).records, wanted)
