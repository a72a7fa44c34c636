"""What store.json may say, and the commit that replaces it."""

from pathlib import Path

import pytest

from helpers.shards import DIGEST
from pipeline.errors import FeatureStoreError
from pipeline.files import sealed_json
from pipeline.store.commit import commit, finish_commit
from pipeline.store.contents import Contents, checked_bytes, contents_bytes, read_contents


def test_a_contents_reads_back_as_it_was(tmp_path: Path) -> None:
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


def test_no_contents_is_none(tmp_path: Path) -> None:
    assert read_contents(tmp_path) is None


def test_a_contents_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_bytes(sealed_json({"format": "genser-store"}))
    with pytest.raises(FeatureStoreError, match=r"format \('genser-store', None\), wanted"):
        read_contents(tmp_path)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "views/../x/recipe.json", "views/layers/shards/../0.h5", "x"]
)
def test_a_contents_that_reaches_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    contents = Contents(digests={name: DIGEST})
    (tmp_path / "store.json").write_bytes(contents_bytes(contents))
    with pytest.raises(FeatureStoreError, match="no file of a store; do not use it"):
        read_contents(tmp_path)


def test_a_file_the_contents_does_not_name_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "index.parquet").write_bytes(b"")
    with pytest.raises(FeatureStoreError, match=r"index\.parquet: not part of this store"):
        checked_bytes(tmp_path, "index.parquet", Contents())


def test_a_store_that_stopped_in_its_commit_says_so(tmp_path: Path) -> None:
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
