"""Predictions of heads that say numbers, as a table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from pipeline.scoring.predictions import Predictions, schema_of


def assemble_numbers(
    *,
    utterance_ids: Sequence[str],
    splits: Sequence[str | None],
    labels: np.ndarray,
    predicted: np.ndarray,
    errors: Sequence[str | None],
    metadata: Mapping[str, object],
    extras: Mapping[str, pa.Array] | None = None,
) -> Predictions:
    """Put what a head of numbers says into a table.

    Args:
        utterance_ids: One id per manifest row, in manifest order, B of them.
        splits: Split of each row or None.
        labels: Number of each row, NaN for none, shape (B,).
        predicted: In the same units, shape (B,); rows with an error may hold anything.
        errors: Why a row has no prediction, or None.
        metadata: JSON values by name.
        extras: Named columns of the head.
    """
    failed = np.array([error is not None for error in errors], dtype=bool)
    arrays = [
        *(pa.array(values, pa.string()) for values in (utterance_ids, splits)),
        pa.array(labels.astype(np.float64), mask=np.isnan(labels)),
        pa.array(predicted.astype(np.float64), mask=failed),
        *(extras or {}).values(),
        pa.array(errors, pa.string()),
    ]
    fields = [pa.field(name, array.type) for name, array in (extras or {}).items()]
    table = pa.Table.from_arrays(arrays, names=schema_of((), fields).names)
    return Predictions(table=table, classes=(), metadata=dict(metadata))
