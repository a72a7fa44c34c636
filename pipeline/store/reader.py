"""Reading a feature store: open it, choose a view, get arrays by utterance id.

    store = FeatureStore.open(Path("features/demo"))
    layers = store.view("layers")
    array = layers.read(["f01_angry_01", "m02_sad_03"])   # (2, L, D)

Every file is held to its digest before HDF5 or Arrow sees it, and the features of a clip to their
own, so damage is an error and never a wrong number.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import fingerprint, sha256_bytes
from pipeline.store.contents import (
    INDEX,
    Contents,
    Edition,
    checked_bytes,
    fitted_name,
    outcomes_name,
    read_contents,
    recipe_name,
    shard_name,
)
from pipeline.store.format import OpenShard, Shard, open_shard
from pipeline.store.index import split_index, stands_alone, stored_table
from pipeline.store.places import Places, Rows
from pipeline.store.recipe import Recipe, read_recipe, require_parent
from pipeline.store.rows import OpenRows, open_rows
from pipeline.store.views import CODES, FRAMES, LAYERS


class View:
    """One kind of features of a store, made by one recipe.

    Attributes:
        root: The store's folder.
        name: The view's name, e.g. `"layers"`.
        edition: Which edition of the view it is.
    """

    def __init__(self, store: "FeatureStore", edition: Edition) -> None:
        self.root = store.root
        self.name = edition.view
        self.edition = edition
        self._store = store
        self._form: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        name = recipe_name(edition.folder)
        told = read_recipe(self._bytes(name), self.root / name)
        self.recipe: Recipe = told.recipe
        self.provenance = told.provenance

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row per clip: `pipeline.store.views.CLIP_COLUMNS` and its shard.

        A ragged view's have `num_frames` beside, and all but those of before `PLACED`.

        Raises:
            FeatureStoreError: If a table is damaged.
        """
        name = outcomes_name(self.edition.folder)
        outcomes = stored_table(self.root, name, self._store.contents)
        if stands_alone(outcomes):
            return outcomes
        return split_index(self._store.index, outcomes, self.name)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical recipe."""
        return fingerprint(self.recipe)

    @cached_property
    def _places(self) -> Places:
        return Places(self.records, self.root)

    def lookup(self, utterance_ids: Sequence[str]) -> pd.DataFrame:
        """Return shard, row, outcome and message of each id; all missing where it is unknown."""
        return self._places.lookup(utterance_ids)

    def shard(self, number: int) -> Shard:
        """Read one shard whole.

        Raises:
            FeatureStoreError: If it is damaged or was made with another recipe.
        """
        with self._open(number) as shard:
            return shard.whole()

    @property
    def is_ragged(self) -> bool:
        """Whether a clip's features are frames, of another number for each clip."""
        return "num_frames" in self.records

    @property
    def kind(self) -> str:
        """`"layers"`, one stack of vectors per clip; ragged `"frames"`; or their `"codes"`."""
        if not self.is_ragged:
            return LAYERS
        return CODES if self.recipe.get("view") == CODES else FRAMES

    def fitted_bytes(self) -> bytes:
        """Return the content of `fitted.safetensors`, what a view is computed with.

        Raises:
            FeatureStoreError: If the view has none, or it is damaged.
        """
        name = fitted_name(self.edition.folder)
        if name not in self._store.contents.digests:
            raise FeatureStoreError(
                f"{self.root}: view {self.name!r} has nothing that was fitted, wanted a view of "
                "codes; name another view."
            )
        return self._bytes(name)

    @cached_property
    def digest(self) -> str:
        """One digest of what the view holds: recipe, outcomes, shards; reads none of them."""
        return fingerprint([self.fingerprint, self._store.contents.files_of(self.edition.folder)])

    def digest_of(self, utterance_ids: Sequence[str]) -> str:
        """Return one digest of the features of clips: of their shards, and of where they lie there.

        It reads no shard, and stays when the store gains other clips.
        """
        places = self.lookup(utterance_ids)
        lie = places[["shard", "row"]].fillna(-1).to_numpy(dtype=np.int64)
        files = self._store.contents.files_of(self.edition.folder)
        shards = {str(n): files[f"shards/{n:06d}.h5"] for n in np.unique(lie[:, 0]) if n >= 0}
        where = sha256_bytes(np.ascontiguousarray(lie).data)
        return fingerprint([self.fingerprint, shards, where])

    @property
    def fit_ids(self) -> frozenset[str]:
        """The ids of the clips that a derived view was fitted on; none where nothing was."""
        return frozenset(self.provenance.get("fit_ids", []))

    @cached_property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape (L, D) of a clip, (R, D) of a frame, or (R,) of its codes; opens one shard.

        Raises:
            FeatureStoreError: If no clip has features, or the shard is damaged.
        """
        usable = self.records[self.records["row"] >= 0]
        if usable.empty:
            raise FeatureStoreError(
                f"{self.root}: no clip of view {self.name!r} has features; 'genser inspect' says "
                "why."
            )
        with self._open(int(usable["shard"].iloc[0])) as shard:
            return shard.shape

    def num_frames(self, utterance_ids: Sequence[str]) -> np.ndarray:
        """Return how many frames each clip of a ragged view has, shape (N,); opens no shard.

        Raises:
            FeatureStoreError: If the view is dense, or an id has no features.
        """
        self._require_readable(ragged=True)
        return self._places.num_frames(utterance_ids)

    def read(self, utterance_ids: Sequence[str], layers: Sequence[int] | None = None) -> np.ndarray:
        """Return the features of clips, in the order asked, shape (N, L, D).

        Memory is the result; beside it one shard, where clips are not read alone.

        Args:
            utterance_ids: The clips.
            layers: Positions along L to keep, in this order; None keeps all.

        Raises:
            FeatureStoreError: If the view is ragged, an id has no features, or a shard is damaged.
        """
        self._require_readable(ragged=False)
        result: np.ndarray | None = None
        for wanted in self._places.by_shard(utterance_ids):
            with self._clips(wanted) as clips:
                if result is None:
                    num = clips.shape[0] if layers is None else len(layers)
                    result = np.empty((len(utterance_ids), num, *clips.shape[1:]), clips.dtype)
                clips.read_into(result, wanted, layers)
        return np.empty((0, 0, 0), np.float32) if result is None else result

    def read_ragged(
        self, utterance_ids: Sequence[str], layers: Sequence[int] | None = None
    ) -> list[np.ndarray]:
        """Return the frames of clips, in the order asked, each of shape (T, R, D), or codes (T, R).

        Args:
            utterance_ids: The clips.
            layers: As of `read`, along R.

        Raises:
            FeatureStoreError: If the view is dense, an id has no features, or a shard is damaged.
        """
        self._require_readable(ragged=True)
        result: list[np.ndarray] = [np.empty(0)] * len(utterance_ids)
        for wanted in self._places.by_shard(utterance_ids):
            with self._clips(wanted) as clips:
                for place, frames in zip(wanted.places, clips.frames(wanted, layers), strict=True):
                    result[place] = frames
        return result

    def _require_readable(self, *, ragged: bool) -> None:
        fingerprints = self._store.contents.fingerprints
        require_parent(f"{self.root}: view {self.name!r}", self.recipe, fingerprints)
        if self.is_ragged != ragged:
            kinds = ("dense", "ragged")
            raise FeatureStoreError(
                f"{self.root}: view {self.name!r} is {kinds[self.is_ragged]}, wanted a "
                f"{kinds[ragged]} one; name another view."
            )

    def _bytes(self, name: str) -> bytes:
        return checked_bytes(self.root, name, self._store.contents)

    @contextmanager
    def _open(self, number: int) -> Iterator[OpenShard]:
        name = shard_name(self.edition.folder, number)
        with open_shard(self._bytes(name), self.root / name) as shard:
            if fingerprint(shard.recipe) != self.fingerprint:
                raise FeatureStoreError(
                    f"{self.root / name}: made with another recipe than the view; run 'genser "
                    f"verify {self.root} --repair', then extract."
                )
            self._form = shard.shape, shard.dtype
            yield shard

    def _clips(self, wanted: Rows) -> AbstractContextManager[OpenShard | OpenRows]:
        """Open what clips of a shard are read from, their own bytes alone where that can be.

        What they look like is told by the first shard, which is opened whole; so is each on object
        storage, which is slow to answer.
        """
        if self._form is None or not wanted.are_told or not isinstance(self.root, Path):
            return self._open(wanted.shard)
        name = shard_name(self.edition.folder, wanted.shard)
        return open_rows(self.root, name, self._store.contents, *self._form)


class FeatureStore:
    """A folder of features, opened for reading."""

    def __init__(self, root: Path, contents: Contents) -> None:
        self.root = root
        self.contents = contents

    @classmethod
    def open(cls, root: Path) -> "FeatureStore":
        """Open the store in a folder.

        Raises:
            FeatureStoreError: If there is none, or its `store.json` is damaged.
        """
        contents = read_contents(root)
        if contents is None:
            raise FeatureStoreError(
                f"{root}: no feature store there (no store.json); make it with 'genser extract' "
                "or 'genser ingest'."
            )
        return cls(root, contents)

    @property
    def views(self) -> list[str]:
        """The names of the views, sorted."""
        return sorted(self.contents.fingerprints)

    @property
    def kept(self) -> list[View]:
        """The editions that others have taken the place of, the one kept longest first."""
        return [View(self, edition) for edition in self.contents.kept]

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row per clip: digests, length, and shard and row of each view."""
        return stored_table(self.root, INDEX, self.contents)

    def view(self, name: str) -> View:
        """Open the current edition of a view.

        Raises:
            FeatureStoreError: If the store has no such view, or its recipe is damaged.
        """
        edition = self.contents.current(name)
        if edition is None:
            raise FeatureStoreError(
                f"{self.root}: no view {name!r}, only {self.views}; extract or ingest it."
            )
        return View(self, edition)
