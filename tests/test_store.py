from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import FeatureStoreError
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.files import canonical_json, sealed_json
from pipeline.parquet import read_table_bytes, table_bytes
from pipeline.progress import Silence
from pipeline.store.commit import commit, finish_commit
from pipeline.store.contents import Contents, checked_bytes, contents_bytes, read_contents
from pipeline.store.format import Shard, read_shard_bytes, shard_bytes
from pipeline.store.index import OUTCOME_COLUMNS, join_index, split_index
from pipeline.store.reader import FeatureStore
from pipeline.store.recipe import differences, flatten, require_same_recipe
from pipeline.store.views import CLIP_COLUMNS

IDS = ["b", "a", "d/e f", "c", "é", "g", "h"]
RECIPE = {"view": "layers", "encoder": {"weights": "w", "flags": {"dim": 2}}, "pooling": "mean"}
DIGEST = "0f" * 32


def clips(ids: list[str], **columns: Any) -> pd.DataFrame:
    """Return a table of clips with features, rows in order."""
    values = {
        "utterance_id": ids,
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "file_digest": [f"file of {name}" for name in ids],
        "audio_digest": [f"audio of {name}" for name in ids],
        "num_samples": range(16000, 16000 + len(ids)),
        "sample_rate": 16000,
        "duration": 1.0,
        "outcome": "ok",
        "message": "",
        "row": range(len(ids)),
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame({**values, **columns}).astype(kinds)


def shard_of(ids: list[str], **columns: Any) -> Shard:
    table = clips(ids, **columns)
    features = np.random.default_rng(0).normal(size=(int((table["row"] >= 0).sum()), 3, 2))
    return Shard(clips=table, features=features, recipe=RECIPE, provenance={"versions": {"a": "1"}})


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


# Reading


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


# Shards


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


def test_features_have_one_row_per_chunk_with_a_checksum(tmp_path: Path) -> None:
    (tmp_path / "shard.h5").write_bytes(shard_bytes(shard_of(IDS)))
    with h5py.File(tmp_path / "shard.h5") as file:
        assert file["features"].chunks == (1, 3, 2)
        assert file["features"].fletcher32


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


# Recipes


def test_recipes_differ_by_dotted_fields() -> None:
    other = {**RECIPE, "encoder": {"weights": "w", "flags": {"dim": 3, "norm": True}}}
    assert dict(flatten(RECIPE))["encoder.flags.dim"] == 2
    assert differences(RECIPE, RECIPE) == []
    assert differences(RECIPE, other) == [
        "encoder.flags.dim is 2, wanted 3",
        "encoder.flags.norm is 'nothing', wanted True",
    ]
    with pytest.raises(FeatureStoreError, match=r"here: encoder\.flags\.dim is 2, .*; do this\."):
        require_same_recipe("here", RECIPE, other, "do this")


def test_one_and_true_are_different_recipes() -> None:
    assert differences({"a": 1}, {"a": True}) == ["a is 1, wanted True"]


# The catalogue


def test_a_catalogue_reads_back_as_it_was(tmp_path: Path) -> None:
    name = "views/layers/shards/000001.h5"
    wanted = Contents(
        digests={"index.parquet": DIGEST, name: DIGEST},
        fingerprints={"layers": DIGEST},
        refill={"views/layers/shards/000000.h5": ["a"]},
    )
    (tmp_path / "store.json").write_bytes(contents_bytes(wanted))
    assert read_contents(tmp_path) == wanted
    assert wanted.shard_numbers("layers") == [1]
    assert wanted.shard_numbers("frames") == []


def test_no_catalogue_is_none(tmp_path: Path) -> None:
    assert read_contents(tmp_path) is None


def test_a_catalogue_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_bytes(sealed_json({"format": "genser-store"}))
    with pytest.raises(FeatureStoreError, match=r"format \('genser-store', None\), wanted"):
        read_contents(tmp_path)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "views/../x/recipe.json", "views/layers/shards/../0.h5", "x"]
)
def test_a_catalogue_that_reaches_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    catalogue = Contents(digests={name: DIGEST})
    (tmp_path / "store.json").write_bytes(contents_bytes(catalogue))
    with pytest.raises(FeatureStoreError, match="no file of a store; do not use it"):
        read_contents(tmp_path)


def test_a_file_the_catalogue_does_not_name_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "index.parquet").write_bytes(b"")
    with pytest.raises(FeatureStoreError, match=r"index\.parquet: not part of this store"):
        checked_bytes(tmp_path, "index.parquet", Contents())


def test_a_store_that_stopped_in_its_commit_says_so(root: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    commit(store, Contents(), {"index.parquet": b"old"})
    old = read_contents(store)
    assert old is not None
    (store / "store.json.next").write_bytes(
        contents_bytes(Contents(digests={"index.parquet": DIGEST}))
    )
    (store / "index.parquet").write_bytes(b"new")
    with pytest.raises(FeatureStoreError, match="stopped while it was committing; run the same"):
        checked_bytes(store, "index.parquet", old)
    assert finish_commit(store)
    assert not finish_commit(store)
    assert read_contents(store) == Contents(digests={"index.parquet": DIGEST})


# The tables


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
