"""What must hold of every row of a predictions table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import PredictionsError, first_ten
from pipeline.evaluation.columns import PROBABILITY, SCORE

CLASS_PREFIXES = (SCORE, PROBABILITY)


def check_ids(path: Path, ids: pa.ChunkedArray) -> None:
    """Refuse ids that are absent or not unique.

    Raises:
        PredictionsError: Naming the first ten.
    """
    if ids.null_count or pc.count_distinct(ids).as_py() < len(ids):
        counts = pc.value_counts(ids.drop_null()).to_pylist()
        repeated = [item["values"] for item in counts if item["counts"] > 1]
        raise PredictionsError(
            f"{path}: found {ids.null_count} rows without utterance_id and "
            f"{_named(repeated)} more than once, wanted one row per id; mend the manifest."
        )


def check_rows(path: Path, table: pa.Table, classes: tuple[str, ...]) -> None:
    """Refuse rows that have neither or both of an error and a prediction, and wrong values.

    Raises:
        PredictionsError: Naming the column, the value and the first ten rows.
    """
    failed = table["error"].is_valid().to_numpy()
    for name in ("label", "predicted"):
        if not classes:
            numbers = table[name].fill_null(0.0).to_numpy()
            _refuse(path, table, name, ~np.isfinite(numbers), wanted="a finite number")
            continue
        known = pc.is_in(table[name], value_set=pa.array([None, *classes], pa.string()))
        _refuse(path, table, name, ~known.to_numpy(), wanted=f"one of {list(classes)!r}")
    for name in ("predicted", *(n for n in table.schema.names if n.startswith(CLASS_PREFIXES))):
        null = table[name].is_null().to_numpy()
        _refuse(path, table, name, null & ~failed, wanted="a value where there is no error")
        _refuse(path, table, name, ~null & failed, wanted="null where there is an error")
        if name == "predicted":
            continue
        values = table[name].fill_null(0.0).to_numpy()
        _refuse(path, table, name, ~np.isfinite(values), wanted="a finite number")
        if name.startswith(PROBABILITY):
            _refuse(path, table, name, (values < 0) | (values > 1), wanted="0 to 1")


def _refuse(path: Path, table: pa.Table, column: str, bad: np.ndarray, *, wanted: str) -> None:
    """Raise if `bad` holds anywhere, naming the rows."""
    rows = np.flatnonzero(bad)
    if len(rows):
        ids = table["utterance_id"].take(pa.array(rows)).to_pylist()
        raise PredictionsError(
            f"{path}: column {column!r}: found {table[column][int(rows[0])].as_py()!r} at "
            f"{_named(ids)}, wanted {wanted}; score the clip again, or give it an error."
        )


def _named(ids: Sequence[str]) -> str:
    return ", ".join(first_ten(map(repr, ids))) or "none"
