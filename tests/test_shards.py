"""A shard: an HDF5 file that describes itself and points nowhere else."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.shards import IDS, shard_of
from pipeline.errors import FeatureStoreError
from pipeline.store.format import read_shard_bytes, shard_bytes


@settings(deadline=None, max_examples=40)
@given(
    ids=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), unique=True),
    data=st.data(),
)
def test_a_shard_reads_back_as_it_was(ids: list[str], data: st.DataObject) -> None:
    failed = [data.draw(st.booleans()) for _ in ids]
    rows = [-1 if bad else sum(not b for b in failed[:i]) for i, bad in enumerate(failed)]
    wanted = shard_of(ids, row=rows, start=[0.5 * i for i in range(len(ids))])
    found = read_shard_bytes(shard_bytes(wanted), "here")
    pd.testing.assert_frame_equal(found.clips, wanted.clips)
    np.testing.assert_array_equal(found.features, wanted.features)
    assert (found.recipe, found.provenance) == (wanted.recipe, wanted.provenance)


def test_equal_shards_have_equal_bytes() -> None:
    assert shard_bytes(shard_of(IDS)) == shard_bytes(shard_of(IDS))


def test_features_lie_in_one_piece_where_a_shard_says_as_it_is_read(tmp_path: Path) -> None:
    shard = shard_of(IDS)
    (tmp_path / "shard.h5").write_bytes(shard_bytes(shard))
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file["features"].chunks is None
    found = read_shard_bytes(shard_bytes(shard), "here")
    assert found.start is not None
    data = shard_bytes(shard)[found.start :][: shard.features.nbytes]
    assert data == shard.features.tobytes()


def external_link(file: h5py.File, target: Path) -> None:
    del file["features"]
    file["features"] = h5py.ExternalLink(str(target), "features")


def soft_link(file: h5py.File, _: Path) -> None:
    file.move("features", "elsewhere")
    file["features"] = h5py.SoftLink("/elsewhere")


def external_group(file: h5py.File, target: Path) -> None:
    del file["clips"]
    file["clips"] = h5py.ExternalLink(str(target), "clips")


def external_storage(file: h5py.File, target: Path) -> None:
    del file["features"]
    file.create_dataset("features", (7, 3, 2), "f8", external=[(str(target), 0, 7 * 3 * 2 * 8)])


def virtual_dataset(file: h5py.File, target: Path) -> None:
    del file["features"]
    layout = h5py.VirtualLayout((7, 3, 2), "f8")
    layout[:] = h5py.VirtualSource(str(target), "features", (7, 3, 2))
    file.create_virtual_dataset("features", layout)


def external_column(file: h5py.File, target: Path) -> None:
    del file["clips/duration"]
    file["clips/duration"] = h5py.ExternalLink(str(target), "clips/duration")


@pytest.mark.parametrize(
    ("craft", "message"),
    [
        (external_link, "'features' is a link"),
        (soft_link, "'features' is a link"),
        (external_group, "'clips/utterance_id' is a link"),
        (external_storage, "'features' points to another file"),
        (virtual_dataset, "'features' points to another file"),
        (external_column, "'clips/duration' is a link"),
    ],
)
def test_a_shard_that_points_out_of_itself_is_refused(
    tmp_path: Path, craft: Callable[[h5py.File, Path], None], message: str
) -> None:
    (tmp_path / "target.h5").write_bytes(shard_bytes(shard_of(IDS)))
    (tmp_path / "shard.h5").write_bytes(shard_bytes(shard_of(IDS)))
    with h5py.File(tmp_path / "shard.h5", "r+") as file:
        craft(file, tmp_path / "target.h5")
    with pytest.raises(FeatureStoreError, match=f"here: {message}.* do not use this store"):
        read_shard_bytes((tmp_path / "shard.h5").read_bytes(), "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.pop("format"), "not a shard of a feature store"),
        (
            lambda file: file.attrs.__setitem__("format_version", 3),
            "shard format 3, this genser reads 1 and 2; install the version that wrote it",
        ),
        (lambda file: file.__delitem__("clips/row"), "cannot be read as HDF5 .*no 'clips/row'"),
        (lambda file: file.__delitem__("clips"), "cannot be read as HDF5"),
    ],
)
def test_another_hdf5_file_is_refused(
    tmp_path: Path, change: Callable[[h5py.File], object], message: str
) -> None:
    (tmp_path / "shard.h5").write_bytes(shard_bytes(shard_of(IDS)))
    with h5py.File(tmp_path / "shard.h5", "r+") as file:
        change(file)
    with pytest.raises(FeatureStoreError, match=message):
        read_shard_bytes((tmp_path / "shard.h5").read_bytes(), "here")


def test_what_is_not_hdf5_is_refused() -> None:
    with pytest.raises(FeatureStoreError, match="here: cannot be read as HDF5"):
        read_shard_bytes(b"no HDF5", "here")
