"""One system on groups of clips (gender, language, corpus), and the gap between best and worst.

Each group's interval resamples its own clusters. The gap is between the groups that are best and
worst on all clips, and its interval resamples the clusters of both at once, so that a cluster with
clips of both counts in both. It is of the pair that looks widest, which makes it wide by chance as
well: groups that are equally good have a gap above 0 too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import SCORES, Interval, drawn_scores, interval_of, intervals
from pipeline.evaluation.columns import class_indices, clusters_of
from pipeline.evaluation.concordance import (
    NUMBER_SCORES,
    RMSE,
    drawn_numbers,
    moments,
    number_intervals,
)

GROUPED_BY = ("gender", "language", "corpus")
LEAST_CLIPS, LEAST_CLUSTERS = 20, 3  # below either, a group is too small for the gap


@dataclass(frozen=True, kw_only=True)
class Group:
    """How a system did on the clips of one group.

    Attributes:
        name: What the column says.
        scores: With intervals, by the names of `pipeline.evaluation.bootstrap.scores_of`, of
            numbers by those of `NUMBER_SCORES`.
        num_clips: Clips.
        num_clusters: What is resampled.
        lacking: Classes, among those of all groups, that it has no clip of.
    """

    name: str
    scores: dict[str, Interval]
    num_clips: int
    num_clusters: int
    lacking: tuple[str, ...]

    @property
    def is_small(self) -> bool:
        """Whether it is too small to say which group is best or worst."""
        return self.num_clips < LEAST_CLIPS or self.num_clusters < LEAST_CLUSTERS


@dataclass(frozen=True, kw_only=True)
class Gap:
    """By how much one group is ahead of another.

    Attributes:
        best: The group whose score is highest, or whose error is lowest.
        worst: The group whose score is lowest, or whose error is highest.
        difference: Between them, at least 0, with its interval.
    """

    best: str
    worst: str
    difference: Interval


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """A system on the groups of one column.

    Attributes:
        column: Which.
        system: Whose predictions.
        groups: Sorted by name.
        measures: The scores that are compared.
        gaps: By score, over the groups that are not small; empty where fewer than two are left.
        num_untold: Clips of which the column says nothing; in no group.
    """

    column: str
    system: str
    groups: list[Group]
    measures: tuple[str, ...]
    gaps: dict[str, Gap]
    num_untold: int


def groupings_of(
    table: pd.DataFrame, classes: Sequence[str] | None, *, cluster: str, without: str = ""
) -> list[Grouping]:
    """Return every system on the groups of each column that tells several apart.

    Args:
        table: Predictions as `pipeline.evaluation.columns` describes them, one training seed a
            system, with those of `GROUPED_BY` that are known.
        classes: In index order; None of numbers.
        cluster: What intervals resample.
        without: A column that is left out, of which the labels themselves are.
    """
    return [
        grouping(part, classes, column, cluster=cluster)
        for column in GROUPED_BY
        if column in table.columns and column != without
        for _, part in table.groupby("system", sort=False)
        if part.loc[part[column] != "", column].nunique() > 1
    ]


@dataclass(frozen=True)
class _Measured:
    """What is summed over the clips of each cluster, and what such sums say."""

    names: tuple[str, ...]
    intervals: Callable[[np.ndarray], dict[str, Interval]]  # of the sums of clusters, (G, ...)
    drawn: Callable[[np.ndarray], dict[str, np.ndarray]]
    clips: Callable[[np.ndarray], np.ndarray]  # how many clips sums are of


_CLASSES = _Measured(
    names=SCORES,
    intervals=intervals,
    drawn=lambda counts: drawn_scores(counts[None]),
    clips=lambda counts: counts.sum((-2, -1)),
)
_NUMBERS = _Measured(
    names=NUMBER_SCORES,
    intervals=lambda sums: number_intervals(sums[None]),
    drawn=lambda sums: drawn_numbers(sums[None]),
    clips=lambda sums: sums[..., 0],
)


def grouping(
    table: pd.DataFrame, classes: Sequence[str] | None, column: str, *, cluster: str
) -> Grouping:
    """Return the one system of a table on the groups of a column; without classes, of numbers."""
    told = table[table[column] != ""]
    names, of_group = np.unique(told[column].to_numpy(dtype="U"), return_inverse=True)
    clusters, of_cluster = np.unique(clusters_of(told, cluster), return_inverse=True)
    labels, predicted = told["label"], told["predicted"]
    if classes is None:
        measured = _NUMBERS
        sums = np.zeros((len(names), len(clusters), 6))
        # All at once: moments are less the mean label, which must be one for all groups.
        values = moments(labels.to_numpy(), predicted.to_numpy())
        np.add.at(sums, (of_group, of_cluster), values)
        lacking: list[tuple[str, ...]] = [()] * len(names)
    else:
        measured, num = _CLASSES, len(classes)
        sums = np.zeros((len(names), len(clusters), num, num), dtype=np.int64)
        indices = (class_indices(one, classes) for one in (labels, predicted))
        np.add.at(sums, (of_group, of_cluster, *indices), 1)
        has = sums.sum((1, 3)) > 0  # (groups, classes)
        lacks = has.any(0) & ~has
        lacking = [tuple(np.asarray(classes)[row].tolist()) for row in lacks]
    groups = [_group(str(n), sums[g], measured, lacking=lacking[g]) for g, n in enumerate(names)]
    large = {group.name: sums[g] for g, group in enumerate(groups) if not group.is_small}
    return Grouping(
        column=column,
        system=str(table["system"].iloc[0]),
        groups=groups,
        measures=measured.names,
        gaps=_gaps(groups, large, measured) if len(large) > 1 else {},
        num_untold=len(table) - len(told),
    )


def _group(name: str, sums: np.ndarray, measured: _Measured, *, lacking: tuple[str, ...]) -> Group:
    """Return a group of sums (G, ...); clusters without a clip of it are left out."""
    own = sums[measured.clips(sums) > 0]
    return Group(
        name=name,
        scores=measured.intervals(own),
        num_clips=int(measured.clips(own).sum()),
        num_clusters=len(own),
        lacking=lacking,
    )


def _gaps(groups: list[Group], sums: dict[str, np.ndarray], measured: _Measured) -> dict[str, Gap]:
    """Return the gap of each score between large groups, of sums (G, ...) of all clusters."""
    gaps, drawn = {}, {}
    for score in measured.names:
        sign = -1 if score == RMSE else 1
        values = {g.name: sign * g.scores[score].value for g in groups if g.name in sums}
        best, worst = (most(values, key=values.__getitem__) for most in (max, min))
        pair = np.stack([sums[best], sums[worst]])
        pair = pair[:, measured.clips(pair).sum(0) > 0]
        if (best, worst) not in drawn:
            # One seed draws the same clusters for both. A draw may have no clip of one.
            with np.errstate(invalid="ignore"):
                drawn[best, worst] = [measured.drawn(one) for one in pair]
        first, second = drawn[best, worst]
        # In a draw without a clip of one there is no difference; the last score shows it.
        both = np.isfinite(first[measured.names[-1]]) & np.isfinite(second[measured.names[-1]])
        differences = sign * (first[score] - second[score])[both]
        gaps[score] = Gap(
            best=best,
            worst=worst,
            difference=interval_of(values[best] - values[worst], differences, pair.shape[1]),
        )
    return gaps
