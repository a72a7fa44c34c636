import hashlib
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import OutputError, PredictionsError, ShapeError
from pipeline.scoring.predictions import (
    Predictions,
    assemble_predictions,
    read_predictions,
    verify_predictions,
    write_predictions,
)

CLASSES = ["angry", "calm", "v. sad"]
METADATA = {"task": "emotion", "solver": "exponential", "num_steps": 20, "seed": 3, "leaks": []}


def example(num_rows=20, **changes):
    """Rows 0, 7, 14, ... have an error; row 1 has neither split nor label."""
    generator = np.random.default_rng(5)
    scores = generator.normal(size=(num_rows, 3))
    powers = np.exp(scores)
    arguments = {
        "utterance_ids": [f"corpus/dia {row:03d}/utt" for row in range(num_rows)],
        "splits": [None if row == 1 else "test" for row in range(num_rows)],
        "labels": [None if row == 1 else CLASSES[row % 3] for row in range(num_rows)],
        "scores": scores,
        "probabilities": powers / powers.sum(axis=1, keepdims=True),
        "errors": ["decode_error: cut short" if row % 7 == 0 else None for row in range(num_rows)],
        "classes": CLASSES,
        "metadata": METADATA,
    }
    return assemble_predictions(**{**arguments, **changes})


def with_value(predictions, column, row, value):
    """The predictions with one cell changed."""
    table = predictions.table
    values = table[column].to_pylist()
    values[row] = value
    index = table.schema.get_field_index(column)
    table = table.set_column(index, table.schema.field(index), pa.array(values, table[column].type))
    return Predictions(table=table, classes=predictions.classes, metadata=predictions.metadata)


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
    assert found[b"genser.leaks"] == b"[]"
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


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("predicted", 2, None, "'predicted': found None at .*dia 002.*value where there is no"),
        ("predicted", 0, "calm", "'predicted': found 'calm' at .*dia 000.*null where there is"),
        ("predicted", 2, "bored", "'predicted': found 'bored' .*wanted one of .'angry', 'calm'"),
        ("label", 3, "bored", "'label': found 'bored' at .*dia 003"),
        ("score.calm", 2, None, "'score.calm': found None .*value where there is no error"),
        ("score.calm", 0, 0.5, "'score.calm': found 0.5 .*null where there is an error"),
        ("score.calm", 2, float("nan"), "'score.calm': found nan .*a finite number"),
        ("score.calm", 2, float("inf"), "'score.calm': found inf .*a finite number"),
        ("probability.calm", 2, None, "'probability.calm': found None"),
        ("probability.calm", 2, 1.5, "'probability.calm': found 1.5 .*wanted 0 to 1"),
        ("error", 0, None, "'predicted': found None"),
        ("error", 2, "late error", "'predicted': found .*null where there is an error"),
        ("utterance_id", 2, "corpus/dia 000/utt", "'corpus/dia 000/utt' more than once"),
        ("utterance_id", 2, None, "found 1 rows without utterance_id"),
    ],
)
def test_row_that_breaks_a_rule_is_refused(path, column, row, value, message):
    with pytest.raises(PredictionsError, match=message):
        write_predictions(path, with_value(example(), column, row, value))
    assert not path.exists()


def test_refusal_names_ten_rows_and_counts_the_rest(path):
    with pytest.raises(PredictionsError, match="dia 011/utt', and 15 more, wanted a finite"):
        write_predictions(path, example(30, scores=np.full((30, 3), np.nan)))


def test_score_beyond_float32_is_refused(path):
    with pytest.raises(PredictionsError, match="found inf"):
        write_predictions(path, example(scores=np.full((20, 3), 1e300)))


def test_table_with_other_columns_is_refused(path):
    whole = example()
    for table in (
        whole.table.drop_columns(["split"]),
        whole.table.select(whole.table.schema.names[::-1]),
        whole.table.set_column(4, "score.angry", whole.table["score.angry"].cast(pa.float64())),
        whole.table.append_column("later", pa.array([""] * 20)),
        whole.table.select([]),
    ):
        other = Predictions(table=table, classes=whole.classes, metadata={})
        with pytest.raises(PredictionsError, match=r"found columns .*, each name once"):
            write_predictions(path, other)


@pytest.mark.parametrize("classes", [(), ("a", "a"), ("a", "")])
def test_classes_without_distinct_names_are_refused(path, classes):
    other = Predictions(table=example().table, classes=classes)
    with pytest.raises(PredictionsError, match="wanted different, non-empty names"):
        write_predictions(path, other)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("label", pa.array([""] * 20), "each name once"),
        ("score.other", pa.array([1.0] * 20, pa.float32()), "no name that begins"),
        ("codes", pa.array([[1]] * 20), "of type 'list<item: int64>'"),
    ],
)
def test_extra_column_that_cannot_be_told_apart_or_kept_is_refused(path, name, values, message):
    with pytest.raises(PredictionsError, match=message):
        write_predictions(path, example(extras={name: values}))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"classes": ["a"]}, "entry named 'classes'"),
        ({3: "a"}, "entry named 3"),
        ({"seed": float("nan")}, "not JSON"),
        ({"seed": {1, 2}}, "not JSON"),
        ({"seed": "\ud800"}, "not JSON"),
    ],
)
def test_metadata_that_cannot_be_kept_are_refused(path, metadata, message):
    with pytest.raises(PredictionsError, match=message):
        write_predictions(path, example(metadata=metadata))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"splits": ["test"]}, ShapeError, "splits: found 1 rows, wanted 20"),
        ({"scores": np.zeros((20, 2))}, ShapeError, r"scores: found shape \(20, 2\), wanted"),
        ({"extras": {"heard": pa.array(["x"])}}, ShapeError, "heard: found 1 rows"),
        ({"labels": [1] * 20}, PredictionsError, "wanted text or None"),
        ({"splits": ["\ud800"] * 20}, PredictionsError, "wanted text or None"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        example(**changes)


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
