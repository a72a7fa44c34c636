"""Adding to a feature store so that a kill at any moment loses at most the shards in flight.

Work is cut into shards by a plan that depends on the committed store and the manifest alone. A
finished shard is published at once, its digest in a small file beside it (`000012.sha256`); index
and `store.json` follow when the whole plan is done. The next run finds published shards that match
its plan and does only the rest, so its last byte is that of a run nobody disturbed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import fingerprint, publish_bytes, read_bytes, sha256_bytes, sha256_file
from pipeline.names import require_view_name
from pipeline.store.commit import commit
from pipeline.store.contents import (
    INDEX,
    Contents,
    Edition,
    fitted_name,
    outcomes_name,
    read_contents,
    recipe_name,
    shard_name,
    shards_in,
)
from pipeline.store.editions import (
    described,
    folder_of,
    over_bound,
    published,
    published_bytes,
    recipe_waiting,
    size_of,
    sweep,
)
from pipeline.store.format import Shard, read_shard_bytes, shard_bytes
from pipeline.store.index import index_bytes, merged, outcomes_bytes
from pipeline.store.reader import FeatureStore, View
from pipeline.store.recipe import Recipe, recipe_bytes, require_same_recipe


class ViewWriter:
    """The writing side of one edition of a view; only within `pipeline.store.turns.enter_turn`.

    Attributes:
        folder: The edition's folder below `views/`.
        records: The clips that are committed to it, as `View.records`.
        kept_line: After a commit, which editions are kept beside it and which were dropped, ""
            without any.

    Args:
        root: The store's folder.
        view: The view's name.
        recipe: What the features are made with.
        provenance: What is recorded beside, the `fit_ids` of a derived view among it.
        replace: Whether a view of another recipe is replaced: this one is made beside it and put
            in its place by the commit, and the other is kept. Without, it is refused.

    Raises:
        ParamsError: If the name cannot be a view's.
        FeatureStoreError: If the view was made with another recipe, or is damaged.
    """

    def __init__(
        self,
        root: Path,
        view: str,
        recipe: Recipe,
        provenance: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> None:
        require_view_name(root, view)
        self.root = root
        self.view = view
        self.recipe = recipe
        self.provenance = provenance
        self.replace = replace
        self.kept_line = ""
        self._load()

    def _load(self) -> None:
        self.contents = read_contents(self.root) or Contents()
        store = FeatureStore(self.root, self.contents)
        self.others = {n: store.view(n).records for n in store.views if n != self.view}
        self._current = store.view(self.view) if self.view in store.views else None
        if self._current is not None and not self.replace:
            self._require_recipe(self._current.recipe)
        mine = fingerprint(self.recipe)
        waiting = recipe_waiting(self.root, self.view, self.contents) if self.replace else None
        self.folder = folder_of(self.contents, self.view, mine, waiting)
        self._edition = Edition(folder=self.folder, fingerprint=mine)
        is_known = self._edition in self.contents.editions(self.view)
        self.records = View(store, self._edition).records if is_known else merged([])

    def _require_recipe(self, found: Recipe) -> None:
        cure = "give --replace to make it anew and keep this one beside, or write to another store"
        require_same_recipe(f"{self.root}: view {self.view!r}", found, self.recipe, cure)

    def refresh(self) -> bool:
        """Read the store again if another view was committed; return whether one was."""
        if (read_contents(self.root) or Contents()) == self.contents:
            return False
        self._load()
        return True

    def adopt_strays(self) -> None:
        """Commit the published shards of an earlier plan, so that nothing finished is lost.

        An edition that is to replace another one stays beside it until its own plan is done.
        """
        strays = [n for n in self.published() if self.read_published(n) is not None]
        is_current = self._current is None or self._current.edition == self._edition
        self._add(strays, keep=None, in_place=is_current, kept_bytes=None)

    @property
    def next_number(self) -> int:
        """The number of the first shard that a new plan may use."""
        return max([*self.contents.shard_numbers(self.folder), *self.refill], default=-1) + 1

    @property
    def refill(self) -> dict[int, list[str]]:
        """The numbers of shards that a repair dropped, and the clips they held."""
        names = shards_in(self.contents.refill, self.folder)
        return {number: self.contents.refill[name] for number, name in names.items()}

    def published(self) -> list[int]:
        """Return the numbers of shards on the disk that are whole and not committed yet."""
        return published(self.root, self.folder, self.contents)

    def read_published(self, number: int) -> Shard | None:
        """Return a published shard; None if there is none or it is damaged.

        Raises:
            FeatureStoreError: If a stopped run made it with another recipe.
        """
        data = published_bytes(self.root, self.folder, number)
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

    def publish_fitted(self, data: bytes) -> None:
        """Put on the disk what a derived view is computed with; the commit takes it in.

        Args:
            data: The content of `fitted.safetensors`, whose SHA-256 the recipe has.

        Raises:
            FeatureStoreError: If the recipe names another one.
            OutputError: If it cannot be written.
        """
        self._require_fitted(sha256_bytes(data))
        path = self.root / fitted_name(self.folder)
        # One that stands already is left alone, down to its time stamps.
        if not path.exists() or sha256_file(path) != sha256_bytes(data):
            publish_bytes(path, data)

    def commit(
        self, numbers: Sequence[int], keep: frozenset[str] | None, kept_bytes: float | None = None
    ) -> None:
        """Make published shards part of the store, and this edition the current one.

        Args:
            numbers: Shards to add, ascending; a clip in several is taken from the last.
            keep: The clips to keep, None for all; the others are forgotten, and a shard none of
                whose clips is left is deleted.
            kept_bytes: Disk that other editions of this view may take, None for any; beyond it
                half-made ones are deleted first, then those that were kept longest.

        Raises:
            FeatureStoreError: If a shard is not there or damaged.
            OutputError: If something cannot be written.
        """
        self._add(numbers, keep, in_place=True, kept_bytes=kept_bytes)

    def _add(
        self,
        numbers: Sequence[int],
        keep: frozenset[str] | None,
        *,
        in_place: bool,
        kept_bytes: float | None,
    ) -> None:
        frames = [self.records]
        digests = dict(self.contents.digests)
        for number in numbers:
            shard = self.read_published(number)
            if shard is None:
                raise FeatureStoreError(
                    f"{self._path(number)}: gone or changed since it was written; run again."
                )
            frames.append(shard.records(number))
            digest = read_bytes(self._path(number).with_suffix(".sha256")).decode()
            digests[shard_name(self.folder, number)] = digest
        records = merged(frames)
        if keep is not None:
            records = records[records["utterance_id"].isin(keep)].reset_index(drop=True)
        live = {shard_name(self.folder, int(n)) for n in records["shard"].unique()}
        for name in shards_in(digests, self.folder).values():
            if name not in live:
                del digests[name]
        mine = shards_in(self.contents.refill, self.folder).values()
        refill = {
            name: ids
            for name, ids in self.contents.refill.items()
            if name not in mine
            or (name not in digests and (keep is None or not keep.isdisjoint(ids)))
        }
        contents = replace(self.contents, digests=digests, refill=refill)
        self._commit(records, contents, in_place=in_place, kept_bytes=kept_bytes)

    def _commit(
        self, records: pd.DataFrame, contents: Contents, *, in_place: bool, kept_bytes: float | None
    ) -> None:
        folder, current = self.folder, self._current
        tables = {outcomes_name(folder): outcomes_bytes(records, self.view, is_current=in_place)}
        if recipe_name(folder) not in contents.digests:
            tables[recipe_name(folder)] = recipe_bytes(self.recipe, self.provenance)
        if not in_place:
            contents = contents.with_kept(self._edition)
        elif current is None or current.edition == self._edition:
            contents = contents.with_current(self._edition)
        else:
            contents = contents.with_current(self._edition).with_kept(current.edition)
            name = outcomes_name(current.edition.folder)
            tables[name] = outcomes_bytes(current.records, self.view, is_current=False)
        dropped: dict[str, int] = {}
        if kept_bytes is not None:
            over = over_bound(self.root, contents, self.view, kept_bytes)
            dropped = {name: size_of(self.root, name) for name in over}
            contents = contents.without(over)
            tables = {n: d for n, d in tables.items() if n.split("/")[1] not in over}
        digests = contents.digests | {n: sha256_bytes(data) for n, data in tables.items()}
        digests |= self._fitted()
        contents = replace(contents, digests=digests)
        views = dict(self.others)
        if in_place:
            views[self.view] = records
        elif current is not None:
            views[self.view] = current.records
        tables[INDEX] = index_bytes(views, contents)
        digests[INDEX] = sha256_bytes(tables[INDEX])
        # A store that already says this is left alone, down to its time stamps.
        if contents != self.contents:
            self.contents = commit(self.root, contents, tables)
        sweep(self.root, self.contents, folder, list(dropped))
        kept = {e.folder: size_of(self.root, e.folder) for e in self.contents.editions(self.view)}
        kept.pop(folder, None)
        self.kept_line = described(kept, dropped)
        if in_place:
            self._current = View(FeatureStore(self.root, self.contents), self._edition)
        self.records = records

    def _fitted(self) -> dict[str, str]:
        """Return the digest of the fitted file, by its name, where the recipe has one."""
        if "fitted" not in self.recipe:
            return {}
        name = fitted_name(self.folder)
        try:
            digest = sha256_file(self.root / name)
        except FileNotFoundError:
            digest = "nothing"
        self._require_fitted(digest)
        return {name: digest}

    def _require_fitted(self, found: str) -> None:
        wanted = self.recipe.get("fitted", "nothing")
        if found != wanted:
            raise FeatureStoreError(
                f"{self.root / fitted_name(self.folder)}: found digest {found[:12]}, the recipe "
                f"says {wanted[:12]}; fit it again."
            )

    def _path(self, number: int) -> Path:
        return self.root / shard_name(self.folder, number)
