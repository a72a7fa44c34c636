"""What is gained by leaving the clips to a person that a system is least sure of.

Sureness is the probability of what is predicted, or what a head says of its own uncertainty. The
clips of equal sureness are answered together or not at all, so their order plays no part. Intervals
resample speakers as everywhere (`pipeline.evaluation.bootstrap`): within each draw of them the
clips are sorted and left anew.
"""

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
    for run in runs:
        names, places = np.unique(run.clusters, return_inverse=True)
        order = np.argsort(-run.sureness, kind="stable")
        ordered, wrong = run.sureness[order], run.wrong[order].astype(np.float64)
        # The end of each run of equals stands for all of it.
        last = np.searchsorted(-ordered, -ordered, side="right") - 1
        values += _of_weights(np.ones((1, len(order))), wrong, last, coverages)[0] / len(runs)
        begin = 0
        at_once = max(1, WEIGHTS_AT_ONCE // len(order))
        for portion in draws_of_clusters(len(names), seed):
            for start in range(0, len(portion), at_once):
                weights = portion[start : start + at_once][:, places[order]]
                found = _of_weights(weights, wrong, last, coverages)
                drawn[begin : begin + len(found)] += found / len(runs)
                begin += len(found)
    return Errors(values=values, drawn=drawn, num_clusters=len(names))


def _of_weights(
    weights: np.ndarray, wrong: np.ndarray, last: np.ndarray, coverages: Sequence[float]
) -> np.ndarray:
    """Return error rates of clips from the surest on, shape (n, K).

    Args:
        weights: How often each counts, shape (n, B).
        wrong: Of each, 0 or 1, shape (B,).
        last: The place of the last clip that is as sure as each, shape (B,).
        coverages: K of them.
    """
    answered, failed = weights.cumsum(1), (weights * wrong).cumsum(1)
    wanted = answered[:, -1:] * np.asarray(coverages) - _ROUNDING
    stops = [np.searchsorted(row, sought) for row, sought in zip(answered, wanted, strict=True)]
    places = last[np.stack(stops)]
    rows = np.arange(len(weights))[:, None]
    rates: np.ndarray = failed[rows, places] / answered[rows, places]
    return rates


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
