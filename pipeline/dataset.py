"""A manifest's rows joined with their stored features."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.audio.outcomes import OK
from pipeline.errors import FeatureStoreError, ManifestError
from pipeline.manifests.faults import Problems
from pipeline.manifests.manifest import Manifest, speaker_names
from pipeline.store.reader import FeatureStore
from pipeline.store.recipe import Recipe, require_same_recipe
from pipeline.store.views import LAYERS


class StoredFeatures:
    """The features of a manifest's clips, from one store or one per corpus.

    Attributes:
        recipe: What all of them were made with.
        outcomes: Outcome of each row's extraction.
        messages: Why a row has no features, "" where it has.
        audio_digests: Digest of each row's decoded samples, "" where unknown.
        durations: Seconds of each row, NaN where unknown.
    """

    def __init__(self, manifest: Manifest, stores: Mapping[str, Path]) -> None:
        self.manifest = manifest
        self._ids = np.array(manifest.store_ids, dtype=object)
        self._positions = _positions_by_store(manifest, stores)
        self._views = {key: FeatureStore.open(stores[key]).view(LAYERS) for key in self._positions}
        first_key, first = next(iter(self._views.items()))
        self.recipe: Recipe = first.recipe
        self.fingerprint = first.fingerprint
        self.provenance = first.provenance
        for key, view in self._views.items():
            where = f"{stores[key]} beside {stores[first_key]}"
            require_same_recipe(where, view.recipe, first.recipe, "extract both alike")
        found = self._lookup()
        self.outcomes: pd.Series = found["outcome"]
        self.messages: pd.Series = found["message"]
        self.audio_digests: pd.Series = found["audio_digest"]
        self.durations: pd.Series = found["duration"]

    def of(self, manifest: Manifest) -> "StoredFeatures":
        """Return the same features for the same rows with other splits or labels."""
        other = copy.copy(self)
        other.manifest = manifest
        return other

    @property
    def has_features(self) -> np.ndarray:
        """Whether each row has features, shape (N,)."""
        return (self.outcomes == OK).to_numpy()

    def groups(self, over: str) -> np.ndarray:
        """Return the corpus or the speaker of each row, or "" for all alike, shape (N,).

        Args:
            over: `"all"`, `"corpus"` or `"speaker"`.
        """
        table = self.manifest.table
        named = {"all": "", "corpus": table["corpus"], "speaker": speaker_names(table)}[over]
        return np.asarray(pd.Series(named, index=table.index, dtype="str"), dtype="U")

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of manifest rows, shape (len(rows), L, D).

        Raises:
            FeatureStoreError: If a row has none, or a file is damaged.
        """
        result: np.ndarray | None = None
        for key, positions in self._positions.items():
            mine = np.flatnonzero(np.isin(rows, positions))
            if not len(mine):
                continue
            part = self._views[key].read(list(self._ids[rows[mine]]))
            if result is None:
                result = np.empty((len(rows), *part.shape[1:]), part.dtype)
            result[mine] = part
        if result is None:
            raise FeatureStoreError(f"{self.manifest.path}: no rows to read features of.")
        return result

    def _lookup(self) -> pd.DataFrame:
        """Find every row in its store.

        Raises:
            ManifestError: If rows were never extracted.
        """
        columns = ["outcome", "message", "audio_digest", "duration"]
        parts = []
        for key, positions in self._positions.items():
            records = self._views[key].records.set_index("utterance_id")[columns]
            part = records.reindex(list(self._ids[positions]))
            parts.append(part.set_index(pd.Index(positions)))
        found = pd.concat(parts).sort_index()
        problems = Problems(self.manifest.path, self.manifest.first_row)
        problems.add(
            found["outcome"].isna(), lambda i: f"utterance {self._ids[i]!r} was never extracted"
        )
        problems.raise_if_any("run 'genser extract' (or ingest) on this manifest first")
        return found


def _positions_by_store(manifest: Manifest, stores: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """Return the manifest rows that each store serves."""
    corpus = manifest.table["corpus"]
    keys = corpus.where(corpus.isin(list(stores)), "")
    if "" not in stores and (keys == "").any():
        homeless = sorted(set(corpus[keys == ""]))[0]
        raise ManifestError(
            f"{manifest.path}: corpus {homeless!r} has no store; give --store {homeless}=STORE."
        )
    return {key: np.flatnonzero((keys == key).to_numpy()) for key in _ordered(keys)}


def _ordered(keys: Sequence[str] | pd.Series) -> list[str]:
    return sorted(set(keys))
