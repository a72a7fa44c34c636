"""What `metrics.json` says of predictions."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.evaluation.columns import ALL_SPLITS, NO_SPLIT, class_indices, rows_of_split
from pipeline.evaluation.concordance import measure_numbers
from pipeline.evaluation.metrics import summarise
from pipeline.evaluation.standings import Standing
from pipeline.manifests.manifest import SPLITS
from pipeline.scoring.predictions import CONTAMINATED, Predictions

LACKING = "lacking"  # of a split: classes of the head that no row of it has


def lacking_texts(metrics: Mapping[str, Any], split: str) -> list[str]:
    """Say, for each system that tells classes, which of its head's no row of a split has.

    Args:
        metrics: As `write_report` returns them.
        split: Which one.
    """
    return [
        f"{name}: {split} has no clip of {', '.join(found)}, which the head knows; its UA is over "
        "the other classes."
        for name, of_splits in metrics.items()
        if (found := of_splits[split].get(LACKING))
    ]


def measure(predictions: Predictions, *, with_all: bool = False) -> dict[str, Any]:
    """Return the metrics of each split that occurs, and what is stamped on the predictions.

    A split without labelled, scored rows has its counts only. With `with_all` there is one more of
    all rows.
    """
    frame = predictions.frame[["split", "label", "predicted", "error"]]
    result: dict[str, Any] = {}
    for split in (*SPLITS, NO_SPLIT, *[ALL_SPLITS] * with_all):
        rows = rows_of_split(frame, split)
        if rows.empty:
            continue
        usable = rows[rows["label"].notna() & rows["predicted"].notna()]
        counts: dict[str, Any] = {
            "num_rows": len(rows),
            "num_failed": int(rows["error"].notna().sum()),
            "num_unlabelled": int(rows["label"].isna().sum()),
            "num_clips": len(usable),
        }
        if not predictions.classes:
            counts = {**_of_numbers(usable), **counts}
        elif len(usable):
            labels, predicted = (
                class_indices(usable[c], predictions.classes) for c in ("label", "predicted")
            )
            counts = {**summarise(labels, predicted, predictions.classes), **counts}
            present = set(usable["label"])
            counts[LACKING] = [name for name in predictions.classes if name not in present]
        result[split] = counts
    result["transductive"] = bool(predictions.metadata.get("transductive", False))
    for stamp in ("leaks", "head_leaks"):
        result[stamp] = predictions.metadata.get(stamp, {})
    for stamp in ("text_sources", "head_text_sources", CONTAMINATED):
        if stamp in predictions.metadata:
            result[stamp] = predictions.metadata[stamp]
    return result


def _of_numbers(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of numbers in labelled, scored rows, for JSON; nothing of none."""
    if rows.empty:
        return {}
    labels = rows["label"].to_numpy()
    found = measure_numbers(labels, rows["predicted"].to_numpy())
    return {**found, "label_mean": float(labels.mean()), "label_sd": float(labels.std())}


def interval_entries(one: Standing) -> dict[str, Any]:
    """Return what a standing adds to the metrics of its split."""
    scores = {
        name: [found.low, found.high]
        for name, found in one.scores.items()
        if not name.startswith("recall")
    }
    return {"interval": scores, "num_clusters": one.scores["ua"].num_clusters, **one.calibration}
