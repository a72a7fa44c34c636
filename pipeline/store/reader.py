"""Reading a feature store: open it, choose a view, get arrays by utterance id.

    store = FeatureStore.open(Path("features/demo"))
    layers = store.view("layers")
    array = layers.read(["f01_angry_01", "m02_sad_03"])   # (2, L, D)

Every file is held to its digest before HDF5 or Arrow sees it, so damage is an error and never a
wrong number.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import fingerprint
from pipeline.parquet import read_table_bytes
from pipeline.store.commit import (
    INDEX,
    Catalogue,
    checked_bytes,
    outcomes_name,
    read_catalogue,
    recipe_name,
    shard_name,
    split_index,
)
from pipeline.store.format import Shard, read_shard_bytes
from pipeline.store.recipe import Recipe


class View:
    """One kind of features of a store.

    Attributes:
        root: The store's folder.
        name: The view's name, e.g. `"layers"`.
        records: One row per clip: `pipeline.store.views.CLIP_COLUMNS` and its shard.
    """

    def __init__(self, root: Path, name: str, catalogue: Catalogue, index: pd.DataFrame) -> None:
        self.root = root
        self.name = name
        self._catalogue = catalogue
        description = json.loads(checked_bytes(root, recipe_name(name), catalogue))
        self.recipe: Recipe = description["recipe"]
        self.provenance: dict[str, object] = description["provenance"]
        outcomes = read_table_bytes(checked_bytes(root, outcomes_name(name), catalogue))
        self.records = split_index(index, outcomes.to_pandas(), name)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical recipe."""
        return fingerprint(self.recipe)

    @cached_property
    def _places(self) -> pd.DataFrame:
        return self.records.set_index("utterance_id")[["shard", "row", "outcome", "message"]]

    def lookup(self, utterance_ids: Sequence[str]) -> pd.DataFrame:
        """Return shard, row, outcome and message of each id; all missing where it is unknown."""
        return self._places.reindex(list(utterance_ids))

    def shard(self, number: int) -> Shard:
        """Read one shard whole.

        Raises:
            FeatureStoreError: If it is damaged or was made with another recipe.
        """
        name = shard_name(self.name, number)
        shard = read_shard_bytes(checked_bytes(self.root, name, self._catalogue), self.root / name)
        if fingerprint(shard.recipe) != self.fingerprint:
            raise FeatureStoreError(f"{self.root / name}: made with another recipe than the view.")
        return shard

    def read(self, utterance_ids: Sequence[str]) -> np.ndarray:
        """Return the features of clips, in the order asked, shape (N, L, D).

        Each shard is read once, so memory is the result and one shard.

        Raises:
            FeatureStoreError: If an id has no features, or a shard is damaged.
        """
        places = self.lookup(utterance_ids).reset_index(drop=True)
        absent = places["row"].isna() | (places["row"] < 0)
        if absent.any():
            first = int(np.argmax(absent.to_numpy()))
            outcome = places["outcome"].iloc[first]
            what = "was never extracted" if pd.isna(outcome) else f"has outcome {outcome!r}"
            raise FeatureStoreError(
                f"{self.root}: {int(absent.sum())} of {len(places)} clips have no features; the "
                f"first, {utterance_ids[first]!r}, {what}; leave them out or extract them."
            )
        result: np.ndarray | None = None
        for number, group in places.groupby("shard"):
            features = self.shard(int(number)).features
            if result is None:
                result = np.empty((len(places), *features.shape[1:]), features.dtype)
            result[group.index.to_numpy()] = features[group["row"].to_numpy(dtype=np.int64)]
        return np.empty((0, 0, 0), np.float32) if result is None else result


class FeatureStore:
    """A folder of features, opened for reading."""

    def __init__(self, root: Path, catalogue: Catalogue) -> None:
        self.root = root
        self.catalogue = catalogue

    @classmethod
    def open(cls, root: Path) -> "FeatureStore":
        """Open the store in a folder.

        Raises:
            FeatureStoreError: If there is none, or its catalogue is damaged.
        """
        catalogue = read_catalogue(root)
        if catalogue is None:
            raise FeatureStoreError(
                f"{root}: no feature store there (no store.json); make it with 'genser extract' "
                "or 'genser ingest'."
            )
        return cls(root, catalogue)

    @property
    def views(self) -> list[str]:
        """The names of the views, sorted."""
        return sorted(self.catalogue.fingerprints)

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row per clip: digests, length, and shard and row of each view."""
        data = checked_bytes(self.root, INDEX, self.catalogue)
        return read_table_bytes(data).to_pandas()

    def view(self, name: str) -> View:
        """Open one view.

        Raises:
            FeatureStoreError: If the store has no such view, or it is damaged.
        """
        if name not in self.catalogue.fingerprints:
            raise FeatureStoreError(
                f"{self.root}: no view {name!r}, only {self.views}; extract or ingest it."
            )
        return View(self.root, name, self.catalogue, self.index)
