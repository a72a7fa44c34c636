"""Another recipe under --replace: put in place whole or not at all, the old one kept beside it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.editions import DOUBLE, FULL, Files, alone, features, replaced
from helpers.extraction import (
    NUM_CLIPS,
    num_computed,
    run,
    table,
    tree,
)
from pipeline.errors import FeatureStoreError
from pipeline.files import sealed_json
from pipeline.progress import Lines
from pipeline.store.contents import read_contents
from pipeline.store.reader import FeatureStore
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


def test_another_recipe_is_put_in_place_and_the_old_one_is_kept(
    tmp_path: Path, files: Files
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    before = tree(root)
    old = FeatureStore.open(root).view("layers")
    old_features = old.read(list(files))
    assert replaced(files, root, DOUBLE) == NUM_CLIPS
    store = FeatureStore.open(root)
    new = store.view("layers")
    assert new.recipe["pooling"] == "mean_std"
    assert new.edition.folder == f"layers@{new.fingerprint[:12]}"
    np.testing.assert_array_equal(features(files, root), alone(files, tmp_path / "alone", DOUBLE))
    (kept,) = store.kept
    assert (kept.fingerprint, kept.recipe) == (old.fingerprint, old.recipe)
    np.testing.assert_array_equal(kept.read(list(files)), old_features)
    # Of the old edition only the outcomes table is written anew: it must stand on its own now.
    changed = {name for name, data in before.items() if tree(root)[name] != data}
    assert changed == {"store.json", "index.parquet", "views/layers/outcomes.parquet"}
    assert verify_store(root) == []


def test_changing_back_computes_nothing_and_gives_the_first_bytes(
    tmp_path: Path, files: Files, undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    replaced(files, root, DOUBLE)
    assert replaced(files, root, {}) == 0
    store = FeatureStore.open(root)
    assert store.view("layers").edition.folder == "layers"
    assert [view.recipe["pooling"] for view in store.kept] == ["mean_std"]
    assert tree(root).items() >= {n: d for n, d in undisturbed.items() if "views/" in n}.items()
    assert replaced(files, root, DOUBLE) == 0
    assert replaced(files, root, {}) == 0
    # Without --replace, --prune drops what is kept, and no byte tells that there was more.
    assert num_computed(table(files), root, prune=True, kept_bytes=0) == 0
    assert tree(root) == undisturbed
    assert [path.name for path in (root / "views").iterdir()] == ["layers"]


def test_changing_back_computes_only_what_changed_meanwhile(
    tmp_path: Path, files: Files, make_wav: Callable[..., Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    make_wav(files["a"], 0.2, seed=20)
    assert replaced(files, root, DOUBLE) == NUM_CLIPS
    assert replaced(files, root, {}) == 1
    np.testing.assert_array_equal(features(files, root), alone(files, tmp_path / "alone", {}))
    assert verify_store(root) == []


def test_a_kept_edition_tells_its_own_clips_when_the_audio_changes(
    tmp_path: Path, files: Files, make_wav: Callable[..., Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    old = FeatureStore.open(root).view("layers").records
    replaced(files, root, DOUBLE)
    make_wav(files["a"], 0.2, seed=20)
    assert replaced(files, root, DOUBLE) == 1
    (kept,) = FeatureStore.open(root).kept
    assert kept.records.equals(old)


def test_without_replace_another_recipe_is_refused_by_field_with_the_cure(
    tmp_path: Path, files: Files
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    replaced(files, root, DOUBLE)
    before = tree(root)
    for config in ({}, FULL):
        with pytest.raises(FeatureStoreError, match=r"pooling is 'mean_std', .*give --replace"):
            run(table(files), root, config=config)
    assert tree(root) == before


def test_a_first_run_under_replace_gives_the_bytes_of_one_without(
    tmp_path: Path, files: Files, undisturbed: dict[str, bytes]
) -> None:
    replaced(files, tmp_path / "store", {}, prune=True, kept_bytes=1e9)
    assert tree(tmp_path / "store") == undisturbed
    assert json.loads(undisturbed["store.json"])["format_version"] == 1


def test_an_older_genser_finds_a_version_that_it_refuses(tmp_path: Path, files: Files) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    replaced(files, root, DOUBLE)
    value = json.loads((root / "store.json").read_bytes())
    assert value["format_version"] == 2  # version 1 asks for exactly 1
    value.pop("sha256")
    (root / "store.json").write_bytes(sealed_json({**value, "format_version": 3}))
    with pytest.raises(FeatureStoreError, match=r"'genser-store', 3\), wanted .* install the"):
        read_contents(root)


def test_the_bound_drops_what_was_kept_longest_and_says_so(tmp_path: Path, files: Files) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    both = {**DOUBLE, **FULL}
    for config in (DOUBLE, FULL):
        replaced(files, root, config)
    sizes = {
        folder.name: sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        for folder in (root / "views").iterdir()
    }
    current = FeatureStore.open(root).view("layers").edition.folder
    (other,) = (name for name in sizes if name not in ("layers", current))
    listener = Lines()
    bound = sizes[other] + sizes[current] + 2000  # the tables grow a little when they are kept
    replaced(files, root, both, kept_bytes=bound, reporter=listener)
    store = FeatureStore.open(root)
    assert [view.edition.folder for view in store.kept] == [other, current]
    assert listener.lines[-1].startswith(
        f"kept beside: {other} (0.0 MB), {current} (0.0 MB); dropped lay"
    )
    assert not (root / "views/layers").exists()
    assert verify_store(root) == []
    assert replaced(files, root, {}, kept_bytes=0) == NUM_CLIPS
    assert FeatureStore.open(root).kept == []
    assert verify_store(root) == []


def test_prune_under_replace_forgets_clips_and_keeps_editions(tmp_path: Path, files: Files) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    fewer = {name: files[name] for name in ("b", "c")}
    assert replaced(fewer, root, DOUBLE, prune=True, kept_bytes=1e9) == 2
    store = FeatureStore.open(root)
    assert store.index["utterance_id"].tolist() == ["b", "c"]
    assert len(store.kept[0].records) == NUM_CLIPS
