"""A source whose clips all lie in memory."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.heads.needs import Need
from pipeline.sources.source import Frames, Pool, Source


class InMemory(Source):
    """Everything is read once; a plan's pools cost nothing."""

    def __init__(
        self,
        features: StoredFeatures,
        rows: np.ndarray,
        needs: Sequence[Need],
        columns: Sequence[str],
        *,
        device: str,
    ) -> None:
        super().__init__(features, rows, needs, columns, device=device)
        self._frames = {
            need.name: dict(enumerate(features.read_frames(rows, need.view, need.layers)))
            for need in self._ragged
        }

    def _pools(self, plan: Iterable[Pool]) -> Iterator[tuple[Pool, Frames]]:
        for pool in plan:
            yield pool, self._frames
