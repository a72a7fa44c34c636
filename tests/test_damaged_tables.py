"""Tables of features with flipped, lost or added bytes: read, or refused in one line."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.faults import flip
from pipeline.errors import FeatureStoreError
from pipeline.extraction.feature_tables import FeatureTable, read_feature_table

IDS = ["a", "b", "c"]
FEATURES = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)


def npz(folder: Path) -> Path:
    np.savez(folder / "f.npz", utterance_id=np.array(IDS), features=FEATURES)
    return folder / "f.npz"


def squeezed(folder: Path) -> Path:
    lengths = np.array([2, 1, 3])
    features = np.concatenate([FEATURES, FEATURES])[:, 0]
    np.savez_compressed(folder / "f.npz", utterance_id=IDS, features=features, lengths=lengths)
    return folder / "f.npz"


def npy(folder: Path) -> Path:
    (folder / "f").mkdir()
    np.save(folder / "f" / "a.npy", FEATURES[0])
    return folder / "f"


def parquet(folder: Path) -> Path:
    rows = [row[0].tolist() for row in FEATURES]
    pd.DataFrame({"utterance_id": IDS, "features": rows}).to_parquet(folder / "f.parquet")
    return folder / "f.parquet"


def damaged(path: Path) -> Iterator[None]:
    """Damage a file in many ways, one after another; it is whole again at the end."""
    whole = path.read_bytes()
    for place in range(0, len(whole), 1 + len(whole) // 400):
        flip(path, place)
        yield
        path.write_bytes(whole)
    for size in range(0, len(whole), 1 + len(whole) // 40):
        for data in (whole[:size], whole[:size] + b"\xff\0" + whole[size:]):
            path.write_bytes(data)
            yield
    path.write_bytes(whole)


@pytest.mark.parametrize("make", [npz, squeezed, npy, parquet])
def test_a_damaged_table_is_read_or_refused_in_one_line(tmp_path: Path, make) -> None:
    path = make(tmp_path)
    file = next(path.glob("*.npy")) if path.is_dir() else path
    refused = 0
    for _ in damaged(file):
        try:
            assert isinstance(read_feature_table(path), FeatureTable)
        except FeatureStoreError as error:
            refused += 1
            line = str(error)
            assert line.startswith(str(path))
            assert "\n" not in line
    assert refused > 40
    assert read_feature_table(path).utterance_ids[0] == "a"


def test_a_header_of_more_numbers_than_any_memory_is_refused(tmp_path: Path) -> None:
    path = npy(tmp_path)
    data = (path / "a.npy").read_bytes()
    (path / "a.npy").write_bytes(data.replace(b"(2, 4), }         ", b"(2, 4000000000000)"))
    with pytest.raises(FeatureStoreError, match="cannot be read"):
        read_feature_table(path)
