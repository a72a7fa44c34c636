"""A source whose clips all lie in memory."""

from collections.abc import Iterable, Iterator

from pipeline.sources.source import Frames, Pool, StoredSource


class InMemory(StoredSource):
    """Everything is read once; a plan's pools cost nothing."""

    def _prepare(self) -> None:
        self._frames = {
            need.name: dict(enumerate(self.features.ragged(self.rows, need.view, need.layers)))
            for need in self._ragged
        }

    def _pools(self, plan: Iterable[Pool]) -> Iterator[tuple[Pool, Frames]]:
        for pool in plan:
            yield pool, self._frames
