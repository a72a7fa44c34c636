"""Settings side by side on dev: one parameter over several values, or a list of trials."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.evaluation.concordance import CCC, measure_numbers
from pipeline.evaluation.metrics import SELECTORS
from pipeline.experiments.plan import Run


def sweep_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how every run did on what it was scored on.

    Returns:
        One row for each run: value (the system's name), fold, seed, and each score as `dev_<name>`.
    """
    rows = []
    for run in runs:
        frame = run.predictions.frame[["label", "predicted"]].dropna()
        place = {"value": run.system, "fold": run.fold, "seed": run.seed}
        if not run.predictions.classes:
            numbers = measure_numbers(frame["label"].to_numpy(), frame["predicted"].to_numpy())
            rows.append({**place, **{f"dev_{name}": value for name, value in numbers.items()}})
            continue
        places = {name: i for i, name in enumerate(run.predictions.classes)}
        labels, predicted = (
            frame[column].map(places).to_numpy(dtype=np.int64) for column in ("label", "predicted")
        )
        scores = {f"dev_{name}": score(labels, predicted) for name, score in SELECTORS.items()}
        rows.append({**place, **scores})
    return pd.DataFrame(rows)


def score_of_sweep(table: pd.DataFrame) -> str:
    """Return the score that a sweep is summed up by: CCC of numbers, UA of classes."""
    return CCC if f"dev_{CCC}" in table.columns else "ua"


def summarise_sweep(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score over folds of each value, and one deviation over seeds to either side.

    Columns x (the value), mean, low, high; low and high are NaN for a single seed.
    """
    score = f"dev_{score_of_sweep(table)}"
    by_seed = table.groupby(["value", "seed"], sort=False)[score].mean()
    groups = by_seed.groupby("value", sort=False)
    mean, deviation = groups.mean(), groups.std(ddof=1)
    return pd.DataFrame(
        {
            "x": mean.index,
            "mean": mean.to_numpy(),
            "low": np.asarray(mean - deviation),
            "high": np.asarray(mean + deviation),
        }
    )
