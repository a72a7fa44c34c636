"""Encoders in workers: each has its own and gives back finished shards; the driver writes."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.audio.segments import segments
from pipeline.errors import EngineError
from pipeline.extraction.encoding import decode_for
from pipeline.extraction.settings import ViewSettings
from pipeline.extraction.shards import make_shards
from pipeline.extraction.views import OpenView, Piece, open_views
from pipeline.provenance import package_versions
from pipeline.store.format import Shard
from pipeline.store.recipe import Recipe, require_same_recipe


class Clips(NamedTuple):
    """What a worker is given: clips, and the views that each becomes a shard of."""

    requests: pd.DataFrame
    views: tuple[str, ...]


def clips_of(piece: Piece) -> Clips:
    """Return what a worker needs of a piece."""
    return Clips(piece.requests, tuple(view.name for view in piece.views))


@dataclass(frozen=True, kw_only=True)
class ShardMaker:
    """Opens encoders in a worker, and refuses to work where they are not the driver's.

    Attributes:
        settings: Of each view.
        recipes: Of each view, as the driver has it.
        versions: Of the driver's packages.
        folder: What relative paths start from.
        device: A torch device of the worker.
        workers: Threads that decode.
        batch_seconds: Audio per batch, padding included.
    """

    settings: tuple[ViewSettings, ...]
    recipes: Mapping[str, Recipe]
    versions: Mapping[str, str]
    folder: Path
    device: str
    workers: int
    batch_seconds: float

    @classmethod
    def of(
        cls, views: Sequence[OpenView], *, device: str, workers: int, batch_seconds: float
    ) -> "ShardMaker":
        """Return the maker of these views, as they are open here."""
        return cls(
            settings=tuple(view.settings for view in views),
            recipes={view.name: view.recipe for view in views},
            versions=package_versions(),
            folder=Path.cwd(),
            device=device,
            workers=workers,
            batch_seconds=batch_seconds,
        )

    def __call__(self) -> Callable[[Clips], list[Shard]]:
        """Open the encoders and return what makes shards with them.

        Raises:
            EngineError: If packages are of other versions than the driver's, or its folder is not
                there.
            FeatureStoreError: If a recipe is another one.
        """
        here = f"worker on {platform.node()}"
        for name, wanted in self.versions.items():
            if (found := package_versions()[name]) != wanted:
                raise EngineError(
                    f"{here}: found {name} {found}, the driver has {wanted}; install the same "
                    "everywhere, by one constraints.txt."
                )
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise EngineError(
                f"{here}: {self.folder} cannot be entered ({error.strerror}); run in a folder that "
                "all machines share."
            ) from error
        views = {view.name: view for view in open_views(self.settings, self.device)}
        for name, view in views.items():
            require_same_recipe(
                f"{here}: view {name!r}",
                view.recipe,
                self.recipes[name],
                "give all machines the same encoder and the same genser",
            )
        executor = ThreadPoolExecutor(self.workers)

        def shards_of(clips: Clips) -> list[Shard]:
            mine = [views[name] for name in clips.views]
            decode = partial(decode_for, mine[0].settings)
            places, names = segments(clips.requests), clips.requests["utterance_id"]
            decoded = list(executor.map(decode, places, repeat(mine[0].encoder), names))
            return make_shards(clips.requests, decoded, mine, self.batch_seconds)

        return shards_of
