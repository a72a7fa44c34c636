"""Sources that read what a pool needs while the pool before is in use."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.heads.needs import Need
from pipeline.sources.source import Frames, Pool, StoredSource


class ReadAhead(StoredSource):
    """Two pools are in memory, the one in use and the next."""

    def _prepare(self) -> None:
        """Nothing: pools are read as they come."""

    def _pools(self, plan: Iterable[Pool]) -> Iterator[tuple[Pool, Frames]]:
        pools = iter(plan)
        with ThreadPoolExecutor(1, thread_name_prefix="features") as reader:
            current = next(pools, None)
            coming = None if current is None else reader.submit(self._read, current)
            while current is not None and coming is not None:
                frames = coming.result()
                following = next(pools, None)
                coming = None if following is None else reader.submit(self._read, following)
                yield current, frames
                current = following

    def _read(self, pool: Pool) -> Frames:
        positions = np.unique(np.concatenate(pool))
        return {
            need.name: dict(zip(positions.tolist(), self._of_need(positions, need), strict=True))
            for need in self._in_pools
        }

    @property
    def _in_pools(self) -> Iterable[Need]:
        return self._ragged

    def _of_need(self, positions: np.ndarray, need: Need) -> Iterable[np.ndarray]:
        return self.features.read_frames(self.rows[positions], need.view, need.layers)


class Streamed(ReadAhead):
    """Frames stay in the store, and a pool is of whole shards."""

    def _prepare(self) -> None:
        # A head reads one ragged view as a rule; of several the first one's shards count.
        self.shards = self.features.shards(self.rows, self._ragged[0].view)


class Drawn(ReadAhead):
    """Layers stay in the store, and a pool is the clips of a batch, wherever they lie.

    Its batches are those of layers in memory, to the bit.
    """

    holds_layers = False

    @property
    def _in_pools(self) -> Iterable[Need]:
        return self.needs

    def _of_need(self, positions: np.ndarray, need: Need) -> Iterable[np.ndarray]:
        return self._read_layers(positions, need)
