"""The predictions file: one Parquet file per scored manifest, one row per manifest row, in order.

Columns, in this order (all but the first may be null):

    utterance_id          string   unique
    split, label          string   label is a class name; null where the manifest has none
    predicted             string   the class with the highest score
    score.<class>         float32  per class, in order: as the head gives it (cosine, logit, ...)
    probability.<class>   float32  per class: calibrated, 0 to 1
    ...                            named columns of the head, if it has any
    error                 string   why the clip has no prediction

A row has either an error, and then neither prediction nor scores, or all of them. Where labels are
numbers there are no classes: label and predicted are float64, in the units of the labels, and there
are neither scores nor probabilities. Schema metadata:
`genser.format`, `genser.format_version`, `genser.classes` (JSON list), `genser.<key>` (JSON) for
every entry of `Predictions.metadata`, and `genser.content`, see `pipeline.parquet`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import PredictionsError, ShapeError
from pipeline.evaluation.columns import PROBABILITY, SCORE
from pipeline.files import canonical_json, publish_bytes
from pipeline.parquet import sealed_bytes, sealed_table_bytes
from pipeline.scoring.prediction_rows import CLASS_PREFIXES, check_ids, check_rows
from pipeline.scoring.stamps import read_stamps
from pipeline.typed import typed

FORMAT = "genser-predictions"
FORMAT_VERSION = "1"

HEAD_CORPORA = "head_corpora"  # metadata: corpora that the head was trained on
CONTAMINATED = "contaminated"  # metadata: scored corpora that the model of the features knows

_RESERVED_KEYS = {"format", "format_version", "classes", "content"}
_EXTRA_TYPES = (pa.string(), pa.bool_(), pa.int64(), pa.float32(), pa.float64())
_HEADING = ("utterance_id", "split", "label", "predicted")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a head said about every row of a manifest.

    Attributes:
        table: The columns described in the module docstring.
        classes: Class names in index order; empty where labels are numbers.
        metadata: JSON values by name: task, fingerprints, solver, seed, leaks and the like.
    """

    table: pa.Table
    classes: tuple[str, ...]
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def frame(self) -> pd.DataFrame:
        """The table for pandas."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    @property
    def extras(self) -> list[str]:
        """Names of the head's own columns, between the probabilities and the error."""
        names: list[str] = self.table.schema.names[len(_HEADING) + 2 * len(self.classes) : -1]
        return names


def assemble_predictions(
    *,
    utterance_ids: Sequence[str],
    splits: Sequence[str | None],
    labels: Sequence[str | None],
    scores: np.ndarray,
    probabilities: np.ndarray,
    errors: Sequence[str | None],
    classes: Sequence[str],
    metadata: Mapping[str, object],
    extras: Mapping[str, pa.Array] | None = None,
) -> Predictions:
    """Put a head's arrays into a table; the prediction is the class with the highest score.

    Of equal scores (after rounding to float32) the first class wins.

    Args:
        utterance_ids: One id per manifest row, in manifest order, B of them.
        splits: Split of each row or None.
        labels: Class name of each row or None.
        scores: Class scores, shape (B, C); rows with an error may hold anything.
        probabilities: Class probabilities in [0, 1], shape (B, C); likewise.
        errors: Why a row has no prediction, or None.
        classes: Class names in index order, C of them.
        metadata: JSON values by name.
        extras: Named columns of the head: text, bool, int64, float32 or float64, null where absent.

    Raises:
        ShapeError: If the arguments do not agree in B and C.
        PredictionsError: If a value is not of its column's type.
    """
    extras = extras or {}
    _check_shapes(
        {"splits": splits, "labels": labels, "errors": errors, **extras},
        {"scores": scores, "probabilities": probabilities},
        num_rows=len(utterance_ids),
        num_classes=len(classes),
    )
    # What float32 cannot hold becomes infinite here, and is refused when the table is written.
    with np.errstate(over="ignore"):
        scores, probabilities = scores.astype(np.float32), probabilities.astype(np.float32)
    failed = np.array([error is not None for error in errors], dtype=bool)
    names = np.array(classes, dtype=object)[scores.argmax(axis=1)]
    try:
        arrays = [
            *(pa.array(values, pa.string()) for values in (utterance_ids, splits, labels)),
            pa.array(names, pa.string(), mask=failed),
            *(pa.array(column, mask=failed) for column in scores.T),
            *(pa.array(column, mask=failed) for column in probabilities.T),
            *extras.values(),
            pa.array(errors, pa.string()),
        ]
        fields = [pa.field(name, array.type) for name, array in extras.items()]
        table = pa.Table.from_arrays(arrays, names=schema_of(classes, fields).names)
    except (pa.ArrowException, UnicodeError) as error:
        raise PredictionsError(
            f"predictions: found what Arrow cannot store ({error}), wanted text or None for ids, "
            "splits, labels and errors; mend the manifest."
        ) from error
    return Predictions(table=table, classes=tuple(classes), metadata=dict(metadata))


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a predictions file, whole or not at all; equal predictions give equal bytes.

    Raises:
        PredictionsError: If columns, rows or metadata break the rules of the file.
        OutputError: If the file cannot be written.
    """
    schema = _checked_schema(path, predictions)
    metadata = _schema_metadata(path, predictions)
    table = pa.Table.from_arrays(predictions.table.columns, schema=schema)
    repeating = ["split", "error", *(["label", "predicted"] * bool(predictions.classes))]
    publish_bytes(path, sealed_table_bytes(table, metadata, repeating=repeating))


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file, every byte of it checked.

    Raises:
        PredictionsError: If the file is missing, damaged, foreign or of another version.
    """
    data = sealed_bytes(path)
    try:
        source = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table = source.read()
        texts = {key.decode(): text.decode() for key, text in (table.schema.metadata or {}).items()}
        stored = {key: text for key, text in texts.items() if key.startswith("genser.")}
        found = (stored.pop("genser.format"), stored.pop("genser.format_version"))
        del stored["genser.content"]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise PredictionsError(
            f"{path}: found what Arrow cannot read ({error}), wanted the output of 'genser score'; "
            "run that again."
        ) from error
    if found != (FORMAT, FORMAT_VERSION):
        raise PredictionsError(
            f"{path}: found format {found!r}, wanted {(FORMAT, FORMAT_VERSION)!r}; "
            "read it with the version of genser that wrote it, or run 'genser score' again."
        )
    values = read_stamps(path, {k.removeprefix("genser."): text for k, text in stored.items()})
    classes = typed(tuple[str, ...], values.pop("classes", None), path, error=PredictionsError)
    predictions = Predictions(table=table, classes=classes, metadata=values)
    # Arrow adds field ids on reading; equal files must give equal tables.
    schema = _checked_schema(path, predictions)
    return replace(predictions, table=pa.Table.from_arrays(table.columns, schema=schema))


def verify_predictions(path: Path) -> None:
    """Check every byte, column and row of a predictions file.

    Raises:
        PredictionsError: If the file is missing, damaged, foreign or of another version.
    """
    read_predictions(path)


def schema_of(classes: Sequence[str], extras: Iterable[pa.Field]) -> pa.Schema:
    """Return the schema of predictions of these classes, none for numbers, with extra columns."""
    return pa.schema(
        [
            pa.field("utterance_id", pa.string(), nullable=False),
            pa.field("split", pa.string()),
            *(pa.field(n, pa.string() if classes else pa.float64()) for n in _HEADING[2:]),
            *(pa.field(f"{SCORE}{name}", pa.float32()) for name in classes),
            *(pa.field(f"{PROBABILITY}{name}", pa.float32()) for name in classes),
            *(pa.field(extra.name, extra.type) for extra in extras),
            pa.field("error", pa.string()),
        ]
    )


def _checked_schema(path: Path, predictions: Predictions) -> pa.Schema:
    """Return the schema that the file must have, once columns and rows keep the rules."""
    table, classes = predictions.table, predictions.classes
    if len(set(classes)) < len(classes) or "" in classes:
        raise PredictionsError(
            f"{path}: found classes {classes!r}, wanted different, non-empty names; "
            "mend the label map."
        )
    extras = list(table.schema)[len(_HEADING) + 2 * len(classes) : -1]
    schema = schema_of(classes, extras)
    found = [(column.name, str(column.type)) for column in table.schema]
    wanted = [(column.name, str(column.type)) for column in schema]
    if found != wanted or len(set(schema.names)) < len(schema.names):
        raise PredictionsError(
            f"{path}: found columns {found!r}, wanted {wanted!r}, each name once; "
            "build the table with assemble_predictions."
        )
    for extra in extras:
        if extra.type not in _EXTRA_TYPES or extra.name.startswith(CLASS_PREFIXES):
            raise PredictionsError(
                f"{path}: found extra column {extra.name!r} of type {str(extra.type)!r}, wanted a "
                f"type of {[str(kind) for kind in _EXTRA_TYPES]!r} and no name that begins with "
                f"one of {CLASS_PREFIXES!r}; mend the head's extra columns."
            )
    check_ids(path, table["utterance_id"])
    check_rows(path, table, classes)
    return schema


def _schema_metadata(path: Path, predictions: Predictions) -> dict[str, str]:
    """Return the `genser.*` entries, all but the seal."""
    for key in predictions.metadata:
        if not isinstance(key, str) or key in _RESERVED_KEYS:
            raise PredictionsError(
                f"{path}: found a metadata entry named {key!r}, wanted text other than "
                f"{sorted(_RESERVED_KEYS)!r}; rename it."
            )
    try:
        entries = {
            f"genser.{key}": canonical_json(value)
            for key, value in sorted(predictions.metadata.items())
        }
        for text in (*entries, *entries.values()):
            text.encode()
    except (TypeError, ValueError) as error:
        raise PredictionsError(
            f"{path}: found metadata that are not JSON ({error}), wanted text, finite numbers, "
            "lists, dicts, booleans or None; mend the entry."
        ) from error
    return {
        "genser.format": FORMAT,
        "genser.format_version": FORMAT_VERSION,
        "genser.classes": canonical_json(predictions.classes),
        **entries,
    }


def _check_shapes(
    columns: Mapping[str, Sequence[object]],
    matrices: Mapping[str, np.ndarray],
    num_rows: int,
    num_classes: int,
) -> None:
    for name, column in columns.items():
        if len(column) != num_rows:
            raise ShapeError(
                f"{name}: found {len(column)} rows, wanted {num_rows} as utterance_ids has; "
                "pass one entry per manifest row."
            )
    for name, matrix in matrices.items():
        if matrix.shape != (num_rows, num_classes) or num_classes == 0:
            raise ShapeError(
                f"{name}: found shape {matrix.shape!r}, wanted {(num_rows, num_classes)!r}; "
                "pass one row per manifest row and one column per class, at least one."
            )
