"""What is gained by leaving the clips to a person that a system is least sure of.

Sureness is the probability of what is predicted, or what a head says of its own uncertainty. The
clips of equal sureness are answered together or not at all, so their order plays no part. Intervals
resample speakers as everywhere (`pipeline.evaluation.bootstrap`): within each draw of them the
clips are sorted and left anew.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import Interval, ends, interval_of
from pipeline.evaluation.cluster_draws import WEIGHTS_AT_ONCE, draws_of_clusters, num_draws
from pipeline.evaluation.columns import UNCERTAINTY, clusters_of, probability_columns

COVERAGES = tuple(round(1 - left / 20, 2) for left in range(11))  # all clips to half of them
COVERAGE = 0.8  # of the one number that tables have: a fifth is left to a person
CONFIDENCE = "confidence"
_ROUNDING = 1e-9  # of a share of a sum of whole numbers


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a system says of some clips with one training seed.

    Attributes:
        sureness: The higher the surer, shape (B,).
        wrong: Whether it says another class than the label, shape (B,).
        clusters: What is resampled, one for each clip, shape (B,).
    """

    sureness: np.ndarray
    wrong: np.ndarray
    clusters: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Error rates among the surest clips, at each of some coverages.

    Attributes:
        values: Of all clips, the mean over training seeds, shape (K,).
        drawn: Of every draw of clusters, shape (draws, K).
        num_clusters: That were resampled.
    """

    values: np.ndarray
    drawn: np.ndarray
    num_clusters: int

    def interval(self, place: int) -> Interval:
        """Return the error rate at one of the coverages."""
        return interval_of(float(self.values[place]), self.drawn[:, place], self.num_clusters)

    def difference(self, other: "Errors", place: int) -> Interval:
        """Return this error rate minus another's of the same clips, at one of the coverages."""
        value = float(self.values[place] - other.values[place])
        drawn = self.drawn[:, place] - other.drawn[:, place]
        return interval_of(value, drawn, self.num_clusters)


def errors_at(
    runs: Sequence[Answers], coverages: Sequence[float] = COVERAGES, *, seed: int = 0
) -> Errors:
    """Return the error rates of what is answered when so many of the surest clips are.

    Args:
        runs: Of each training seed, on the same clips.
        coverages: Shares of the clips that are at least answered, each above 0 to 1.
        seed: Of the draws; one seed draws the same clusters of as many.
    """
    values = np.zeros(len(coverages))
    drawn = np.zeros((num_draws(), len(coverages)))
    num_clusters = 0
    for run in runs:
        clips = _Ordered(run)
        num_clusters = clips.num_clusters
        values += clips.rates(np.ones((1, num_clusters)), coverages)[0] / len(runs)
        begin = 0
        at_once = max(1, WEIGHTS_AT_ONCE // (clips.size * len(coverages)))
        for portion in draws_of_clusters(num_clusters, seed):
            for start in range(0, len(portion), at_once):
                found = clips.rates(portion[start : start + at_once], coverages)
                drawn[begin : begin + len(found)] += found / len(runs)
                begin += len(found)
    return Errors(values=values, drawn=drawn, num_clusters=num_clusters)


class _Ordered:
    """Clips from the surest on, in blocks: a draw looks into those alone where a coverage is met.

    Attributes:
        num_clusters: G.
        size: Clips of a block, or blocks, if these are more.
    """

    def __init__(self, run: Answers) -> None:
        names, places = np.unique(run.clusters, return_inverse=True)
        order = np.argsort(-run.sureness, kind="stable")
        ordered = run.sureness[order]
        self.num_clusters = len(names)
        self._clusters, self._wrong = places[order], run.wrong[order].astype(np.float64)
        # The end of each run of equals stands for all of it.
        self._last = np.searchsorted(-ordered, -ordered, side="right") - 1
        most = max(1, WEIGHTS_AT_ONCE // self.num_clusters)
        num_blocks = min(math.isqrt(len(order)), most)
        self._length = -(-len(order) // num_blocks)
        self.size = max(self._length, num_blocks)
        cells = np.arange(len(order)) // self._length * self.num_clusters + self._clusters
        shape = (num_blocks, self.num_clusters)
        counts = [np.bincount(cells, w, math.prod(shape)) for w in (None, self._wrong)]
        self._answered, self._failed = (c.reshape(shape).T.astype(np.float64) for c in counts)

    def rates(self, draws: np.ndarray, coverages: Sequence[float]) -> np.ndarray:
        """Return error rates of clips that count as often as their clusters, shape (n, K).

        Args:
            draws: How often each cluster counts, shape (n, G).
            coverages: K of them.
        """
        weights = draws.astype(np.float64)  # whole numbers, so that sums are exact
        answered, failed = (
            np.pad((weights @ of_blocks).cumsum(1), ((0, 0), (1, 0)))
            for of_blocks in (self._answered, self._failed)
        )
        wanted = answered[:, -1:] * np.asarray(coverages) - _ROUNDING
        blocks = np.stack([np.searchsorted(*one) for one in zip(answered, wanted, strict=True)]) - 1
        within, places = self._within(weights, blocks)
        reached = np.take_along_axis(answered, blocks, 1)[..., None] + within.cumsum(2)
        stops = np.take_along_axis(places, (reached < wanted[..., None]).sum(2)[..., None], 2)
        last = self._last[stops]
        blocks = last[..., 0] // self._length
        within, places = self._within(weights, blocks)
        within *= places <= last
        sums = [np.take_along_axis(of_blocks, blocks, 1) for of_blocks in (answered, failed)]
        rates: np.ndarray = (sums[1] + (within * self._wrong[places]).sum(2)) / (
            sums[0] + within.sum(2)
        )
        return rates

    def _within(self, weights: np.ndarray, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how often the clips of blocks (n, K) count, and which these are, (n, K, length).

        Beyond the last clip it stands again, and counts 0 times.
        """
        places = blocks[..., None] * self._length + np.arange(self._length)
        inside = places < len(self._clusters)
        places = np.minimum(places, len(self._clusters) - 1)
        rows = np.arange(len(weights))[:, None, None]
        return weights[rows, self._clusters[places]] * inside, places


def answers_of(table: pd.DataFrame, cluster: str) -> dict[str, list[Answers]]:
    """Return what the one system of a table says, by what its sureness is taken from.

    Args:
        table: Predictions, as `pipeline.evaluation.columns` has them.
        cluster: What is resampled.

    Returns:
        `CONFIDENCE` where it tells probabilities, `UNCERTAINTY` where it tells that; each training
        seed's clips sorted by utterance id.
    """
    told: dict[str, list[Answers]] = {}
    for _, part in table.sort_values("utterance_id").groupby("seed"):
        confidence = part[probability_columns(part)].max(axis=1).to_numpy(dtype=np.float64)
        measures = {CONFIDENCE: confidence}
        if UNCERTAINTY in part:
            measures[UNCERTAINTY] = -part[UNCERTAINTY].to_numpy(dtype=np.float64)
        for name, sureness in measures.items():
            if len(sureness) and np.isfinite(sureness).all():
                told.setdefault(name, []).append(
                    Answers(
                        sureness=sureness,
                        wrong=(part["label"] != part["predicted"]).to_numpy(),
                        clusters=clusters_of(part, cluster),
                    )
                )
    return told


def abstention_table(table: pd.DataFrame, *, cluster: str) -> pd.DataFrame:
    """Return the error rates of every system when ever more clips are left to a person.

    Args:
        table: Predictions of one or more systems.
        cluster: What intervals resample.

    Returns:
        A row for each system, each `by` (what its sureness is taken from) and each coverage: error,
        with `_low` and `_high`; difference, likewise, to the first system by its confidence, NaN
        where they were not scored on the same clips; and clusters.
    """
    found: dict[tuple[str, str], Errors] = {}
    clips: dict[str, list[str]] = {}
    for system in dict.fromkeys(table["system"]):
        mine = table[table["system"] == system]
        clips[system] = sorted(set(mine["utterance_id"]))
        for by, runs in answers_of(mine, cluster).items():
            found[system, by] = errors_at(runs)
    rows = []
    for (system, by), errors in found.items():
        first_system, first = next(iter(found.items()))
        is_paired = clips[system] == clips[first_system[0]] and errors is not first
        for place, coverage in enumerate(COVERAGES):
            nothing = dict.fromkeys(("difference", "difference_low", "difference_high"), np.nan)
            told = ends("difference", first.difference(errors, place)) if is_paired else nothing
            rows.append(
                {
                    "system": system,
                    "by": by,
                    "coverage": coverage,
                    **ends("error", errors.interval(place)),
                    **told,
                    "clusters": errors.num_clusters,
                }
            )
    return pd.DataFrame(rows)
