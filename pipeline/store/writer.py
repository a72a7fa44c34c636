"""Adding to a feature store so that a kill at any moment loses at most the shards in flight.

Work is cut into shards by a plan that depends on the committed store and the manifest alone. A
finished shard is published at once, its digest in a small file beside it (`000012.sha256`); index
and `store.json` follow when the whole plan is done. The next run finds published shards that match
its plan and does only the rest, so its last byte is that of a run nobody disturbed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import fingerprint, publish_bytes, sha256_bytes, writing
from pipeline.parquet import table_bytes
from pipeline.store.commit import (
    INDEX,
    Catalogue,
    commit,
    index_bytes,
    outcomes_name,
    outcomes_of,
    read_catalogue,
    recipe_name,
    shard_name,
    shards_in,
)
from pipeline.store.format import Shard, read_shard_bytes, shard_bytes
from pipeline.store.reader import FeatureStore
from pipeline.store.recipe import Recipe, require_same_recipe
from pipeline.store.views import CLIP_COLUMNS


class ViewWriter:
    """The writing side of one view; only within `pipeline.store.turns.enter_turn`.

    Raises:
        FeatureStoreError: If the view was made with another recipe, or is damaged.
    """

    def __init__(
        self, root: Path, view: str, recipe: Recipe, provenance: Mapping[str, Any]
    ) -> None:
        self.root = root
        self.view = view
        self.recipe = recipe
        self.provenance = provenance
        self._load()

    def _load(self) -> None:
        self.catalogue = read_catalogue(self.root) or Catalogue()
        self.others: dict[str, pd.DataFrame] = {}
        self.records = merged([])
        if not self.catalogue.fingerprints:
            return
        store = FeatureStore(self.root, self.catalogue)
        for name in store.views:
            opened = store.view(name)
            if name == self.view:
                self._require_recipe(opened.recipe)
                self.records = opened.records
            else:
                self.others[name] = opened.records

    def _require_recipe(self, found: Recipe) -> None:
        cure = "write to another --store, or remove this one to make it anew"
        require_same_recipe(f"{self.root}: view {self.view!r}", found, self.recipe, cure)

    def refresh(self) -> bool:
        """Read the store again if another job has committed; return whether one had."""
        if (read_catalogue(self.root) or Catalogue()) == self.catalogue:
            return False
        self._load()
        return True

    def adopt_strays(self) -> None:
        """Commit the published shards of an earlier plan, so that nothing finished is lost."""
        strays = [n for n in self.published() if self.read_published(n) is not None]
        self.commit(strays, keep=None)

    @property
    def next_number(self) -> int:
        """The number of the first shard that a new plan may use."""
        return max([*self.catalogue.shard_numbers(self.view), *self.refill], default=-1) + 1

    @property
    def refill(self) -> dict[int, list[str]]:
        """The numbers of shards that a repair dropped, and the clips they held."""
        names = shards_in(self.catalogue.refill, self.view)
        return {number: self.catalogue.refill[name] for number, name in names.items()}

    def published(self) -> list[int]:
        """Return the numbers of shards on the disk that are whole and not committed yet."""
        committed = set(self.catalogue.shard_numbers(self.view))
        found = {int(p.stem) for p in self._folder.glob("*.h5") if p.stem.isdecimal()} - committed
        return sorted(number for number in found if self._published_bytes(number) is not None)

    def read_published(self, number: int) -> Shard | None:
        """Return a published shard; None if there is none or it is damaged.

        Raises:
            FeatureStoreError: If a stopped run made it with another recipe.
        """
        data = self._published_bytes(number)
        if data is None:
            return None
        shard = read_shard_bytes(data, self._path(number))
        self._require_recipe(shard.recipe)
        return shard

    def publish(self, number: int, shard: Shard) -> None:
        """Put a finished shard on the disk; from here on it is not lost.

        Raises:
            OutputError: If it cannot be written.
        """
        data = shard_bytes(shard)
        # The digest goes first: a shard without one is not finished.
        publish_bytes(self._path(number).with_suffix(".sha256"), sha256_bytes(data).encode())
        publish_bytes(self._path(number), data)

    def commit(self, numbers: Sequence[int], keep: frozenset[str] | None) -> None:
        """Make published shards part of the store.

        Args:
            numbers: Shards to add, ascending; a clip in several is taken from the last.
            keep: The clips to keep, None for all; the others are forgotten, and a shard none of
                whose clips is left is deleted.

        Raises:
            FeatureStoreError: If a shard is not there or damaged.
            OutputError: If something cannot be written.
        """
        frames = [self.records]
        digests = dict(self.catalogue.digests)
        for number in numbers:
            shard = self.read_published(number)
            if shard is None:
                raise FeatureStoreError(
                    f"{self._path(number)}: gone or changed since it was written; run again."
                )
            frames.append(shard.clips.assign(shard=number))
            digest = self._path(number).with_suffix(".sha256").read_text()
            digests[shard_name(self.view, number)] = digest
        records = merged(frames)
        if keep is not None:
            records = records[records["utterance_id"].isin(keep)].reset_index(drop=True)
        refill = {
            name: ids
            for name, ids in self.catalogue.refill.items()
            if name not in digests and (keep is None or not keep.isdisjoint(ids))
        }
        self._commit_records(records, digests, refill)

    def _commit_records(
        self, records: pd.DataFrame, digests: dict[str, str], refill: dict[str, list[str]]
    ) -> None:
        live = {shard_name(self.view, int(n)) for n in records["shard"].unique()}
        for name in shards_in(digests, self.view).values():
            if name not in live:
                del digests[name]
        tables = {outcomes_name(self.view): table_bytes(outcomes_of(records, self.view))}
        if self.view not in self.catalogue.fingerprints:
            tables[recipe_name(self.view)] = recipe_bytes(self.recipe, self.provenance)
        digests |= {name: sha256_bytes(data) for name, data in tables.items()}
        tables[INDEX] = index_bytes({**self.others, self.view: records}, digests)
        digests[INDEX] = sha256_bytes(tables[INDEX])
        catalogue = Catalogue(
            digests=digests,
            fingerprints={**self.catalogue.fingerprints, self.view: fingerprint(self.recipe)},
            refill=refill,
        )
        # A store that already says this is left alone, down to its time stamps.
        if catalogue != self.catalogue:
            self.catalogue = commit(self.root, catalogue, tables)
        self.records = records
        self._sweep()

    def _sweep(self) -> None:
        """Delete what is no part of the view now, of this commit and of a killed one."""
        with writing(self._folder):
            for path in [*self._folder.glob("*.h5"), *self._folder.glob("*.sha256")]:
                if path.relative_to(self.root).as_posix() not in self.catalogue.digests:
                    path.unlink()

    @property
    def _folder(self) -> Path:
        return self.root / f"views/{self.view}/shards"

    def _path(self, number: int) -> Path:
        return self.root / shard_name(self.view, number)

    def _published_bytes(self, number: int) -> bytes | None:
        path = self._path(number)
        try:
            wanted = path.with_suffix(".sha256").read_text()
            data = path.read_bytes()
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return data if sha256_bytes(data) == wanted else None


def recipe_bytes(recipe: Recipe, provenance: Mapping[str, Any]) -> bytes:
    """Return the content of a view's `recipe.json`."""
    value = {"fingerprint": fingerprint(recipe), "recipe": recipe, "provenance": provenance}
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def merged(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the records of several tables, by utterance_id; the last one of a clip counts."""
    some = [frame for frame in frames if len(frame)]
    if not some:
        kinds: dict[Any, Any] = {**CLIP_COLUMNS, "shard": "int64"}
        return pd.DataFrame({c: pd.Series(dtype=k) for c, k in kinds.items()})
    records = pd.concat(some, ignore_index=True).drop_duplicates("utterance_id", keep="last")
    return records.sort_values("utterance_id", ignore_index=True)
