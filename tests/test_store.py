"""Reading a store, and what its tables say of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.shards import IDS, clips
from pipeline.errors import FeatureStoreError
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.files import canonical_json
from pipeline.parquet import read_table_bytes, table_bytes
from pipeline.progress import Silence
from pipeline.store.contents import checked_bytes
from pipeline.store.index import OUTCOME_COLUMNS, join_index, split_index
from pipeline.store.reader import FeatureStore


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(len(IDS), 3, 2)).astype(np.float32)
    values[4, 1, 0] = np.nan  # of the clip é
    return values


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, features: np.ndarray) -> Path:
    """A store of seven clips in three shards, one of them without features."""
    folder = tmp_path_factory.mktemp("ingested") / "store"
    table = FeatureTable(utterance_ids=IDS, features=features)
    ingest(table, folder, IngestConfig(stored_dtype="float32", rows_per_shard=3), Silence())
    return folder


@settings(deadline=None, max_examples=30)
@given(order=st.lists(st.sampled_from([i for i in range(len(IDS)) if IDS[i] != "é"]), min_size=1))
def test_the_order_asked_is_the_order_given(
    root: Path, features: np.ndarray, order: list[int]
) -> None:
    found = FeatureStore.open(root).view("layers").read([IDS[i] for i in order])
    np.testing.assert_array_equal(found, features[order])


def test_nothing_asked_is_nothing_given(root: Path) -> None:
    assert len(FeatureStore.open(root).view("layers").read([])) == 0


def test_an_unknown_id_is_refused_by_name(root: Path) -> None:
    with pytest.raises(FeatureStoreError, match=r"1 of 3 clips .* first, 'x', was never extracted"):
        FeatureStore.open(root).view("layers").read(["a", "x", "b"])


def test_a_failed_id_is_refused_with_its_outcome(root: Path) -> None:
    with pytest.raises(FeatureStoreError, match=r"2 of 3 clips .* 'é', has outcome 'nonfinite'"):
        FeatureStore.open(root).view("layers").read(["a", "é", "x"])


def test_lookup_says_where_each_clip_is_and_what_became_of_it(root: Path) -> None:
    places = FeatureStore.open(root).view("layers").lookup(["é", "x", "g"])
    assert places["outcome"].tolist()[::2] == ["nonfinite", "ok"]
    assert places["outcome"].isna().tolist() == [False, True, False]
    assert places["row"].tolist()[::2] == [-1, 1]
    assert places["shard"].tolist()[::2] == [1, 1]
    assert "largest value nan" in places["message"].iloc[0]


def test_the_index_has_its_documented_columns_one_row_per_clip(root: Path) -> None:
    index = FeatureStore.open(root).index
    assert list(index) == [
        "utterance_id",
        "start",
        "end",
        "channel",
        "file_digest",
        "audio_digest",
        "num_samples",
        "sample_rate",
        "duration",
        "layers.shard",
        "layers.row",
    ]
    assert index["utterance_id"].tolist() == sorted(IDS)
    assert index["layers.row"].isna().tolist() == [name == "é" for name in sorted(IDS)]


def test_a_store_says_which_views_it_has(root: Path) -> None:
    store = FeatureStore.open(root)
    assert store.views == ["layers"]
    assert store.view("layers").recipe["source"] == "table"
    assert store.view("layers").fingerprint == store.contents.fingerprints["layers"]
    with pytest.raises(FeatureStoreError, match=r"no view 'frames', only \['layers'\]"):
        store.view("frames")


def test_an_empty_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(FeatureStoreError, match=r"no feature store there .* 'genser extract'"):
        FeatureStore.open(tmp_path)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(FeatureStoreError, match=r"cannot be read .Not a directory"):
        FeatureStore.open(tmp_path / "store")


def test_equal_tables_have_equal_bytes_and_read_back() -> None:
    table = clips(IDS)
    data = table_bytes(table, {"key": "value"})
    assert table_bytes(table.copy(), {"key": "value"}) == data
    found = read_table_bytes(data)
    assert found.schema.metadata == {b"key": b"value"}
    pd.testing.assert_frame_equal(found.to_pandas(), table)


def test_the_index_names_the_digest_of_every_other_file(root: Path) -> None:
    store = FeatureStore.open(root)
    digests = dict(store.contents.digests)
    data = checked_bytes(root, "index.parquet", store.contents)
    digests.pop("index.parquet")
    assert read_table_bytes(data).schema.metadata == {
        b"genser.files": canonical_json(digests).encode()
    }


@settings(deadline=None, max_examples=25)
@given(
    first=st.lists(st.sampled_from(IDS), unique=True, min_size=1),
    second=st.lists(st.sampled_from(IDS), unique=True),
    data=st.data(),
)
def test_joined_views_split_into_what_they_were(
    first: list[str], second: list[str], data: st.DataObject
) -> None:
    every = clips(sorted(IDS), start=[0.5 * i for i in range(len(IDS))], end=np.nan)
    records = {}
    for view, ids in (("layers", sorted(first)), ("frames", sorted(second))):
        part = every[every["utterance_id"].isin(ids)].reset_index(drop=True)
        rows = [data.draw(st.integers(-1, 5)) for _ in ids]
        part["row"] = np.array(rows, "int32")
        part["outcome"] = ["ok" if row >= 0 else "silent" for row in rows]
        records[view] = part.assign(shard=np.arange(len(ids), dtype="int64"))
    index = join_index(records)
    assert index["utterance_id"].tolist() == sorted({*first, *second})
    index = read_table_bytes(table_bytes(index)).to_pandas()
    for view, wanted in records.items():
        outcomes = read_table_bytes(table_bytes(wanted[OUTCOME_COLUMNS])).to_pandas()
        found = split_index(index, outcomes, view)
        pd.testing.assert_frame_equal(found, wanted)


def test_no_views_make_an_empty_index() -> None:
    assert len(join_index({})) == 0
