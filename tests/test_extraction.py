"""What extract leaves in a store: the same bytes, and of what has changed only that."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.extraction import (
    NUM_CLIPS,
    PlainEncoder,
    forked,
    num_computed,
    outcome,
    run,
    shards,
    table,
    tree,
)
from pipeline.errors import FeatureStoreError, ManifestError
from pipeline.store.reader import FeatureStore
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


def test_a_finished_store_holds_its_tables_and_shards_and_nothing_else(
    undisturbed: dict[str, bytes],
) -> None:
    view = "views/layers"
    assert sorted(undisturbed) == [
        "index.parquet",
        "store.json",
        f"{view}/outcomes.parquet",
        f"{view}/recipe.json",
        f"{view}/shards/000000.h5",
        f"{view}/shards/000001.h5",
        f"{view}/shards/000002.h5",
    ]


def test_bytes_depend_on_neither_folders_nor_workers_nor_process(
    tmp_path: Path, files: dict[str, Path], undisturbed: dict[str, bytes]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    bad = {"broken": tmp_path / "broken.wav", "gone": tmp_path / "gone.wav"}
    run(table(files | bad), tmp_path / "here")
    moved = shutil.copytree(tmp_path / "audio", tmp_path / "else" / "where")
    shutil.copy(tmp_path / "broken.wav", moved)
    elsewhere = {name: moved / path.name for name, path in (files | bad).items()}
    child = forked(lambda: run(table(elsewhere), tmp_path / "deep" / "er" / "store", workers=5))
    assert outcome(child) == 0
    assert tree(tmp_path / "deep" / "er" / "store") == tree(tmp_path / "here")
    assert tree(tmp_path / "here") != undisturbed


def test_a_second_run_changes_no_byte_and_no_time_stamp(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    again = run(table(files), root)
    assert (again.num_computed, again.outcomes) == (0, {"ok": NUM_CLIPS})
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before


def test_features_in_the_store_are_those_of_each_clip_alone(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(table(files), tmp_path / "store", config={"stored_dtype": "float32"})
    found = FeatureStore.open(tmp_path / "store").view("layers").read(list(files))
    for row, (name, path) in zip(found, files.items(), strict=True):
        run(table({name: path}), tmp_path / path.stem, config={"stored_dtype": "float32"})
        alone = FeatureStore.open(tmp_path / path.stem).view("layers").read([name])[0]
        np.testing.assert_array_equal(row, alone)


def test_added_rows_alone_are_computed(tmp_path: Path, files: dict[str, Path]) -> None:
    requests = table(files)
    run(requests.iloc[[0, 2, 4]], tmp_path / "store")
    before = tree(tmp_path / "store")
    assert num_computed(requests, tmp_path / "store") == 2
    after = tree(tmp_path / "store")
    assert all(after[name] == data for name, data in before.items() if name.endswith(".h5"))
    np.testing.assert_array_equal(
        FeatureStore.open(tmp_path / "store").index["utterance_id"], sorted(files)
    )


def test_a_changed_file_alone_is_computed(
    tmp_path: Path, files: dict[str, Path], make_wav: Callable[..., Path]
) -> None:
    run(table(files), tmp_path / "store")
    before = FeatureStore.open(tmp_path / "store").view("layers").read(list(files))
    make_wav(files["a"], 0.2, seed=20)
    assert num_computed(table(files), tmp_path / "store") == 1
    after = FeatureStore.open(tmp_path / "store").view("layers").read(list(files))
    np.testing.assert_array_equal((after != before).any(axis=(1, 2)), [i == 1 for i in range(5)])
    assert verify_store(tmp_path / "store") == []


@pytest.mark.parametrize("column", ["start", "end", "channel"])
def test_a_changed_segment_alone_is_computed(
    tmp_path: Path, files: dict[str, Path], column: str
) -> None:
    run(table(files), tmp_path / "store")
    value = {"start": 0.02, "end": 0.05, "channel": 1}[column]
    requests = table(files)
    requests.loc[3, column] = value
    assert num_computed(requests, tmp_path / "store") == 1


def test_removed_rows_stay_without_prune_and_go_with_it(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    before = tree(root)
    fewer = table(files).iloc[[0, 3]]
    assert run(fewer, root).outcomes == {"ok": 2}
    assert tree(root) == before
    assert num_computed(fewer, root, prune=True) == 0
    assert FeatureStore.open(root).index["utterance_id"].tolist() == ["b", "c"]
    assert shards(root) == {0, 1}
    assert verify_store(root) == []
    with pytest.raises(FeatureStoreError, match="'a', was never extracted"):
        FeatureStore.open(root).view("layers").read(["b", "a"])


def test_everything_can_be_pruned_and_come_back(tmp_path: Path, files: dict[str, Path]) -> None:
    root = tmp_path / "store"
    run(table(files).iloc[:2], root)
    assert num_computed(table(files).iloc[2:], root, prune=True) == 3
    assert num_computed(table(files), root) == 2
    assert FeatureStore.open(root).view("layers").read(list(files)).shape == (5, 3, 2)


def test_moved_and_renamed_files_are_not_computed_again(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(table(files), tmp_path / "store")
    before = tree(tmp_path / "store")
    moved = {
        name: path.rename(path.with_name(f"moved_{path.name}")) for name, path in files.items()
    }
    assert num_computed(table(moved), tmp_path / "store") == 0
    assert tree(tmp_path / "store") == before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pooling": "mean_std"}, "pooling is 'mean', wanted 'mean_std'"),
        ({"stored_dtype": "float32"}, "stored_dtype is 'float16', wanted 'float32'"),
        ({"max_duration_s": 20.0}, "max_duration_s is 30.0, wanted 20.0"),
    ],
)
def test_another_recipe_is_refused_by_the_name_of_its_field(
    tmp_path: Path, files: dict[str, Path], config: dict[str, Any], message: str
) -> None:
    run(table(files), tmp_path / "store")
    before = tree(tmp_path / "store")
    with pytest.raises(FeatureStoreError, match=message):
        run(table(files), tmp_path / "store", config=config)
    assert tree(tmp_path / "store") == before


def test_other_weights_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    run(table(files), tmp_path / "store")
    with pytest.raises(FeatureStoreError, match=r"encoder\.weights is 'w0', wanted 'w1'"):
        run(table(files), tmp_path / "store", encoder=PlainEncoder("w1"))


def test_a_failed_clip_is_tried_again_only_when_its_file_changes(
    tmp_path: Path, files: dict[str, Path], make_wav: Callable[..., Path]
) -> None:
    root = tmp_path / "store"
    bad = {**files, "broken": tmp_path / "broken.wav", "gone": tmp_path / "gone.wav"}
    bad["broken"].write_bytes(b"no audio")
    first = run(table(bad), root)
    assert first.outcomes == {"decode_error": 1, "missing": 1, "ok": 5}
    assert first.num_failed == 2
    assert run(table(bad), root).num_computed == 0
    make_wav(bad["broken"], 0.1, seed=9)
    make_wav(bad["gone"], 0.1, seed=10)
    second = run(table(bad), root)
    assert (second.num_computed, second.outcomes) == (2, {"ok": 7})
    bad["gone"].unlink()
    assert run(table(bad), root).outcomes == {"missing": 1, "ok": 6}


def test_a_broken_promise_is_tried_again_when_the_manifest_is_mended(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    promises = [1600, 1, 1920, -1, -1]  # the second has 1760 samples
    assert run(table(files, num_samples=promises), root).outcomes == {
        "length_mismatch": 1,
        "ok": 4,
    }
    assert run(table(files, num_samples=promises), root).num_computed == 0
    promises[1] = 2
    assert run(table(files, num_samples=promises), root).num_computed == 1
    promises[1] = -1
    assert run(table(files, num_samples=promises), root).outcomes == {"ok": 5}
    promises[1] = 2
    assert run(table(files, num_samples=promises), root).num_failed == 1
    promises[1] = 1760
    mended = run(table(files, num_samples=promises), root)
    assert (mended.num_computed, mended.outcomes) == (1, {"ok": 5})
    assert run(table(files, num_samples=-1), root).num_computed == 0


def test_a_promise_that_comes_later_is_held_against_the_store(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    run(table(files), tmp_path / "store")
    later = run(table(files, sample_rate=[-1, 8000, -1, 16000, -1]), tmp_path / "store")
    assert (later.num_computed, later.outcomes) == (1, {"length_mismatch": 1, "ok": 4})


def test_two_rows_of_one_id_are_refused_before_any_work(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    twice = pd.concat([table(files), table(files).iloc[[2]]], ignore_index=True)
    with pytest.raises(ManifestError, match="store_id 'd/e f' in several rows"):
        run(twice, tmp_path / "store")
    assert not (tmp_path / "store").exists()
