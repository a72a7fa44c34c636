"""The columns of predictions by name, and what is read from them.

A table of several systems has `TABLE_COLUMNS` and `probability.<class>`: a row for each clip,
system, fold and training seed.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SCORE, PROBABILITY = "score.", "probability."
UNCERTAINTY = "uncertainty"  # what a head may say besides: the higher the less sure, 0 sure
TABLE_COLUMNS = (
    "system",
    "fold",
    "seed",
    "utterance_id",
    "corpus",
    "speaker",
    "dialogue",
    "label",
    "predicted",
)
CLUSTERS = ("speaker", "dialogue", "clip")
NO_SPLIT, ALL_SPLITS = "unsplit", "all"  # rows without a split, and rows of every and of none


def rows_of_split(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the rows of a split, or of `NO_SPLIT` or `ALL_SPLITS`."""
    if split == ALL_SPLITS:
        return frame
    return frame[frame["split"].fillna(NO_SPLIT).replace("", NO_SPLIT) == split]


def labelled_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return who is labelled and predicted as what, with the probabilities that are told."""
    usable = frame["label"].notna() & frame["predicted"].notna()
    told = probability_columns(frame)
    return frame.loc[usable, ["utterance_id", "label", "predicted", *told]]


def probability_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of the columns `probability.<class>`, in the order of the table."""
    return [column for column in frame.columns if column.startswith(PROBABILITY)]


def are_numbers(frame: pd.DataFrame) -> bool:
    """Say whether the labels of a table of predictions are numbers, not classes."""
    return pd.api.types.is_numeric_dtype(frame["label"])


def class_order(frame: pd.DataFrame) -> list[str]:
    """Return the classes in the order of the probability columns, others after them."""
    told = [column.removeprefix(PROBABILITY) for column in probability_columns(frame)]
    return [*told, *sorted({*frame["label"], *frame["predicted"]} - set(told))]


def class_indices(names: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Return class names (B,) as positions in `classes`, int64."""
    positions = {name: i for i, name in enumerate(classes)}
    return names.map(positions).to_numpy(dtype=np.int64)


def probabilities_of(
    frame: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return probabilities (B, C) and labels (B,); None where a system tells none."""
    names = [f"{PROBABILITY}{name}" for name in classes]
    if not set(names) <= set(frame.columns):
        return None
    # A fold whose training rows lack a class gives it no probability.
    values = frame[names].fillna(0.0).to_numpy(dtype=np.float64)
    if not values.sum(1).all():
        return None
    return values, class_indices(frame["label"], classes)


def clusters_of(frame: pd.DataFrame, kind: str) -> np.ndarray:
    """Return what is resampled for each row: its speaker, its dialogue, or itself.

    A row whose speaker or dialogue nobody knows stands for itself.
    """
    own = "clip:" + frame["utterance_id"].astype("str")
    if kind == "clip":
        return np.asarray(own, dtype="U")
    known = frame[kind].fillna("").astype("str")
    named = frame["corpus"].fillna("").astype("str") + "/" + known
    return np.asarray(named.where(known != "", own), dtype="U")
