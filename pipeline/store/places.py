"""Where the features of clips lie, as a view's table says, by utterance id."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.store.views import NUM_FRAMES, PLACED

_UNKNOWN = {"num_frames": 0, "features_start": -1, "features_digest": ""}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Clips of one shard, in the order in which they lie there.

    Attributes:
        shard: Its number.
        places: Where they stand among the clips that are asked for, shape (N,).
        rows: Their rows in the shard, shape (N,).
        starts: The byte of the shard's file where each one's features begin, shape (N,).
        digests: SHA-256 of those; "" where the table does not tell.
        num_frames: How many frames each one has, shape (N,); zeros where the view is dense.
    """

    shard: int
    places: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    digests: Sequence[str]
    num_frames: np.ndarray

    @property
    def are_told(self) -> bool:
        """Whether the table says where all of them begin, and what their digests are."""
        return all(self.digests)

    def runs(self, most: int) -> Iterator[slice]:
        """Yield parts of at most so many clips that are neighbours, in the shard and as asked."""
        breaks = (np.diff(self.rows) != 1) | (np.diff(self.places) != 1)
        bounds = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(self.rows)]
        for first, end in itertools.pairwise(bounds):
            for start in range(first, end, most):
                yield slice(start, min(start + most, end))


class Places:
    """The clips of a view, by utterance id.

    Args:
        records: The view's.
        where: The store's folder, for messages.
    """

    def __init__(self, records: pd.DataFrame, where: object) -> None:
        self._where = where
        self._keyed = records.set_index("utterance_id")
        told = [name for name in {**NUM_FRAMES, **PLACED} if name in records]
        self._lying = self._keyed[["shard", "row", *told]]

    def lookup(self, utterance_ids: Sequence[str]) -> pd.DataFrame:
        """Return shard, row, outcome and message of each id; all missing where it is unknown."""
        return self._keyed[["shard", "row", "outcome", "message"]].reindex(list(utterance_ids))

    def num_frames(self, utterance_ids: Sequence[str]) -> np.ndarray:
        """Return how many frames each clip has, int64, shape (N,).

        Raises:
            FeatureStoreError: If an id has no features.
        """
        return self._located(utterance_ids)["num_frames"].to_numpy(dtype=np.int64)

    def by_shard(self, utterance_ids: Sequence[str]) -> Iterator[Rows]:
        """Yield where clips lie, shard by shard.

        Raises:
            FeatureStoreError: If an id has no features.
        """
        located = self._located(utterance_ids)
        columns = {name: located[name].to_numpy() for name in located}
        for name, value in _UNKNOWN.items():
            columns.setdefault(name, np.full(len(located), value))
        order = np.lexsort((columns["row"], columns["shard"]))
        breaks = np.flatnonzero(np.diff(columns["shard"][order])) + 1
        for places in np.split(order, breaks) if len(order) else []:
            mine = {name: values[places] for name, values in columns.items()}
            yield Rows(
                shard=int(mine["shard"][0]),
                places=places,
                rows=mine["row"],
                starts=mine["features_start"],
                digests=mine["features_digest"].tolist(),
                num_frames=mine["num_frames"],
            )

    def _located(self, utterance_ids: Sequence[str]) -> pd.DataFrame:
        """Return where clips lie, in the order asked, all of which have features."""
        places = self._lying.reindex(list(utterance_ids))
        absent = ~(places["row"] >= 0).to_numpy()
        if absent.any():
            first = utterance_ids[int(np.argmax(absent))]
            outcome = self.lookup([first])["outcome"].iloc[0]
            what = "was never extracted" if pd.isna(outcome) else f"has outcome {outcome!r}"
            raise FeatureStoreError(
                f"{self._where}: {int(absent.sum())} of {len(places)} clips have no features; the "
                f"first, {first!r}, {what}; leave them out or extract them."
            )
        return places
