"""Editions that a kill left half made, and kills at every touch of the disk."""

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.editions import DOUBLE, FULL, Files, alone, features, replaced
from helpers.extraction import (
    KILLED,
    NUM_CLIPS,
    forked,
    kill_at,
    num_computed,
    outcome,
    run,
    stop_after,
    table,
    tree,
)
from pipeline.errors import FeatureStoreError
from pipeline.store.reader import FeatureStore
from pipeline.store.verification import verify_store

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


# Half made


def test_a_half_made_edition_is_told_by_nobody_and_resumed(tmp_path: Path, files: Files) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    before = tree(root)
    stop_after(2, table(files), root, config=DOUBLE, replace=True)
    assert tree(root).items() >= before.items()
    assert FeatureStore.open(root).view("layers").recipe["pooling"] == "mean"
    assert num_computed(table(files), root) == 0  # the plain command goes on with the old one
    assert replaced(files, root, DOUBLE) == 1


def test_a_half_made_edition_survives_a_manifest_that_changed(
    tmp_path: Path, files: Files, make_wav: Callable[..., Path]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    stop_after(2, table(files), root, config=DOUBLE, replace=True)
    shuffled = {name: files[name] for name in ["é", "c", "a", "d/e f", "b"]}
    stop_after(1, table(shuffled), root, config=DOUBLE, replace=True)
    # What was finished is taken in beside the old edition, which is in place until all is done.
    store = FeatureStore.open(root)
    assert store.view("layers").recipe["pooling"] == "mean"
    assert len(store.view("layers").records) == NUM_CLIPS
    assert replaced(shuffled, root, DOUBLE) == 0
    assert FeatureStore.open(root).view("layers").recipe["pooling"] == "mean_std"
    assert verify_store(root) == []


def test_a_half_made_edition_of_another_recipe_stays_until_disk_or_prune_call_for_it(
    tmp_path: Path, files: Files, undisturbed: dict[str, bytes]
) -> None:
    root = tmp_path / "store"
    run(table(files), root)
    stop_after(2, table(files), root, config=DOUBLE, replace=True)
    replaced(files, root, FULL, kept_bytes=1e9, prune=True)
    replaced(files, root, {}, kept_bytes=1e9, prune=True)
    assert replaced(files, root, DOUBLE) == 1
    stop_after(1, table(files), root, config={**DOUBLE, **FULL}, replace=True)
    replaced(files, root, {})
    num_computed(table(files), root, prune=True, kept_bytes=0)
    assert tree(root) == undisturbed


def test_a_first_run_that_was_killed_gives_way_to_another_recipe(
    tmp_path: Path, files: Files
) -> None:
    root = tmp_path / "store"
    stop_after(2, table(files), root)
    assert replaced(files, root, DOUBLE) == NUM_CLIPS
    np.testing.assert_array_equal(features(files, root), alone(files, tmp_path / "alone", DOUBLE))
    assert replaced(files, root, {}) == 1


# Killed


def kill_everywhere(
    tmp_path: Path, first: Path, work: Callable[[Path], object], check: Callable[[Path], None]
) -> int:
    """Kill `work` at each touch of the disk on a copy of a store; then run it whole and compare."""
    wanted = shutil.copytree(first, tmp_path / "wanted")
    work(wanted)

    def die(root: Path, event: int) -> None:
        kill_at(event)
        work(root)

    for event in itertools.count():
        root = shutil.copytree(first, tmp_path / f"store{event}")
        code = outcome(forked(lambda root=root, event=event: die(root, event)))  # type: ignore[misc]
        check(root)
        if code == 0:
            break
        assert code == KILLED
        work(root)
        assert tree(root) == tree(wanted), event
        shutil.rmtree(root)
    assert verify_store(wanted) == []
    return event


def test_killed_at_every_touch_of_the_disk_the_view_is_the_old_one_or_the_new(
    tmp_path: Path, files: Files
) -> None:
    some = {name: files[name] for name in list(files)[:3]}
    run(table(some), tmp_path / "first")
    wanted = {"mean": features(some, tmp_path / "first")}
    wanted["mean_std"] = alone(some, tmp_path / "alone", DOUBLE)
    seen = set()

    def check(root: Path) -> None:
        try:
            view = FeatureStore.open(root).view("layers")
            found = view.read(list(some))
        except FeatureStoreError as error:  # tables half renamed: said, and never mixed
            assert "stopped while it was committing" in str(error)  # noqa: PT017
            return
        seen.add(view.recipe["pooling"])
        np.testing.assert_array_equal(found, wanted[view.recipe["pooling"]])

    def work(root: Path) -> None:
        replaced(some, root, DOUBLE)

    assert kill_everywhere(tmp_path, tmp_path / "first", work, check) > 25
    assert seen == {"mean", "mean_std"}


def test_killed_while_it_swaps_back_and_drops_it_ends_with_the_same_bytes(
    tmp_path: Path, files: Files
) -> None:
    some = {name: files[name] for name in list(files)[:3]}
    run(table(some), tmp_path / "first")
    replaced(some, tmp_path / "first", DOUBLE)
    replaced(some, tmp_path / "first", FULL)

    def swap(root: Path) -> None:
        assert replaced(some, root, {}, kept_bytes=0) == 0

    assert kill_everywhere(tmp_path, tmp_path / "first", swap, lambda root: None) > 15


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_recipes_kills_and_prunes_ends_as_the_last_one_says(
    tmp_path: Path, files: Files, seed: int
) -> None:
    draw = random.Random(seed)
    root = tmp_path / "store"
    recipes = [{}, DOUBLE, FULL]
    wanted = [alone(files, tmp_path / f"alone{i}", config) for i, config in enumerate(recipes)]

    def work(config: dict[str, Any], bound: float | None, event: int) -> None:
        kill_at(event)
        run(table(files), root, config=config, replace=True, kept_bytes=bound)

    for _ in range(8):
        config, bound = draw.choice(recipes), draw.choice([None, 0, 20000, 1e9])
        event = draw.randrange(60)
        child = forked(lambda c=config, b=bound, e=event: work(c, b, e))  # type: ignore[misc]
        assert outcome(child) in (0, KILLED)
    last = draw.randrange(3)
    replaced(files, root, recipes[last], kept_bytes=0)
    np.testing.assert_array_equal(features(files, root), wanted[last])
    assert verify_store(root) == []
