"""Clips that pass by once, a few shards of them in memory at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.heads.batch import Batch
from pipeline.heads.needs import Need
from pipeline.heads.standardiser import Standardiser
from pipeline.sources.in_memory import InMemory
from pipeline.sources.source import Pool, Source, cut


class Passing(Source):
    """Rows of a manifest with dense features, to be gone through once.

    Memory holds the pool in use and the next one, which is read meanwhile, however many rows there
    are; each shard is read once.
    """

    def __init__(
        self, features: StoredFeatures, rows: np.ndarray, needs: Sequence[Need], *, device: str
    ) -> None:
        self.num_clips = len(rows)
        self.lengths = np.zeros(len(rows), np.int64)
        self.shards = features.shards(rows, needs[0].view)
        self.is_mixable = True
        self._features = features
        self._rows = rows
        self._needs = needs
        self._device = device
        self._standardisers: Mapping[str, Standardiser] = {}
        self._groups: dict[str, np.ndarray] = {}

    def use(self, standardisers: Mapping[str, Standardiser]) -> None:
        """Standardise every batch from here on; those of groups must know the clips' groups."""
        self._standardisers = standardisers
        grouped = {one.over for one in standardisers.values() if one.is_grouped}
        self._groups = {over: self._features.groups(over)[self._rows] for over in grouped}

    def scan(self, at_once: int) -> list[Pool]:
        """Return the plan that goes through all clips once, whole shards in a pool."""
        order = np.argsort(self.shards, kind="stable")
        shards = np.split(order, np.flatnonzero(np.diff(self.shards[order])) + 1)
        pools: list[list[np.ndarray]] = []
        for shard in shards:
            if not pools or sum(map(len, pools[-1])) + len(shard) > at_once:
                pools.append([])
            pools[-1].append(shard)
        return [cut(np.concatenate(pool), at_once) for pool in pools]

    def batches(self, plan: Iterable[Pool]) -> Iterator[Batch]:
        """Yield the batches of a plan, one pool after another, without targets.

        Raises:
            FeatureStoreError: If a file is damaged.
        """
        pools = iter(plan)
        with ThreadPoolExecutor(1, thread_name_prefix="features") as reader:
            coming = reader.submit(self._opened, next(pools, []))
            for following in [*pools, None]:
                source, local = coming.result()
                if following is not None:
                    coming = reader.submit(self._opened, following)
                yield from source.batches([local])

    def _opened(self, pool: Pool) -> tuple[InMemory, Pool]:
        """Return the clips of a pool in memory, and the pool by their positions there."""
        positions = np.concatenate(pool)
        source = InMemory(
            self._features, self._rows[positions], self._needs, (), device=self._device
        )
        mine = {over: groups[positions] for over, groups in self._groups.items()}
        source.use(self._standardisers, mine)
        ends = np.cumsum([len(part) for part in pool])
        return source, np.split(np.arange(len(positions)), ends[:-1])
