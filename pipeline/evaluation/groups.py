"""One system on groups of clips (gender, language, corpus), and the gap between best and worst.

Each group's interval resamples its own clusters. The gap is between the groups that are best and
worst on all clips, and its interval resamples the clusters of both at once, so that a cluster with
clips of both counts in both. It is of the pair that looks widest, which makes it wide by chance as
well: groups that are equally good have a gap above 0 too.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import SCORES, Interval, drawn_scores, interval_of, intervals
from pipeline.evaluation.columns import class_indices, clusters_of

GROUPED_BY = ("gender", "language", "corpus")
LEAST_CLIPS, LEAST_CLUSTERS = 20, 3  # below either, a group is too small for the gap


@dataclass(frozen=True, kw_only=True)
class Group:
    """How a system did on the clips of one group.

    Attributes:
        name: What the column says.
        scores: With intervals, by the names of `pipeline.evaluation.bootstrap.scores_of`.
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
    """By how much one group's score is above another's.

    Attributes:
        best: The group whose score is highest.
        worst: The group whose score is lowest.
        difference: Best minus worst, with its interval.
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
        gaps: By score, over the groups that are not small; empty where fewer than two are left.
        num_untold: Clips of which the column says nothing; in no group.
    """

    column: str
    system: str
    groups: list[Group]
    gaps: dict[str, Gap]
    num_untold: int


def groupings_of(
    table: pd.DataFrame, classes: list[str], *, cluster: str, without: str = ""
) -> list[Grouping]:
    """Return every system on the groups of each column that tells several apart.

    Args:
        table: Predictions as `pipeline.evaluation.columns` describes them, one training seed a
            system, with those of `GROUPED_BY` that are known.
        classes: In index order.
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


def grouping(table: pd.DataFrame, classes: list[str], column: str, *, cluster: str) -> Grouping:
    """Return the one system of a table on the groups of a column."""
    told = table[table[column] != ""]
    names, of_group = np.unique(told[column].to_numpy(dtype="U"), return_inverse=True)
    clusters, of_cluster = np.unique(clusters_of(told, cluster), return_inverse=True)
    labels, predicted = (class_indices(told[c], classes) for c in ("label", "predicted"))
    num = len(classes)
    counts = np.zeros((len(names), len(clusters), num, num), dtype=np.int64)
    np.add.at(counts, (of_group, of_cluster, labels, predicted), 1)
    known = counts.sum((0, 1, 3)) > 0
    groups = [_group(str(n), counts[g], known, classes) for g, n in enumerate(names)]
    large = {group.name: counts[g] for g, group in enumerate(groups) if not group.is_small}
    return Grouping(
        column=column,
        system=str(table["system"].iloc[0]),
        groups=groups,
        gaps=_gaps(groups, large) if len(large) > 1 else {},
        num_untold=len(table) - len(told),
    )


def _group(name: str, counts: np.ndarray, known: np.ndarray, classes: list[str]) -> Group:
    """Return a group of confusion counts (G, C, C); clusters without a clip of it are left out."""
    own = counts[counts.sum((1, 2)) > 0]
    lacks = known & (own.sum((0, 2)) == 0)
    return Group(
        name=name,
        scores=intervals(own),
        num_clips=int(own.sum()),
        num_clusters=len(own),
        lacking=tuple(c for c, lack in zip(classes, lacks, strict=True) if lack),
    )


def _gaps(groups: list[Group], counts: dict[str, np.ndarray]) -> dict[str, Gap]:
    """Return the gap of each score between large groups, of counts (G, C, C) of all clusters."""
    gaps, drawn = {}, {}
    for score in SCORES:
        values = {g.name: g.scores[score].value for g in groups if g.name in counts}
        best, worst = (most(values, key=values.__getitem__) for most in (max, min))
        pair = np.stack([counts[best], counts[worst]])
        pair = pair[:, pair.sum((0, 2, 3)) > 0]
        if (best, worst) not in drawn:
            # One seed draws the same clusters for both.
            drawn[best, worst] = [drawn_scores(one[None]) for one in pair]
        first, second = drawn[best, worst]
        # In a draw without a clip of one there is no difference.
        both = np.isfinite(first["wa"]) & np.isfinite(second["wa"])
        differences = (first[score] - second[score])[both]
        gaps[score] = Gap(
            best=best,
            worst=worst,
            difference=interval_of(values[best] - values[worst], differences, pair.shape[1]),
        )
    return gaps
