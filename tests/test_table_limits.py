"""Tables that are small on the disk and endless in memory."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers.commands import genser, refused
from pipeline.errors import ManifestError
from pipeline.manifests.limits import BYTES_PER_ROW, CELLS_PER_ROW, MOST_ROWS, rows_allowed
from pipeline.manifests.tables import read_table, write_table

SUFFIXES = (".csv", ".jsonl", ".parquet")
ROWS = pd.DataFrame({"utterance_id": ["a", "b", "c"], "path": ["a.wav", "b.wav", "c.wav"]})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_held_to_what_is_allowed_and_not_one_below(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    write_table(path, ROWS)
    with rows_allowed(4):
        assert len(read_table(path)[0]) == 3
    with rows_allowed(2), pytest.raises(ManifestError) as caught:
        read_table(path)
    found = str(caught.value)
    assert " rows or more, allowed are 2; if it is meant to, write 'genser --max-rows " in found
    assert "\n" not in found
    assert len(read_table(path)[0]) == 3


def test_millions_of_rows_in_little_space_are_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    many = 20_000_000
    pq.write_table(pa.table({"utterance_id": pa.nulls(many), "path": pa.nulls(many)}), path)
    assert path.stat().st_size < 600_000
    before = pa.total_allocated_bytes()
    with pytest.raises(ManifestError, match=f"{many} rows or more, allowed are {MOST_ROWS}; if"):
        read_table(path)
    assert pa.total_allocated_bytes() - before < 1e6


def test_one_long_text_that_every_row_has_is_never_written_out(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    length, number = 1_000_000, 5_000
    texts = pa.DictionaryArray.from_arrays(np.zeros(number, np.int32), ["x" * length])
    pq.write_table(pa.table({"utterance_id": pa.array(range(number)), "text": texts}), path)
    assert path.stat().st_size < 200_000
    with pytest.raises(ManifestError, match=r"has 50000\d{5} bytes of text or more"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_many_columns_that_few_cells_are_in_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    num_columns, num_rows = 5_000, 20_000
    if suffix == ".csv":
        path.write_text(",".join(map(str, range(num_columns))) + "\nx" * num_rows + "\n")
    else:
        path.write_text("".join(f'{{"k{i % num_columns}": 1}}\n' for i in range(num_rows)))
    most = MOST_ROWS * CELLS_PER_ROW
    assert num_columns * num_rows > most
    with pytest.raises(ManifestError, match=f"cells or more, allowed are {most}; if it is meant"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_more_columns_than_any_table_has_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    names = [f"c{i}" for i in range(10_001)]
    lines = [",".join(names), ",".join(names)]
    path.write_text(
        json.dumps(dict.fromkeys(names, "x")) if suffix == ".jsonl" else "\n".join(lines)
    )
    with pytest.raises(ManifestError, match="has 10001 columns or more, allowed are 10000; drop"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_file_longer_than_all_texts_may_be_is_not_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    with path.open("wb") as file:
        file.truncate(MOST_ROWS * BYTES_PER_ROW + 1)  # it takes no disk
    with pytest.raises(ManifestError, match="has 500000001 bytes of text or more, allowed are"):
        read_table(path)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["a"], ["b"], ["c"]]),
        pa.array([{"a": 1}] * 3),
        pa.array([b"abc"] * 3, pa.binary(3)),
    ],
)
def test_a_column_of_lists_or_blobs_is_no_text(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"utterance_id": ["a", "b", "c"], "x": column}), tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"column 'x' is of type .*, wanted texts or numbers;"):
        read_table(tmp_path / "m.parquet")


def test_every_kind_of_column_is_read_as_its_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["a", None, "c"]),
            "large": pa.array(["a", "b", "c"], pa.large_string()),
            "few": pa.array(["a", "b", "a"]).dictionary_encode(),
            "whole": pa.array([1, None, 3]),
            "number": pa.array(np.array([0.5, 1.0, 2.0])),
            "nothing": pa.nulls(3),
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    found = read_table(tmp_path / "m.parquet")[0]
    assert found.to_dict("list") == {
        "text": ["a", "", "c"],
        "large": ["a", "b", "c"],
        "few": ["a", "b", "a"],
        "whole": ["1", "", "3"],
        "number": ["0.5", "1", "2"],
        "nothing": ["", "", ""],
    }


def test_a_command_lifts_the_bound(here) -> None:
    assert "--max-rows" in refused("--max-rows", 5, "validate", "demo.csv")
    assert genser("--max-rows", 31, "validate", "demo.csv").exit_code == 0
    assert genser("validate", "demo.csv").exit_code == 0
