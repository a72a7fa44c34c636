"""A source that reads the frames of a pool of shards while the pool before is in use."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.sources.source import Frames, Pool, StoredSource


class Streamed(StoredSource):
    """Frames stay in the store; two pools are in memory, the one in use and the next."""

    def _prepare(self) -> None:
        # A head reads one ragged view as a rule; of several the first one's shards count.
        self.shards = self.features.shards(self.rows, self._ragged[0].view)

    def _pools(self, plan: Iterable[Pool]) -> Iterator[tuple[Pool, Frames]]:
        pools = iter(plan)
        with ThreadPoolExecutor(1, thread_name_prefix="frames") as reader:
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
            need.name: dict(
                zip(
                    positions.tolist(),
                    self.features.read_frames(self.rows[positions], need.view, need.layers),
                    strict=True,
                )
            )
            for need in self._ragged
        }
