"""Systems that predict numbers, side by side: scores with intervals, and paired differences.

The counterpart of `pipeline.evaluation.standings` for tables whose labels are numbers.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import Difference, Interval, ends, interval_of
from pipeline.evaluation.columns import clusters_of
from pipeline.evaluation.concordance import (
    CCC,
    NUMBER_SCORES,
    RMSE,
    cluster_sums,
    drawn_numbers,
    measure_numbers,
    number_intervals,
    number_scores,
)
from pipeline.evaluation.side_by_side import SideBySide, common_rows, seed_runs, side_by_side


@dataclass(frozen=True, kw_only=True)
class NumberStanding:
    """How one system did, pooled over folds and averaged over training seeds.

    Attributes:
        system: Its name.
        corpus: The corpus it is of; "" for all.
        scores: With intervals, by the names of `NUMBER_SCORES`.
        fold_ccc: Mean and standard deviation of CCC over folds and seeds; None for one fold.
        seed_sd: Standard deviation of the pooled CCC over seeds, NaN for one seed.
        label_sd: Standard deviation of the labels: the RMSE of always saying their mean.
        num_clips: Clips.
        num_seeds: Training seeds.
    """

    system: str
    corpus: str
    scores: dict[str, Interval]
    fold_ccc: tuple[float, float] | None
    seed_sd: float
    label_sd: float
    num_clips: int
    num_seeds: int

    def row(self) -> dict[str, object]:
        """Return it as one row of a table of numbers."""
        scores: dict[str, float] = {}
        for name in NUMBER_SCORES:
            scores |= ends(name, self.scores[name])
        if self.fold_ccc is not None:
            scores |= {"ccc_fold_mean": self.fold_ccc[0], "ccc_fold_sd": self.fold_ccc[1]}
        return {
            "system": self.system,
            "corpus": self.corpus,
            **scores,
            "ccc_seed_sd": self.seed_sd,
            "label_sd": self.label_sd,
            "clips": self.num_clips,
            "clusters": self.scores[CCC].num_clusters,
            "seeds": self.num_seeds,
        }


@dataclass(frozen=True, kw_only=True)
class NumberComparison(Difference):
    """Two systems on the same clips, by CCC; see `Difference`.

    Attributes:
        rmse: The difference of RMSE, below 0 where the first errs less.
    """

    rmse: Interval


@dataclass(frozen=True, kw_only=True)
class NumberStandings(SideBySide[NumberStanding, NumberComparison]):
    """How all systems of a table did that say numbers."""

    def table(self) -> pd.DataFrame:
        """Return a row for each standing, those of the corpora last."""
        return pd.DataFrame([one.row() for one in (*self.overall, *self.by_corpus)])

    def comparisons_table(self) -> pd.DataFrame:
        """Return a row for each comparison."""
        return pd.DataFrame(
            [
                {
                    "first": self.first.system,
                    "second": other,
                    **ends("ccc_difference", one.difference),
                    **ends("rmse_difference", one.rmse),
                    "margin": one.margin,
                    "verdict": one.verdict,
                    "clusters": one.difference.num_clusters,
                }
                for other, one in self.comparisons.items()
            ]
        )


def number_standings_of(table: pd.DataFrame, *, cluster: str, margin: float) -> NumberStandings:
    """Return how every system of a table of numbers did, in the order of the table.

    Args:
        table: Predictions of one or more systems, as `pipeline.evaluation.columns` has them.
        cluster: What intervals resample, one of `pipeline.evaluation.columns.CLUSTERS`.
        margin: How much less CCC still counts as not inferior.

    Raises:
        PredictionsError: If a system's seeds were not scored on the same clips, or two systems have
            no clip in common or other labels.
    """
    found = side_by_side(
        table,
        lambda part: number_standing(part, cluster=cluster),
        lambda first, other: number_comparison(table, first, other, cluster=cluster, margin=margin),
    )
    return NumberStandings(**vars(found))


def number_standing(table: pd.DataFrame, *, cluster: str) -> NumberStanding:
    """Return how the one system of a table of numbers did.

    Raises:
        PredictionsError: If its seeds were not scored on the same clips.
    """
    sums, runs = _seed_sums(table, cluster)
    pooled = number_scores(sums.sum(1))
    fold_ccc = None
    if table["fold"].nunique() > 1:
        of_folds = [
            measure_numbers(part["label"].to_numpy(), part["predicted"].to_numpy())[CCC]
            for _, part in table.groupby(["fold", "seed"])
        ]
        fold_ccc = (float(np.mean(of_folds)), float(np.std(of_folds, ddof=1)))
    return NumberStanding(
        system=str(table["system"].iloc[0]),
        corpus="",
        scores=number_intervals(sums),
        fold_ccc=fold_ccc,
        seed_sd=float(np.std(pooled[CCC], ddof=1)) if len(runs) > 1 else float("nan"),
        label_sd=float(np.std(runs[0]["label"].to_numpy())),
        num_clips=len(runs[0]),
        num_seeds=len(runs),
    )


def number_comparison(
    table: pd.DataFrame, first: str, second: str, *, cluster: str, margin: float
) -> NumberComparison:
    """Compare two systems on the clips that both have, under the same draws of clusters.

    Raises:
        PredictionsError: As `common_rows`.
    """
    sums = [_seed_sums(rows, cluster)[0] for rows in common_rows(table, first, second)]
    values = [number_scores(one.sum(1)) for one in sums]
    drawn = [drawn_numbers(one) for one in sums]
    found = {
        name: interval_of(
            float(values[0][name].mean() - values[1][name].mean()),
            drawn[0][name] - drawn[1][name],
            sums[0].shape[1],
        )
        for name in (CCC, RMSE)
    }
    return NumberComparison(difference=found[CCC], margin=margin, rmse=found[RMSE])


def _seed_sums(table: pd.DataFrame, cluster: str) -> tuple[np.ndarray, list[pd.DataFrame]]:
    """Return the sums of each seed and cluster of one system, (S, G, 6), and each seed's rows."""
    runs = seed_runs(table)
    sums = [
        cluster_sums(
            run["label"].to_numpy(), run["predicted"].to_numpy(), clusters_of(run, cluster).tolist()
        )
        for run in runs
    ]
    return np.stack(sums), runs
