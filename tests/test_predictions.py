import hashlib
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.predictions import CLASSES, METADATA, example
from pipeline.errors import OutputError, PredictionsError
from pipeline.scoring.predictions import (
    Predictions,
    assemble_predictions,
    read_predictions,
    verify_predictions,
    write_predictions,
)


def naive_seal_holds(data):
    """Find the digest by the key, put zeros for it, hash: what the module docstring promises."""
    start = data.rindex(b"sha256:", 0, len(data)) + 7
    zeroed = data[:start] + b"0" * 64 + data[start + 64 :]
    return hashlib.sha256(zeroed).hexdigest().encode() == data[start : start + 64]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.parquet"


TEXT = st.text(max_size=12)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
).filter(lambda value: "Infinity" not in json.dumps(value))


@st.composite
def any_predictions(draw):
    classes = draw(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(TEXT | st.just("a/b c"), max_size=8, unique=True))
    size = len(ids)

    def rows(values):
        return draw(st.lists(values, min_size=size, max_size=size))

    finite = st.floats(-(2.0**100), 2.0**100, width=32)
    wide = {"min_size": len(classes), "max_size": len(classes)}
    scores = rows(st.lists(finite, **wide))
    probabilities = rows(st.lists(st.floats(0, 1, width=32), **wide))
    taken = ("format", "format_version", "classes", "content")
    keys = TEXT.filter(lambda key: key not in taken)
    return assemble_predictions(
        utterance_ids=ids,
        splits=rows(st.none() | st.sampled_from(["train", "dev", "test"])),
        labels=rows(st.none() | st.sampled_from(classes)),
        scores=np.array(scores).reshape(size, len(classes)),
        probabilities=np.array(probabilities).reshape(size, len(classes)),
        errors=rows(st.none() | TEXT),
        classes=classes,
        metadata=draw(st.dictionaries(keys, JSON, max_size=4)),
        extras={"heard text": pa.array(rows(st.none() | TEXT), pa.string())},
    )


@settings(max_examples=30, deadline=None)
@given(predictions=any_predictions())
def test_what_is_written_is_read(tmp_path_factory, predictions):
    path = tmp_path_factory.mktemp("round") / "p.parquet"
    write_predictions(path, predictions)
    found = read_predictions(path)
    assert found.table.to_pydict() == predictions.table.to_pydict()
    assert found.table.schema.names == predictions.table.schema.names
    assert found.classes == predictions.classes
    assert found.metadata == predictions.metadata
    first = path.read_bytes()
    write_predictions(path, found)
    assert path.read_bytes() == first


def test_columns_have_the_agreed_order_and_types(path):
    extras = {
        "heard": pa.array(["x"] * 20, pa.string()),
        "pitch": pa.array([None] * 20, pa.float32()),
    }
    write_predictions(path, example(extras=extras))
    assert [(c.name, str(c.type), c.nullable) for c in pq.read_schema(path)] == [
        ("utterance_id", "string", False),
        ("split", "string", True),
        ("label", "string", True),
        ("predicted", "string", True),
        ("score.angry", "float", True),
        ("score.calm", "float", True),
        ("score.v. sad", "float", True),
        ("probability.angry", "float", True),
        ("probability.calm", "float", True),
        ("probability.v. sad", "float", True),
        ("heard", "string", True),
        ("pitch", "float", True),
        ("error", "string", True),
    ]


def test_schema_metadata_name_format_classes_and_origin(path):
    write_predictions(path, example())
    found = pq.read_schema(path).metadata
    assert found[b"genser.format"] == b"genser-predictions"
    assert found[b"genser.format_version"] == b"1"
    assert found[b"genser.classes"] == b'["angry","calm","v. sad"]'
    assert found[b"genser.leaks"] == b"{}"
    assert found[b"genser.num_steps"] == b"20"
    assert re.fullmatch(rb"sha256:[0-9a-f]{64}", found[b"genser.content"])
    assert naive_seal_holds(path.read_bytes())


def test_prediction_is_the_highest_score_and_failed_rows_have_none():
    scores = np.array([[0.1, 0.3, 0.2], [0.5, 0.5, 0.1], [9.0, np.nan, 0.0]])
    found = example(
        3,
        scores=scores,
        probabilities=np.full((3, 3), 1 / 3),
        errors=[None, None, "missing: no such file"],
    ).table
    assert found["predicted"].to_pylist() == ["calm", "angry", None]
    assert found["score.angry"].to_pylist() == [np.float32(0.1), 0.5, None]
    assert found["score.calm"].null_count == found["probability.v. sad"].null_count == 1


def test_written_twice_and_in_other_chunks_the_bytes_are_the_same(path, tmp_path):
    predictions = example(50_000)  # several pages a column
    write_predictions(path, predictions)
    pieces = [predictions.table.slice(start, 7001) for start in range(0, 50_000, 7001)]
    chunked = Predictions(
        table=pa.concat_tables(pieces),
        classes=predictions.classes,
        metadata=dict(reversed(METADATA.items())),
    )
    write_predictions(tmp_path / "again.parquet", chunked)
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_flipped_bytes_anywhere_are_found(path):
    write_predictions(path, example())
    data = path.read_bytes()
    for position in np.unique(np.linspace(0, len(data) - 1, 200).astype(int)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(PredictionsError, match=re.escape(str(path))):
            read_predictions(path)


def test_flipped_bytes_of_the_footer_are_found(path):
    write_predictions(path, example(2))
    data = path.read_bytes()
    seal = data.rindex(b"genser.content")
    ends = (*range(len(data) - 12, len(data)), *range(seal, seal + 30))
    for position in (*range(len(data) - 1500, len(data), 11), *ends):
        damaged = bytearray(data)
        damaged[position] ^= 0x20
        path.write_bytes(damaged)
        with pytest.raises(PredictionsError, match=re.escape(str(path))):
            verify_predictions(path)


def test_file_cut_anywhere_is_found(path):
    write_predictions(path, example())
    data = path.read_bytes()
    for length in (*range(0, len(data), 97), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(PredictionsError, match="not a whole Parquet file"):
            read_predictions(path)


def test_pages_carry_checksums_for_other_readers_too(path):
    write_predictions(path, example())
    data = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(4)
    data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 0x01
    path.write_bytes(data)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_text_that_looks_like_the_digest_is_not_taken_for_it(path):
    lookalike = "genser.content::sha256:" + "1" * 64
    predictions = example(
        3,
        utterance_ids=[lookalike, "b", "c"],
        classes=[lookalike, "calm", "sad"],
        labels=[lookalike, None, None],
        metadata={"zzz": lookalike, lookalike: lookalike},
    )
    write_predictions(path, predictions)
    assert read_predictions(path).metadata == predictions.metadata


def test_missing_empty_and_foreign_files_are_named(path, tmp_path):
    with pytest.raises(PredictionsError, match=r"predictions.parquet: cannot be read \(No such"):
        read_predictions(path)
    with pytest.raises(PredictionsError, match=r"cannot be read \(Is a directory"):
        read_predictions(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(PredictionsError, match="found 0 bytes that are not a whole Parquet file"):
        read_predictions(path)
    path.write_text("utterance_id,predicted\na,calm\n")
    with pytest.raises(PredictionsError, match=r"not a whole Parquet file.*give another path"):
        read_predictions(path)
    pq.write_table(pa.table({"utterance_id": ["a"]}), path)
    with pytest.raises(PredictionsError, match=r"no digest of genser's.*foreign or damaged"):
        verify_predictions(path)


def test_other_format_version_is_named(path, monkeypatch):
    monkeypatch.setattr("pipeline.scoring.predictions.FORMAT_VERSION", "2")
    write_predictions(path, example())
    monkeypatch.undo()
    with pytest.raises(PredictionsError, match=r"found format \('genser-predictions', '2'\)"):
        read_predictions(path)


def test_no_rows_make_a_file_too(path):
    write_predictions(path, example(0))
    found = read_predictions(path)
    assert found.table.num_rows == 0
    assert found.classes == tuple(CLASSES)


def test_failed_write_leaves_the_old_file_and_no_partial_one(path, tmp_path, monkeypatch):
    write_predictions(path, example(3))
    before = path.read_bytes()

    def full_disk(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        write_predictions(path, example(4))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
