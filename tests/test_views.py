"""Several views side by side: none depends on another, and none is touched by another's run."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.extraction import KILLED, forked, kill_at, outcome, tree
from helpers.views import bring_up, features_of, write_files
from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.store.contents import read_contents
from pipeline.store.reader import FeatureStore
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store
from pipeline.store.views import FRAMES, LAYERS

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

TABLES = {"index.parquet", "store.json"}


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    return write_files(tmp_path / "files", b="bb", a="a" * 70, c="ccc")


@pytest.fixture
def both(tmp_path: Path, clips: dict[str, Path]) -> Path:
    """A store of a dense view and a ragged one."""
    root = tmp_path / "store"
    assert bring_up(root, LAYERS, clips) == 3
    assert bring_up(root, FRAMES, clips) == 3
    return root


def read_all(root: Path, clips: dict[str, Path]) -> None:
    """Read everything and hold it to what it was made of."""
    store = FeatureStore.open(root)
    assert store.index["utterance_id"].tolist() == sorted(clips)
    layers, frames = store.view(LAYERS), store.view(FRAMES)
    assert len(layers.records) == len(frames.records) == len(clips)
    names = list(clips)
    for name, row, ragged in zip(names, layers.read(names), frames.read_ragged(names), strict=True):
        np.testing.assert_array_equal(row, features_of(LAYERS, clips[name]))
        np.testing.assert_array_equal(ragged, features_of(FRAMES, clips[name]))


def test_an_added_view_alone_is_computed_and_no_other_file_changes(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    bring_up(root, LAYERS, clips)
    before = tree(root)
    assert bring_up(root, FRAMES, clips) == 3
    assert bring_up(root, LAYERS, clips) == 0
    after = tree(root)
    assert {name for name, data in before.items() if after[name] != data} == TABLES
    assert all(name.startswith("views/frames/") for name in after.keys() - before.keys())
    read_all(root, clips)


def test_the_order_of_views_leaves_no_trace(
    tmp_path: Path, clips: dict[str, Path], both: Path
) -> None:
    bring_up(tmp_path / "other", FRAMES, clips)
    bring_up(tmp_path / "other", LAYERS, clips)
    assert tree(tmp_path / "other") == tree(both)


@pytest.mark.parametrize("first", [LAYERS, FRAMES])
def test_after_changed_audio_each_view_knows_what_is_stale(
    both: Path, clips: dict[str, Path], first: str
) -> None:
    second = FRAMES if first == LAYERS else LAYERS
    stale = FeatureStore.open(both).view(second).records
    clips["a"].write_text("another")
    assert bring_up(both, first, clips) == 1
    assert FeatureStore.open(both).view(second).records.equals(stale)
    assert bring_up(both, first, clips) == 0
    assert bring_up(both, second, clips) == 1
    read_all(both, clips)
    assert verify_store(both) == []


def test_the_index_says_what_layers_says_and_frames_only_where_it_has_no_such_clip(
    both: Path, clips: dict[str, Path], tmp_path: Path
) -> None:
    clips["a"].write_text("another")
    clips |= write_files(tmp_path / "files", d="dddd")
    bring_up(both, FRAMES, clips)
    store = FeatureStore.open(both)
    index = store.index.set_index("utterance_id")
    assert index["num_samples"].to_dict() == {"a": 70, "b": 2, "c": 3, "d": 4}
    assert index["layers.shard"].isna().to_dict() == {"a": False, "b": False, "c": False, "d": True}
    frames = store.view(FRAMES).records.set_index("utterance_id")
    assert frames["num_samples"].to_dict() == {"a": 7, "b": 2, "c": 3, "d": 4}
    assert store.view(LAYERS).records["utterance_id"].tolist() == ["a", "b", "c"]


def test_a_view_pruned_leaves_the_other_alone(both: Path, clips: dict[str, Path]) -> None:
    fewer = {"a": clips["a"]}
    assert bring_up(both, FRAMES, fewer, prune=True) == 0
    store = FeatureStore.open(both)
    assert store.view(FRAMES).records["utterance_id"].tolist() == ["a"]
    assert len(store.view(LAYERS).records) == 3
    assert bring_up(both, FRAMES, clips) == 2
    read_all(both, clips)


def test_a_store_of_more_than_layers_is_of_version_2(both: Path) -> None:
    assert b'"format_version": 2' in (both / "store.json").read_bytes()


def test_a_name_that_is_no_view_is_refused(tmp_path: Path, clips: dict[str, Path]) -> None:
    for name in ("layers@0123456789ab", "../x", ""):
        with pytest.raises(ParamsError, match="is no name of a view; use letters"):
            bring_up(tmp_path / "store", name, clips)


# Faults


def test_a_flipped_byte_in_any_file_is_found_and_mended(both: Path, clips: dict[str, Path]) -> None:
    wanted = tree(both)
    for name, data in wanted.items():
        for place in (len(data) // 3, len(data) // 2):
            damaged = bytearray(data)
            damaged[place] ^= 4
            (both / name).write_bytes(damaged)
            assert any(fault.startswith(f"{both / name}: ") for fault in verify_store(both))
            try:
                read_all(both, clips)
            except FeatureStoreError:
                pass
            else:
                # What no clip is read by, as a shard's header: all clips are right, to the bit.
                assert name.endswith(".h5")
            repair_store(both)
            assert verify_store(both) == []
            bring_up(both, LAYERS, clips)
            bring_up(both, FRAMES, clips)
            assert tree(both) == wanted, name


@pytest.mark.parametrize("lost", [*itertools.combinations(("store.json", "index", "outcomes"), 2)])
def test_two_lost_tables_are_mended(
    both: Path, clips: dict[str, Path], lost: tuple[str, str]
) -> None:
    wanted = tree(both)
    for name in wanted:
        if any(part in name for part in lost):
            (both / name).unlink()
    repair_store(both)
    assert verify_store(both) == []
    bring_up(both, LAYERS, clips)
    bring_up(both, FRAMES, clips)
    assert tree(both) == wanted


def test_a_repair_keeps_each_edition_where_it_was(both: Path, clips: dict[str, Path]) -> None:
    other = {"rows": [1]}
    assert bring_up(both, FRAMES, clips, other, replace=True) == 3
    assert bring_up(both, LAYERS, clips, other, replace=True) == 3
    wanted, contents = tree(both), read_contents(both)
    for name, data in wanted.items():
        (both / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert verify_store(both)
        repair_store(both)
        assert verify_store(both) == []
        found = read_contents(both)
        assert found is not None
        assert contents is not None
        assert (found.folders, found.kept) == (contents.folders, contents.kept), name
        # Clips of a shard are made anew when their edition is asked for again.
        for recipe in (None, other):
            for view in (LAYERS, FRAMES):
                bring_up(both, view, clips, recipe, replace=True)
        for view in (FRAMES, LAYERS):
            bring_up(both, view, clips, other, replace=True)
        assert verify_store(both) == []
        shutil.rmtree(both)
        for other_name, content in wanted.items():
            (both / other_name).parent.mkdir(parents=True, exist_ok=True)
            (both / other_name).write_bytes(content)


def test_killed_at_every_touch_of_the_disk_two_views_end_with_the_same_bytes(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    first = tmp_path / "first"
    bring_up(first, LAYERS, clips)
    bring_up(first, FRAMES, {"b": clips["b"]})
    clips["a"].write_text("another")
    wanted = shutil.copytree(first, tmp_path / "wanted")

    def work(root: Path) -> None:
        bring_up(root, FRAMES, clips)
        bring_up(root, LAYERS, clips)

    def die(root: Path, event: int) -> None:
        kill_at(event)
        work(root)

    work(wanted)
    for event in itertools.count():
        root = shutil.copytree(first, tmp_path / f"store{event}")
        code = outcome(forked(lambda root=root, event=event: die(root, event)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        work(root)
        assert tree(root) == tree(wanted), event
        shutil.rmtree(root)
    assert event > 30
