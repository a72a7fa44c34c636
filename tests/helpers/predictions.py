"""Small predictions to write, read and spoil."""

import numpy as np
import pyarrow as pa

from pipeline.scoring.predictions import (
    Predictions,
    assemble_predictions,
)

CLASSES = ["angry", "calm", "v. sad"]


METADATA = {"task": "emotion", "solver": "exponential", "num_steps": 20, "seed": 3, "leaks": {}}


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
