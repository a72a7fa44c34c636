"""Systems side by side: scores with intervals, calibration, spread, and paired comparisons.

Everything is computed from one table of predictions, `TABLE_COLUMNS` and `probability.<class>`: a
row for each clip, system, fold and training seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.bootstrap import (
    SCORES,
    Comparison,
    Interval,
    cluster_counts,
    compare,
    intervals,
    scores_of,
)
from pipeline.evaluation.metrics import confusion_matrix
from pipeline.evaluation.reliability import (
    brier_score,
    expected_calibration_error,
    jensen_shannon,
    log_loss,
)
from pipeline.manifests.manifest import VOTES

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
PROBABILITY = "probability."
CLUSTERS = ("speaker", "dialogue", "clip")


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
    num_clips: int
    num_seeds: int
    majority_rate: float
    num_classes: int

    def row(self, classes: Sequence[str]) -> dict[str, object]:
        """Return it as one row of a table of numbers."""
        ends: dict[str, float] = {}
        for name in SCORES:
            found = self.scores[name]
            ends |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
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
            **ends,
            **folds,
            "ua_seed_sd": self.seed_sd,
            **self.calibration,
            "clips": self.num_clips,
            "clusters": self.scores["ua"].num_clusters,
            "seeds": self.num_seeds,
            "majority_rate": self.majority_rate,
            "chance": 1 / self.num_classes,
            **recalls,
        }


def class_order(table: pd.DataFrame) -> list[str]:
    """Return the classes in the order of the probability columns, others after them."""
    told = [c.removeprefix(PROBABILITY) for c in table.columns if c.startswith(PROBABILITY)]
    return [*told, *sorted({*table["label"], *table["predicted"]} - set(told))]


def clusters_of(table: pd.DataFrame, kind: str) -> np.ndarray:
    """Return what is resampled for each row: its speaker, its dialogue, or itself.

    A row whose speaker or dialogue nobody knows stands for itself.
    """
    own = "clip:" + table["utterance_id"].astype("str")
    if kind == "clip":
        return np.asarray(own, dtype="U")
    known = table[kind].fillna("").astype("str")
    named = table["corpus"].fillna("").astype("str") + "/" + known
    return np.asarray(named.where(known != "", own), dtype="U")


def standings_by_corpus(
    table: pd.DataFrame, classes: Sequence[str], *, cluster: str
) -> list[Standing]:
    """Return how every system of a table did on each corpus; nothing where there is only one.

    Raises:
        PredictionsError: As `standing`.
    """
    corpora = sorted(set(table["corpus"]))
    if len(corpora) < 2:
        return []
    return [
        replace(standing(part, classes, cluster=cluster), corpus=str(corpus))
        for corpus in corpora
        for _, part in table[table["corpus"] == corpus].groupby("system", sort=False)
    ]


def standing(table: pd.DataFrame, classes: Sequence[str], *, cluster: str) -> Standing:
    """Return how the one system of a table did.

    Raises:
        PredictionsError: If its seeds were not scored on the same clips.
    """
    counts, runs = _counts(table, classes, cluster)
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
        PredictionsError: If they have no clip in common.
    """
    shared = set(table["utterance_id"][table["system"] == first])
    shared &= set(table["utterance_id"][table["system"] == second])
    if not shared:
        raise PredictionsError(f"{first} and {second} have no clip in common; score the same rows.")
    common = table[table["utterance_id"].isin(shared)]
    counts, right = [], []
    for system in (first, second):
        mine, runs = _counts(common[common["system"] == system], classes, cluster)
        counts.append(mine)
        right.append((runs[0]["label"] == runs[0]["predicted"]).to_numpy())
    return compare(counts[0], counts[1], right=(right[0], right[1]), margin=margin)


def _counts(
    table: pd.DataFrame, classes: Sequence[str], cluster: str
) -> tuple[np.ndarray, list[pd.DataFrame]]:
    """Return the confusion counts of each seed and cluster, and the rows of each seed."""
    runs = [part.sort_values("utterance_id") for _, part in table.groupby("seed")]
    ids = runs[0]["utterance_id"].tolist()
    if any(run["utterance_id"].tolist() != ids for run in runs):
        raise PredictionsError(
            f"{table['system'].iloc[0]}: its seeds were scored on different clips; score all again."
        )
    places = {name: i for i, name in enumerate(classes)}
    counts = [
        cluster_counts(
            run["label"].map(places).to_numpy(dtype=np.int64),
            run["predicted"].map(places).to_numpy(dtype=np.int64),
            clusters_of(run, cluster).tolist(),
            num_classes=len(classes),
        )
        for run in runs
    ]
    return np.stack(counts), runs


def _scores(table: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    places = {name: i for i, name in enumerate(classes)}
    labels, predicted = (
        table[column].map(places).to_numpy(dtype=np.int64) for column in ("label", "predicted")
    )
    matrix = confusion_matrix(labels, predicted, num_classes=len(classes))
    return {name: float(value) for name, value in scores_of(matrix).items()}


def probabilities_of(
    table: pd.DataFrame, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return probabilities (B, C) and labels (B,); None where a system tells none."""
    names = [f"{PROBABILITY}{name}" for name in classes]
    if not set(names) <= set(table.columns):
        return None
    # A fold whose training rows lack a class gives it no probability.
    values = table[names].fillna(0.0).to_numpy(dtype=np.float64)
    if not values.sum(1).all():
        return None
    places = {name: i for i, name in enumerate(classes)}
    return values, table["label"].map(places).to_numpy(dtype=np.int64)


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
