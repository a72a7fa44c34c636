"""Systems side by side: scores with intervals, calibration, spread, and paired comparisons.

Everything is computed from one table of predictions as `pipeline.evaluation.columns` describes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.abstention import (
    CONFIDENCE,
    COVERAGE,
    answers_of,
    errors_at,
)
from pipeline.evaluation.bootstrap import (
    SCORES,
    Comparison,
    Interval,
    cluster_counts,
    compare,
    ends,
    intervals,
    scores_of,
)
from pipeline.evaluation.columns import (
    class_indices,
    class_order,
    clusters_of,
    probabilities_of,
)
from pipeline.evaluation.metrics import confusion_matrix
from pipeline.evaluation.reliability import (
    brier_score,
    expected_calibration_error,
    jensen_shannon,
    log_loss,
)
from pipeline.evaluation.side_by_side import SideBySide, common_rows, seed_runs, side_by_side
from pipeline.manifests.manifest import VOTES


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one system did, pooled over folds and averaged over training seeds.

    Attributes:
        system: Its name.
        corpus: The corpus it is of; "" for all.
        scores: With intervals, by the names of `pipeline.evaluation.bootstrap.scores_of`.
        fold_scores: Mean and standard deviation over folds of WA and UA; empty for one fold.
        seed_sd: Standard deviation of the pooled UA over seeds, NaN for one seed.
        calibration: ECE, Brier score and NLL, and where clips have votes the Jensen-Shannon
            distance to them (js); empty without probabilities.
        abstained: The error rate when only the surest 80 % are answered; None without
            probabilities.
        num_clips: Clips.
        num_seeds: Training seeds.
        majority_rate: Share of the most frequent class.
        num_classes: Classes among the labels; 1 over it is chance.
    """

    system: str
    corpus: str
    scores: dict[str, Interval]
    fold_scores: dict[str, tuple[float, float]]
    seed_sd: float
    calibration: dict[str, float]
    abstained: Interval | None
    num_clips: int
    num_seeds: int
    majority_rate: float
    num_classes: int

    def row(self, classes: Sequence[str]) -> dict[str, object]:
        """Return it as one row of a table of numbers."""
        scores: dict[str, float] = {}
        for name in SCORES:
            scores |= ends(name, self.scores[name])
        recalls = {
            f"recall.{label}": self.scores[f"recall.{c}"].value
            for c, label in enumerate(classes)
            if f"recall.{c}" in self.scores
        }
        folds: dict[str, float] = {}
        for name, (mean, deviation) in self.fold_scores.items():
            folds |= {f"{name}_fold_mean": mean, f"{name}_fold_sd": deviation}
        return {
            "system": self.system,
            "corpus": self.corpus,
            **scores,
            **folds,
            "ua_seed_sd": self.seed_sd,
            **self.calibration,
            **({} if self.abstained is None else ends("error_at_80", self.abstained)),
            "clips": self.num_clips,
            "clusters": self.scores["ua"].num_clusters,
            "seeds": self.num_seeds,
            "majority_rate": self.majority_rate,
            "chance": 1 / self.num_classes,
            **recalls,
        }


@dataclass(frozen=True, kw_only=True)
class Standings(SideBySide[Standing, Comparison]):
    """How all systems of a table did that tell classes apart.

    Attributes:
        classes: Their names, in index order.
    """

    classes: list[str]

    def table(self) -> pd.DataFrame:
        """Return a row for each standing, those of the corpora last."""
        return pd.DataFrame([one.row(self.classes) for one in (*self.overall, *self.by_corpus)])


def standings_of(table: pd.DataFrame, *, cluster: str, margin: float) -> Standings:
    """Return how every system of a table did, in the order of the table.

    Args:
        table: Predictions of one or more systems.
        cluster: What intervals resample, one of `pipeline.evaluation.columns.CLUSTERS`.
        margin: How much less UA still counts as not inferior.

    Raises:
        PredictionsError: As `standing` and `comparison`.
    """
    classes = class_order(table)
    found = side_by_side(
        table,
        lambda part: standing(part, classes, cluster=cluster),
        lambda first, other: comparison(
            table, first, other, classes, cluster=cluster, margin=margin
        ),
    )
    return Standings(classes=classes, **vars(found))


def standing(table: pd.DataFrame, classes: Sequence[str], *, cluster: str) -> Standing:
    """Return how the one system of a table did.

    Raises:
        PredictionsError: If its seeds were not scored on the same clips.
    """
    counts, runs = seed_counts(table, classes, cluster)
    fold_scores = {}
    folds = [_scores(part, classes) for _, part in table.groupby(["fold", "seed"])]
    if table["fold"].nunique() > 1:
        for name in ("wa", "ua"):
            values = [found[name] for found in folds]
            fold_scores[name] = (float(np.mean(values)), float(np.std(values, ddof=1)))
    pooled = scores_of(counts.sum(1))["ua"]
    support = counts[0].sum((0, 2))
    return Standing(
        system=str(table["system"].iloc[0]),
        corpus="",
        scores=intervals(counts),
        fold_scores=fold_scores,
        seed_sd=float(np.std(pooled, ddof=1)) if len(pooled) > 1 else float("nan"),
        calibration=_calibration(table, classes),
        abstained=_abstained(table, cluster),
        num_clips=len(runs[0]),
        num_seeds=len(runs),
        majority_rate=float(support.max() / support.sum()),
        num_classes=int((support > 0).sum()),
    )


def comparison(
    table: pd.DataFrame,
    first: str,
    second: str,
    classes: Sequence[str],
    *,
    cluster: str,
    margin: float,
) -> Comparison:
    """Compare two systems of a table on the clips that both have, by UA.

    McNemar's test looks at the first training seed of each.

    Raises:
        PredictionsError: As `common_rows`.
    """
    counts, right = [], []
    for rows in common_rows(table, first, second):
        mine, runs = seed_counts(rows, classes, cluster)
        counts.append(mine)
        right.append((runs[0]["label"] == runs[0]["predicted"]).to_numpy())
    return compare(counts[0], counts[1], right=(right[0], right[1]), margin=margin)


def seed_counts(
    table: pd.DataFrame, classes: Sequence[str], cluster: str
) -> tuple[np.ndarray, list[pd.DataFrame]]:
    """Return the confusion counts of each seed and cluster of one system, and each seed's rows.

    Args:
        table: Of the system.
        classes: In index order.
        cluster: What is counted apart.

    Returns:
        Counts of shape (S, G, C, C), clusters sorted by name; and S tables sorted by utterance id.

    Raises:
        PredictionsError: If its seeds were not scored on the same clips.
    """
    runs = seed_runs(table)
    counts = [
        cluster_counts(
            class_indices(run["label"], classes),
            class_indices(run["predicted"], classes),
            clusters_of(run, cluster).tolist(),
            num_classes=len(classes),
        )
        for run in runs
    ]
    return np.stack(counts), runs


def _abstained(table: pd.DataFrame, cluster: str) -> Interval | None:
    runs = answers_of(table, cluster).get(CONFIDENCE)
    return None if runs is None else errors_at(runs, [COVERAGE]).interval(0)


def _scores(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    labels, predicted = (class_indices(table[c], classes) for c in ("label", "predicted"))
    matrix = confusion_matrix(labels, predicted, num_classes=len(classes))
    return {name: float(value) for name, value in scores_of(matrix).items()}


def _calibration(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    found = probabilities_of(table, classes)
    if found is None:
        return {}
    values = {
        "ece": expected_calibration_error(*found),
        "brier": brier_score(*found),
        "nll": log_loss(*found),
    }
    voted = [f"{VOTES}{name}" for name in classes]
    if set(voted) <= set(table.columns):
        shares = table[voted].to_numpy(dtype=np.float64)
        told = ~np.isnan(shares).any(1)
        if told.any():
            values["js"] = jensen_shannon(found[0][told], shares[told])
    return values
