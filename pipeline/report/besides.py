"""What a head says besides its scores: the named text and number columns of its predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.evaluation.columns import rows_of_split
from pipeline.report.page import Section, Table
from pipeline.scoring.predictions import Predictions

EXAMPLES = 2  # of each class, right and wrong each
LONGEST = 200  # characters of a text that are shown


def besides_sections(
    predictions: Mapping[str, Predictions], split: str, *, without: Sequence[str] = ()
) -> list[Section]:
    """Return examples of each text and means of each number, by class; nothing where are none.

    Only labelled, scored rows of the split are looked at.

    Args:
        predictions: By name.
        split: Whose rows are shown.
        without: Columns that are shown elsewhere.
    """
    tables = []
    for name, one in predictions.items():
        frame = one.frame
        frame = rows_of_split(frame, split)
        frame = frame[frame["label"].notna() & frame["predicted"].notna()]
        for column in one.extras:
            told = frame[frame[column].notna()]
            if told.empty or column in without:
                continue
            is_text = one.table.schema.field(column).type == pa.string()
            make = _examples if is_text else _means
            tables.append(make(name, told, column, one.classes))
    if not tables:
        return []
    return [
        Section(
            title="What the head says besides",
            texts=["A head wrote these beside its scores; nothing here was counted as right."],
            tables=tables,
        )
    ]


def _examples(name: str, frame: pd.DataFrame, column: str, classes: tuple[str, ...]) -> Table:
    """Return the first clips of each class that were recognised, and the first that were not."""
    rows = []
    for label in classes:
        mine = frame[frame["label"] == label]
        is_right = mine["predicted"] == label
        for part in (mine[is_right], mine[~is_right]):
            rows += [
                {
                    "class": label,
                    "taken for": row["predicted"],
                    "clip": row["utterance_id"],
                    column: shortened(row[column]),
                }
                for row in part.head(EXAMPLES).to_dict("records")
            ]
    return Table(
        caption=f"{name}: {column}, of the first {EXAMPLES} clips of each class that were "
        f"recognised, and of the first {EXAMPLES} that were not.",
        frame=pd.DataFrame(rows),
    )


def _means(name: str, frame: pd.DataFrame, column: str, classes: tuple[str, ...]) -> Table:
    """Return the mean of a number over each class, over what is right and over what is wrong."""
    values = frame[column].astype("float64")
    frame = frame.assign(**{column: values})[np.isfinite(values)]
    rows = []
    for label in (*classes, None):
        mine = frame if label is None else frame[frame["label"] == label]
        if mine.empty:
            continue
        is_right = mine["predicted"] == mine["label"]
        rows.append(
            {
                "class": "all" if label is None else label,
                "clips": str(len(mine)),
                "mean": _mean(mine[column]),
                "of the right": _mean(mine.loc[is_right, column]),
                "of the wrong": _mean(mine.loc[~is_right, column]),
            }
        )
    return Table(
        caption=f"{name}: mean of {column} over the clips of each class, those that were "
        "recognised and those that were not.",
        frame=pd.DataFrame(rows),
    )


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.4g}" if len(values) else ""


def shortened(text: str) -> str:
    """Return a text on one line, cut where it is too long for a table."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
