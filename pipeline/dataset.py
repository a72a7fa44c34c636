"""A manifest's rows joined with their stored features."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.audio.outcomes import OK
from pipeline.errors import FeatureStoreError
from pipeline.files import fingerprint, sha256_bytes
from pipeline.manifests.embedded import require_same_texts, sources_read
from pipeline.manifests.manifest import Manifest, speaker_names
from pipeline.quantisation.codebooks import MEANS, Codebooks
from pipeline.store.recipe import Recipe
from pipeline.store.several import open_alike, require_extracted, rows_by_store
from pipeline.store.views import CODES, LAYERS, TEXT_SOURCE

POOLED_AT_ONCE = 4096  # clips whose codes are read together


class StoredFeatures:
    """The features of a manifest's clips, from one store or one per corpus.

    Attributes:
        manifest: The manifest.
        stores: Those that serve rows; the key "" serves every corpus that has none.
        views: Names of the views that are read.
        recipes: What each view's features were made with.
        provenances: What is known beside each view's recipe.
        outcomes: What became of each row's extraction: `ok` where all views have features.
        messages: Why a row has no features, "" where it has.
        audio_digests: Digest of each row's decoded samples, "" where unknown.
        durations: Seconds of each row, NaN where unknown.
    """

    def __init__(
        self, manifest: Manifest, stores: Mapping[str, Path], views: Sequence[str] = (LAYERS,)
    ) -> None:
        """Open the views of the stores; a head that reads texts alone needs none.

        Raises:
            ManifestError: If a corpus has no store, or rows were never extracted.
            FeatureStoreError: If a view is absent, damaged, or of several recipes.
        """
        self.manifest = manifest
        self.views = tuple(views)
        self._ids = np.array(manifest.store_ids, dtype=object)
        self._positions = rows_by_store(manifest, stores) if self.views else {}
        self.stores = {key: stores[key] for key in self._positions}
        self._store_of = np.full(len(self._ids), "", dtype=object)
        for key, positions in self._positions.items():
            self._store_of[positions] = key
        self._views = {
            name: open_alike(name, {key: stores[key] for key in self._positions})
            for name in self.views
        }
        first = {name: next(iter(opened.values())) for name, opened in self._views.items()}
        self.recipes: dict[str, Recipe] = {name: view.recipe for name, view in first.items()}
        self.provenances = {name: view.provenance for name, view in first.items()}
        found = self._lookup(stores)
        self.outcomes: pd.Series = found["outcome"]
        self.messages: pd.Series = found["message"]
        self.audio_digests: pd.Series = found["audio_digest"]
        self.durations: pd.Series = found["duration"]

    def of(self, manifest: Manifest) -> "StoredFeatures":
        """Return the same features for the same rows with other splits or labels."""
        other = copy.copy(self)
        other.manifest = manifest
        return other

    def only(self, views: Sequence[str]) -> "StoredFeatures":
        """Return the same rows with some of the views; what has features stays as it is."""
        return self.renamed({name: name for name in views})

    def renamed(self, names: Mapping[str, str]) -> "StoredFeatures":
        """Return the same rows with some of the views, under the names that are given for them."""
        other = copy.copy(self)
        other.views = tuple(names.values())
        other._views = {new: self._views[name] for name, new in names.items()}
        other.recipes = {new: self.recipes[name] for name, new in names.items()}
        other.provenances = {new: self.provenances[name] for name, new in names.items()}
        return other

    @property
    def has_features(self) -> np.ndarray:
        """Whether each row has features in every view, shape (N,)."""
        return (self.outcomes == OK).to_numpy()

    def groups(self, over: str) -> np.ndarray:
        """Return each row's group over `"corpus"` or `"speaker"`, or "" over `"all"`, (N,)."""
        table = self.manifest.table
        named = {"all": "", "corpus": table["corpus"], "speaker": speaker_names(table)}[over]
        return np.asarray(pd.Series(named, index=table.index, dtype="str"), dtype="U")

    def texts(self, column: str, rows: np.ndarray) -> list[str]:
        """Return a text column of manifest rows, "" where the manifest has none."""
        table = self.manifest.table
        if column not in table.columns:
            return [""] * len(rows)
        return list(table[column].iloc[rows].astype("str"))

    def text_sources(self, columns: Sequence[str], rows: np.ndarray) -> tuple[str, ...]:
        """Return who wrote the texts of manifest rows that are read, by columns or in views."""
        return sources_read(self.manifest.table.iloc[rows], {*columns, *self.embedded.values()})

    @property
    def embedded(self) -> dict[str, str]:
        """The manifest's column that each view of texts is made of."""
        found = self.recipes.items()
        return {name: one["column"] for name, one in found if one.get("source") == TEXT_SOURCE}

    def kind(self, view: str) -> str:
        """Return what a view's features are: `"layers"`, `"frames"` or `"codes"`."""
        return next(iter(self._views[view].values())).kind

    def codebooks(self, view: str) -> Codebooks:
        """Return what a view of codes was made with.

        Raises:
            FeatureStoreError: If it is of another kind, or damaged.
        """
        # Stores of one recipe have equal ones: the recipe names their digest.
        first = next(iter(self._views[view].values()))
        return Codebooks.from_bytes(first.fitted_bytes(), f"{first.root}: view {view!r}")

    def shape(self, view: str) -> tuple[int, ...]:
        """Return (L, D) of a view's features, or (R,) of codes.

        Raises:
            FeatureStoreError: If no clip has any, or the stores differ.
        """
        found = {key: opened.feature_shape for key, opened in self._views[view].items()}
        if len(set(found.values())) > 1:
            raise FeatureStoreError(
                f"view {view!r}: found shapes {found} in the stores, wanted one; extract alike."
            )
        return next(iter(found.values()))

    def read(
        self,
        rows: np.ndarray,
        view: str = LAYERS,
        codes_as: str = MEANS,
        layers: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Return the dense features of manifest rows, shape (len(rows), L, D).

        Args:
            rows: Of the manifest.
            view: Of layers; or of codes, which are pooled, each clip's alone.
            codes_as: How codes are pooled, one of `POOLED_AS`.
            layers: Positions along L to keep, in this order; None keeps all.

        Raises:
            FeatureStoreError: If a row has none, or a file is damaged.
        """
        if self.kind(view) == CODES:
            pooled = self._pooled(rows, view, codes_as)
            return pooled if layers is None else pooled[:, list(layers)]
        result: np.ndarray | None = None
        for key, mine in self._stores_of(rows):
            part = self._views[view][key].read(list(self._ids[rows[mine]]), layers)
            if len(mine) == len(rows):
                return part
            if result is None:
                result = np.empty((len(rows), *part.shape[1:]), part.dtype)
            result[mine] = part
        if result is None:
            raise FeatureStoreError(f"{self.manifest.path}: no rows to read features of.")
        return result

    def read_frames(
        self, rows: np.ndarray, view: str, layers: Sequence[int] | None = None
    ) -> list[np.ndarray]:
        """Return the frames of manifest rows, each of shape (T, R, D), or codes (T, R).

        Args:
            rows: Of the manifest.
            view: A ragged view.
            layers: Positions along R; None takes all.

        Raises:
            FeatureStoreError: If a row has none, or a file is damaged.
        """
        result: list[np.ndarray] = [np.empty(0)] * len(rows)
        for key, mine in self._stores_of(rows):
            found = self._views[view][key].read_ragged(list(self._ids[rows[mine]]), layers)
            for place, frames in zip(mine, found, strict=True):
                result[place] = frames
        return result

    def dense(
        self,
        rows: np.ndarray,
        view: str,
        codes_as: str = MEANS,
        layers: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return an array (M, L, D) that has what `read` reads, and the place of each row, (N,)."""
        return self.read(rows, view, codes_as, layers), np.arange(len(rows))

    def ragged(
        self, rows: np.ndarray, view: str, layers: Sequence[int] | None = None
    ) -> list[np.ndarray]:
        """Return what `read_frames` reads, to be kept in memory."""
        return self.read_frames(rows, view, layers)

    def _pooled(self, rows: np.ndarray, view: str, codes_as: str) -> np.ndarray:
        codebooks = self.codebooks(view)
        parts = [
            codebooks.pooled(codes, codes_as)
            for start in range(0, len(rows), POOLED_AT_ONCE)
            for codes in self.read_frames(rows[start : start + POOLED_AT_ONCE], view)
        ]
        return np.stack(parts)

    def num_frames(self, rows: np.ndarray, view: str) -> np.ndarray:
        """Return how many frames manifest rows have, int64, shape (len(rows),); opens no shard."""
        result = np.zeros(len(rows), np.int64)
        for key, mine in self._stores_of(rows):
            result[mine] = self._views[view][key].num_frames(list(self._ids[rows[mine]]))
        return result

    def shards(self, rows: np.ndarray, view: str) -> np.ndarray:
        """Return a number for the shard of each row, stores one after another, (len(rows),)."""
        result = np.zeros(len(rows), np.int64)
        offset = 0
        for key, opened in self._views[view].items():
            mine = np.flatnonzero(np.isin(rows, self._positions[key]))
            places = opened.lookup(list(self._ids[rows[mine]]))
            result[mine] = places["shard"].to_numpy(np.int64) + offset
            offset += int(opened.records["shard"].max()) + 1
        return result

    def digest(self, rows: np.ndarray) -> str:
        """Return one digest of all features of manifest rows, from the digests that stores keep.

        It is that of the shards that hold them and of where they lie, so nothing is read, and clips
        that a store gains beside them change nothing.
        """
        told = [
            [name, key, opened.digest_of(list(self._ids[rows[mine]]))]
            for name, views in self._views.items()
            for key, opened in views.items()
            if len(mine := np.flatnonzero(np.isin(rows, self._positions[key])))
        ]
        return fingerprint([sha256_bytes(np.ascontiguousarray(rows, np.int64).data), told])

    @property
    def was_fitted_on(self) -> np.ndarray:
        """Whether a derived view among these was fitted on a row, shape (N,)."""
        result = np.zeros(len(self._ids), dtype=bool)
        for views in self._views.values():
            for key, opened in views.items():
                mine = self._positions[key]
                result[mine] |= pd.Series(self._ids[mine]).isin(opened.fit_ids).to_numpy()
        return result

    def _stores_of(self, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return for each store which places of `rows` it serves; stores without any left out."""
        places = {k: np.flatnonzero(self._store_of[rows] == k) for k in self._positions}
        return [(key, mine) for key, mine in places.items() if len(mine)]

    def _lookup(self, stores: Mapping[str, Path]) -> pd.DataFrame:
        """Find every row in its store.

        Raises:
            ManifestError: If rows were never extracted.
        """
        columns = ["outcome", "message", "audio_digest", "duration", "file_digest"]
        # Without a view there is nothing that a row could lack.
        nothing = {"outcome": OK, "message": "", "audio_digest": "", "duration": np.nan}
        found = pd.DataFrame(nothing, index=range(len(self._ids)))
        for name, views in self._views.items():
            parts = []
            for key, positions in self._positions.items():
                records = views[key].records.set_index("utterance_id")[columns]
                part = records.reindex(list(self._ids[positions]))
                parts.append(part.set_index(pd.Index(positions)))
            mine = pd.concat(parts).sort_index()
            require_extracted(self.manifest, mine["outcome"].isna(), self._positions, stores)
            if name in self.embedded:
                column = self.embedded[name]
                require_same_texts(self.manifest, name, column, mine["file_digest"])
            # What a view of texts or of a table does not know of a clip's audio, another one may.
            for known, absent in (("audio_digest", ""), ("duration", 0.0)):
                mine[known] = mine[known].where(mine[known] != absent, found[known])
            # A clip counts as what its first view without features says.
            found = found.where(found["outcome"] != OK, mine[found.columns])
        return found
