"""Ragged views: frames of each clip, read where they are and nowhere else."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.ragged import LENGTHS, RECIPE, clips, frames_of, known, shard_of, write_ragged
from pipeline.errors import FeatureStoreError
from pipeline.store.datasets import Laid
from pipeline.store.format import Shard, read_shard_bytes, shard_bytes
from pipeline.store.places import Rows
from pipeline.store.reader import FeatureStore
from pipeline.store.views import FRAMES


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one ragged view: six clips in two shards, one of them without features."""
    return write_ragged(tmp_path_factory.mktemp("ragged") / "store")


lengths = st.dictionaries(st.sampled_from("abcdef"), st.none() | st.integers(0, 150), max_size=6)


@settings(deadline=None, max_examples=40)
@given(lengths)
def test_a_ragged_shard_reads_back_as_it_was(wanted: dict[str, int | None]) -> None:
    shard = shard_of(wanted)
    found = read_shard_bytes(shard_bytes(shard), "here")
    assert found.clips["num_frames"].tolist() == [n or 0 for n in wanted.values()]
    pd.testing.assert_frame_equal(found.clips.drop(columns="num_frames"), shard.clips)
    np.testing.assert_array_equal(found.features, shard.features)
    assert found.offsets is not None
    np.testing.assert_array_equal(found.offsets, shard.offsets)
    assert shard_bytes(found) == shard_bytes(shard)


def test_frames_stand_in_one_piece(tmp_path: Path) -> None:
    (tmp_path / "shard.h5").write_bytes(shard_bytes(shard_of({"a": 70, "b": 3})))
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file.attrs["format_version"] == 2
        assert file["features"].chunks is None
        assert file["offsets"].dtype == np.int64


@pytest.mark.parametrize("offsets", [[0, 1], [1, 3], [0, 2, 1, 3], [], [0.0, 3.0]])
def test_offsets_that_do_not_cover_the_frames_are_refused(offsets: list[float]) -> None:
    with pytest.raises(FeatureStoreError, match="its offsets do not run from 0 to its 3 frames"):
        Shard(
            clips=clips({"a": 3}),
            features=frames_of("a", 3),
            recipe=RECIPE,
            provenance={},
            offsets=np.array(offsets),
        )


@settings(deadline=None, max_examples=30)
@given(order=st.lists(st.sampled_from(list(known(LENGTHS)))))
def test_the_order_asked_is_the_order_given(root: Path, order: list[str]) -> None:
    view = FeatureStore.open(root).view(FRAMES)
    found = view.read_ragged(order)
    assert view.num_frames(order).tolist() == [LENGTHS[name] for name in order]
    for name, frames in zip(order, found, strict=True):
        np.testing.assert_array_equal(frames, frames_of(name, known(LENGTHS)[name]))


def test_chosen_layers_come_in_the_order_asked(root: Path) -> None:
    view = FeatureStore.open(root).view(FRAMES)
    (found,) = view.read_ragged(["d"], layers=[1, 0])
    np.testing.assert_array_equal(found, frames_of("d", 130)[:, [1, 0]])
    assert view.feature_shape == (2, 3)


def test_of_a_whole_shard_only_the_frames_asked_for_are_copied(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    monkeypatch.setattr(Rows, "are_told", False)
    copy = Laid.copy

    def watched(laid: Laid, first: int, out: np.ndarray, layers: Any = None) -> None:
        read.append((first, len(out)))
        copy(laid, first, out, layers)

    monkeypatch.setattr(Laid, "copy", watched)
    FeatureStore.open(root).view(FRAMES).read_ragged(["e", "a"])
    assert read == [(70, 1), (130, 64)]


def test_lengths_are_known_without_a_shard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = FeatureStore.open(root).view(FRAMES)
    monkeypatch.setattr(h5py, "File", None)
    assert view.is_ragged
    assert view.num_frames(["d", "a"]).tolist() == [130, 1]
    assert len(view.digest) == 64


def test_a_clip_without_frames_is_refused_with_its_outcome(root: Path) -> None:
    view = FeatureStore.open(root).view(FRAMES)
    for ask in (view.num_frames, view.read_ragged):
        with pytest.raises(FeatureStoreError, match="'silent', has outcome 'silent'"):
            ask(["a", "silent"])  # type: ignore[operator]


def test_a_ragged_view_is_not_read_as_a_dense_one(root: Path) -> None:
    with pytest.raises(FeatureStoreError, match="view 'frames' is ragged, wanted a dense one"):
        FeatureStore.open(root).view(FRAMES).read(["a"])
