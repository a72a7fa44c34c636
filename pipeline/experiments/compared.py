"""Systems side by side for a study: facts, scores, and what one has more than another."""

import math
from typing import Any

import pandas as pd

from pipeline.evaluation.bootstrap import ends
from pipeline.evaluation.paired import Paired
from pipeline.experiments.parts import OWN_SPLIT
from pipeline.experiments.system_files import NUMBERS, TEXTS
from pipeline.experiments.token_study import Row

MEASURES = ("wa", "ua", "wf1")


def unknown_facts(name: str) -> dict[str, Any]:
    """Return the row of a system that `systems.csv` says nothing of."""
    return {
        **dict.fromkeys(TEXTS, ""),
        **dict.fromkeys(NUMBERS, math.nan),
        "system": name,
        "acoustics": False,
    }


def num_folds(predictions: pd.DataFrame) -> int | None:
    """Return of how many folds the scored clips are; None of a manifest's own split."""
    folds = set(predictions["fold"].astype("str"))
    return None if folds == {OWN_SPLIT} else len(folds)


def split_words(predictions: pd.DataFrame) -> str:
    """Return which clips were scored: of how many folds, after how many trainings."""
    folds = num_folds(predictions)
    told = f"test of {folds} folds" if folds != 1 else f"test of fold {predictions['fold'].iloc[0]}"
    if folds is None:
        told = "test of its own split"
    num_seeds = predictions["seed"].nunique()
    return f"{told}, {num_seeds} seed{'s' * (num_seeds > 1)}"


def beside(row: Row, reference: str, paired: Paired) -> dict[str, Any]:
    """Return a system with its scores, and with what it has more than another one; "" has none."""
    name, told = row["system"], dict(row)
    for score in MEASURES:
        told |= ends(score, paired.score(name, score))
        known = paired.difference(name, reference, score) if reference else None
        told |= ends(f"{score}_difference", known)
    return told
