"""Many systems on the same clips, all under the same draws of speakers.

Whatever is said of two or three of them (a difference, a relative loss, a share of a gap) is
computed within each draw, so its interval is that of a paired comparison.
"""

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.bootstrap import SCORES, Interval, drawn_scores, interval_of, scores_of
from pipeline.evaluation.columns import class_order
from pipeline.evaluation.standings import seed_counts


class Paired:
    """The scores of the systems of a table, of all clips and of every draw of clusters.

    Attributes:
        systems: Their names, in the order of the table.
        num_clusters: Clusters that are resampled.
    """

    def __init__(self, table: pd.DataFrame, *, cluster: str) -> None:
        """Draw for every system.

        Args:
            table: Predictions, as `pipeline.evaluation.columns` has them.
            cluster: What is resampled.

        Raises:
            PredictionsError: If systems or seeds were not scored on the same clips.
        """
        classes = class_order(table)
        self.systems: list[str] = list(dict.fromkeys(table["system"]))
        self._values: dict[str, dict[str, float]] = {}
        self._drawn: dict[str, dict[str, np.ndarray]] = {}
        first: list[str] | None = None
        for name in self.systems:
            counts, runs = seed_counts(table[table["system"] == name], classes, cluster)
            ids = runs[0]["utterance_id"].tolist()
            if first is not None and ids != first:
                raise PredictionsError(
                    f"{name}: was scored on other clips than {self.systems[0]} ({len(ids)} against "
                    f"{len(first)}), wanted the same; run 'genser crossval' with all of them."
                )
            first = ids
            self.num_clusters = counts.shape[1]
            values, drawn = scores_of(counts.sum(1)), drawn_scores(counts)
            self._values[name] = {score: float(values[score].mean()) for score in SCORES}
            self._drawn[name] = {score: drawn[score] for score in SCORES}

    def score(self, system: str, score: str) -> Interval:
        """Return a score of a system, one of `pipeline.evaluation.bootstrap.SCORES`."""
        return self._interval(self._values[system][score], self._drawn[system][score])

    def difference(self, first: str, second: str, score: str) -> Interval:
        """Return the score of the first system minus that of the second."""
        drawn = self._drawn[first][score] - self._drawn[second][score]
        return self._interval(self._values[first][score] - self._values[second][score], drawn)

    def relative_drop(self, whole: str, less: str, score: str) -> Interval | None:
        """Return how much of a system's score another one loses, in percent.

            100 (whole - less) / whole

        None where the whole is 0.
        """
        if self._values[whole][score] == 0:
            return None
        value = _drop(self._values[whole][score], self._values[less][score])
        drawn = _drop(self._drawn[whole][score], self._drawn[less][score])
        return self._interval(float(value), drawn)

    def share_closed(self, system: str, low: str, high: str, score: str) -> Interval | None:
        """Return how much of the gap between two others a system closes: 0 none, 1 all of it.

            (system - low) / (high - low)

        None where the gap is not above 0. Where its interval reaches 0 the share may be anything,
        so its ends are NaN.
        """
        gap = self.difference(high, low, score)
        if gap.value <= 0:
            return None
        value = (self._values[system][score] - self._values[low][score]) / gap.value
        if gap.low <= 0:
            nan = float("nan")
            return Interval(value=value, low=nan, high=nan, num_clusters=self.num_clusters)
        gained = self._drawn[system][score] - self._drawn[low][score]
        gaps = self._drawn[high][score] - self._drawn[low][score]
        return self._interval(value, gained / np.where(gaps > 0, gaps, np.nan))

    def _interval(self, value: float, drawn: np.ndarray) -> Interval:
        return interval_of(value, drawn, self.num_clusters)


def _drop(whole: float | np.ndarray, less: float | np.ndarray) -> np.ndarray:
    base = np.where(np.asarray(whole) > 0, whole, np.nan)
    found: np.ndarray = 100 * (base - less) / base
    return found
