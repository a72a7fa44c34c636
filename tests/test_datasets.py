"""Features copied from the bytes of a shard are those that HDF5 reads there."""

import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.shards import IDS, shard_of
from pipeline.store.datasets import Laid
from pipeline.store.format import open_shard, shard_bytes
from pipeline.store.places import Rows

ROWS = np.arange(23 * 3 * 2, dtype=np.float16).reshape(23, 3, 2)


def written(**how: object) -> bytes:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.create_dataset("before", data=b"x")
        file.create_dataset("features", data=ROWS, **how)
    return data.getvalue()


LAYOUTS = {
    "contiguous": written(),
    "a row each": written(chunks=(1, 3, 2), fletcher32=True),
    "a last one that is not full": written(chunks=(5, 3, 2), fletcher32=True),
    "without checksums": written(chunks=(4, 3, 2)),
    "rows cut": written(chunks=(5, 2, 2), fletcher32=True),
    "numbers cut": written(chunks=(23, 3, 1)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25)
@given(
    first=st.integers(0, 22), num=st.integers(0, 23), layers=st.sampled_from([None, [2, 0], [1]])
)
def test_rows_are_those_that_hdf5_reads(
    layout: str, first: int, num: int, layers: list[int] | None
) -> None:
    data = LAYOUTS[layout]
    wanted = ROWS[first : first + num]
    wanted = wanted if layers is None else wanted[:, layers]
    found = np.full(wanted.shape, -1, np.float16)
    with h5py.File(io.BytesIO(data)) as file:
        laid = Laid(file["features"], data)
        assert bool(laid._starts) == ("cut" not in layout)
        laid.copy(first, found, layers)
    np.testing.assert_array_equal(found, wanted)


def test_a_dataset_that_ends_behind_its_file_is_left_to_hdf5() -> None:
    with h5py.File(io.BytesIO(LAYOUTS["contiguous"])) as file:
        offset = file["features"].id.get_offset()
        laid = Laid(file["features"], LAYOUTS["contiguous"][: offset + ROWS.nbytes - 1])
        assert not laid._starts


@given(rows=st.lists(st.integers(0, 6), max_size=12), seed=st.integers(0, 99))
def test_clips_land_where_they_are_wanted(rows: list[int], seed: int) -> None:
    shard = shard_of(IDS)
    chosen = np.array(rows, np.int64) % len(shard.features)
    places = np.random.default_rng(seed).permutation(len(rows) + 3)[: len(rows)]
    out = np.zeros((len(rows) + 3, *shard.features.shape[1:]), shard.features.dtype)
    wanted = out.copy()
    wanted[places] = shard.features[chosen]
    with open_shard(shard_bytes(shard), "here") as opened:
        unknown = np.zeros(len(rows), np.int64)
        told = {"starts": unknown, "digests": [""] * len(rows), "num_frames": unknown}
        opened.read_into(out, Rows(shard=0, places=places, rows=chosen, **told))
    np.testing.assert_array_equal(out, wanted)
