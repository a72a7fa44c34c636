"""Intervals and comparisons that resample speakers instead of clips.

Clips of one speaker are alike, so resampling clips makes intervals too narrow. Here whole clusters
(speakers, for MELD dialogues) are drawn with replacement, and scores are taken of the confusion
counts of what was drawn: percentile bootstrap (Efron & Tibshirani 1993, chapter 13) of clusters
(Davison & Hinkley 1997, section 3.8).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ShapeError
from pipeline.evaluation.cluster_draws import draws_of_clusters
from pipeline.evaluation.metrics import check_indices

LEVEL = 0.95
FEW_CLUSTERS = 10  # below, an interval says little, and tables say so
SCORES = ("wa", "ua", "wf1", "macro_f1")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score with what it may well have been.

    Attributes:
        value: Of all clips.
        low: Lower end of the 95 % interval.
        high: Upper end.
        num_clusters: Clusters that were resampled.
    """

    value: float
    low: float
    high: float
    num_clusters: int

    @property
    def is_shaky(self) -> bool:
        """Whether there are too few clusters to trust the ends."""
        return self.num_clusters < FEW_CLUSTERS


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two systems on the same clips.

    Attributes:
        difference: Of the scores, first minus second, with its interval.
        margin: How much worse still counts as not inferior.
    """

    difference: Interval
    margin: float

    @property
    def is_better(self) -> bool:
        """Whether the interval of the difference lies above 0."""
        return self.difference.low > 0

    @property
    def is_not_inferior(self) -> bool:
        """Whether it lies above minus the margin."""
        return self.difference.low > -self.margin

    @property
    def verdict(self) -> str:
        """What it shows, in words."""
        if self.is_better:
            return "better"
        return "not inferior" if self.is_not_inferior else "not shown to be as good"


@dataclass(frozen=True, kw_only=True)
class Comparison(Difference):
    """Two systems that tell classes apart, on the same clips; see `Difference`.

    Attributes:
        mcnemar_p: Exact two-sided p of McNemar's test on which clips are right.
        only_first: Clips that only the first has right.
        only_second: Clips that only the second has right.
    """

    mcnemar_p: float
    only_first: int
    only_second: int


def scores_of(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Return each score of confusion counts, as `pipeline.evaluation.metrics` defines them.

    Args:
        matrices: Counts, rows actual, shape (..., C, C).

    Returns:
        `SCORES`, and `recall.<c>` for each class index (NaN without a clip), shape (...).
    """
    counts = np.asarray(matrices, dtype=np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, said = counts.sum(-1), counts.sum(-2)
    total = support.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(support > 0, hits / support, np.nan)
        f1 = np.where(support + said > 0, 2 * hits / (support + said), np.nan)
        result = {
            "wa": hits.sum(-1) / total,
            "ua": _mean(recall),
            "wf1": (support * np.nan_to_num(f1)).sum(-1) / total,
            "macro_f1": _mean(f1),
        }
    return result | {f"recall.{c}": recall[..., c] for c in range(recall.shape[-1])}


def cluster_counts(
    labels: np.ndarray, predicted: np.ndarray, clusters: Sequence[object], *, num_classes: int
) -> np.ndarray:
    """Return the confusion counts of each cluster, sorted by its name, shape (G, C, C).

    Raises:
        ShapeError: If the arrays do not agree, or hold no class indices.
    """
    if len(clusters) != len(labels):
        raise ShapeError(
            f"clusters: found {len(clusters)} for {len(labels)} clips, wanted one per clip."
        )
    check_indices(labels, predicted, num_classes=num_classes)
    names, places = np.unique(np.asarray(clusters, dtype="U"), return_inverse=True)
    cells = (places * num_classes + labels) * num_classes + predicted
    counts = np.bincount(cells, minlength=len(names) * num_classes**2)
    return counts.reshape(len(names), num_classes, num_classes)


def intervals(counts: np.ndarray, *, seed: int = 0) -> dict[str, Interval]:
    """Return every score with its interval.

    Args:
        counts: Of each cluster, shape (G, C, C); or of each training seed and cluster, shape
            (S, G, C, C), whose scores are averaged over the seeds.
        seed: Of the draws.
    """
    runs = counts[None] if counts.ndim == 3 else counts
    values = {name: float(v.mean()) for name, v in scores_of(runs.sum(1)).items()}
    drawn = drawn_scores(runs, seed)
    return {
        name: interval_of(value, drawn[name], runs.shape[1])
        for name, value in values.items()
        if np.isfinite(value)
    }


def compare(
    first: np.ndarray,
    second: np.ndarray,
    *,
    right: tuple[np.ndarray, np.ndarray],
    margin: float = 0.02,
    score: str = "ua",
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the same clips: the same clusters are drawn for both.

    Args:
        first: Counts as for `intervals`.
        second: The same clusters of the other.
        right: For each system which clips it has right, shape (B,) of bool, for McNemar's test.
        margin: How much worse still counts as not inferior.
        score: Which score's difference.
        seed: Of the draws.

    Raises:
        ShapeError: If the systems were not scored on the same clips.
    """
    from scipy.stats import binomtest

    runs = [c[None] if c.ndim == 3 else c for c in (first, second)]
    supports = [r[0].sum(-1) for r in runs]
    if supports[0].shape != supports[1].shape or (supports[0] != supports[1]).any():
        raise ShapeError("compare: found other clips or labels in the second system; score both.")
    values = [float(scores_of(r.sum(1))[score].mean()) for r in runs]
    drawn = [drawn_scores(r, seed)[score] for r in runs]
    only_first = int((right[0] & ~right[1]).sum())
    only_second = int((right[1] & ~right[0]).sum())
    discordant = only_first + only_second
    p = binomtest(only_first, discordant).pvalue if discordant else 1.0
    return Comparison(
        difference=interval_of(values[0] - values[1], drawn[0] - drawn[1], runs[0].shape[1]),
        margin=margin,
        mcnemar_p=float(p),
        only_first=only_first,
        only_second=only_second,
    )


def drawn_scores(runs: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the scores of every draw of clusters, averaged over runs, shape (draws,).

    One seed draws the same clusters of any counts of as many clusters, so what two systems got in a
    draw may be set side by side.

    Args:
        runs: Counts of each training seed and cluster, shape (S, G, C, C).
        seed: Of the draws.
    """
    num_classes = runs.shape[-1]
    # Of whole numbers below 2^53 products in float64 are exact, and five times as fast.
    flat = runs.reshape(*runs.shape[:2], num_classes**2).astype(np.float64)
    draws = draws_of_clusters(runs.shape[1], seed)
    matrices = np.concatenate([w.astype(np.float64) @ flat for w in draws], axis=1)
    drawn = scores_of(matrices.reshape(*matrices.shape[:2], num_classes, num_classes))
    return {name: values.mean(0) for name, values in drawn.items()}


def mean_intervals(
    values: np.ndarray, clusters: Sequence[object], *, seed: int = 0
) -> list[Interval]:
    """Return the mean of each column of numbers of clips, with its interval.

    Args:
        values: One row a clip, shape (B, P).
        clusters: One for each clip.
        seed: Of the draws.
    """
    counted = np.column_stack([values, np.ones(len(values))])
    return [
        sum_interval(counted[:, [i, -1]], clusters, lambda sums: sums[:, 0] / sums[:, 1], seed=seed)
        for i in range(values.shape[1])
    ]


def sum_interval(
    values: np.ndarray,
    clusters: Sequence[object],
    score: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int = 0,
) -> Interval:
    """Return a score of sums over clips, with its interval.

    Args:
        values: What is summed, one row a clip, shape (B, P).
        clusters: One for each clip.
        score: Gives scores (n,) of n sums (n, P).
        seed: Of the draws.
    """
    names, places = np.unique(np.asarray(clusters, dtype="U"), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]), values.dtype)
    np.add.at(sums, places, values)
    drawn = np.concatenate(
        [score(weights @ sums) for weights in draws_of_clusters(len(names), seed)]
    )
    return interval_of(float(score(sums.sum(0)[None])[0]), drawn, len(names))


def interval_of(value: float, drawn: np.ndarray, num_clusters: int) -> Interval:
    """Return a number with the ends between which 95 % of what was drawn lies, NaN left out."""
    ends = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=float(ends[0]), high=float(ends[1]), num_clusters=num_clusters)


def ends(name: str, found: Interval | None) -> dict[str, float]:
    """Return an interval as the cells `name`, `name_low` and `name_high`, NaN where there is none.

    Args:
        name: Of the first cell.
        found: The interval.
    """
    values: Sequence[float] = (
        (float("nan"),) * 3 if found is None else (found.value, found.low, found.high)
    )
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over classes that have a value."""
    known = np.isfinite(values)
    count: np.ndarray = np.where(known, values, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)
    return count
