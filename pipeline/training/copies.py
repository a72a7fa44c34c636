"""Augmented copies of training clips, as rows behind those of the manifest.

A store has them as views beside that of the clips, one for each copy, with the same ids. Dev and
test rows never have any, and standardisers are fitted on the clips as they are.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import ParamsError
from pipeline.files import fingerprint
from pipeline.manifests.faults import Problems
from pipeline.store.reader import FeatureStore, View
from pipeline.store.recipe import Recipe, require_same_recipe
from pipeline.store.several import rows_by_store
from pipeline.store.views import TEXT_SOURCE, copy_name
from pipeline.training.rows import TrainingRows

AUGMENT = "augment"  # in the recipe of a view of copies: what was changed in them
CURE = "run 'genser extract' with extract.copies on this manifest, or set train.copies to 0"


def num_copies(features: StoredFeatures, wanted: int | None) -> int:
    """Return how many copies of each training clip are read: of views of texts there are none.

    Args:
        features: What a head reads.
        wanted: `train.copies`.

    Raises:
        ParamsError: If a view has fewer than wanted.
    """
    found = {view: _num_there(features, view) for view in _of_audio(features)}
    least = min(found.values(), default=0)
    if wanted is not None and wanted > least:
        view = min(found, key=found.__getitem__, default="none of audio")
        raise ParamsError(
            f"train.copies: found {wanted}, view {view!r} has {least} copies, which are made from "
            f"recordings; run 'genser extract' with extract.copies, or set it to {least}."
        )
    return least if wanted is None else wanted


def digest_of_copies(features: StoredFeatures, wanted: int | None) -> str:
    """Return one digest of the copies that are read, "" of none; it opens no shard."""
    found = [one.view for one in _opened(features, num_copies(features, wanted))]
    return fingerprint([[view.name, view.digest] for view in found]) if found else ""


def augment_of(features: StoredFeatures) -> Recipe:
    """Return what was changed in copies of the features."""
    return _changed(_opened(features, 1)[0].view)


def with_copies(
    features: StoredFeatures, rows: TrainingRows, num: int
) -> tuple[StoredFeatures, TrainingRows]:
    """Return features with the copies of training rows behind the manifest's, and all the rows.

    Args:
        features: What a head reads.
        rows: Of the manifest.
        num: Copies of each training row; 0 changes nothing.

    Returns:
        The features, and the rows: those of the manifest first, then those copies that could be
        made. Only training rows are more than before.

    Raises:
        ManifestError: If a training row was never copied.
        FeatureStoreError: If a copy was made with another recipe than the clips.
    """
    if not num:
        return features, rows
    _require_copied(features, rows.train, _opened(features, num))
    of_audio = _of_audio(features)
    table = features.manifest.table.iloc[rows.train].reset_index(drop=True)
    manifest = replace(features.manifest, table=table)
    copies = []
    for copy in range(1, num + 1):
        names = {copy_name(v, copy) if v in of_audio else v: v for v in features.views}
        copies.append(StoredFeatures(manifest, features.stores, [*names]).renamed(names))
    everything = _Followed(features, copies)
    places = len(features.manifest.table) + np.arange(num * len(rows.train))
    numbers = rows.numbers
    if numbers is not None:
        values = np.concatenate([numbers.values, np.tile(numbers.values[rows.train], num)])
        numbers = replace(numbers, values=values)
    more = replace(
        rows,
        labels=np.concatenate([rows.labels, np.tile(rows.labels[rows.train], num)]),
        numbers=numbers,
        train=np.concatenate([rows.train, places[everything.has_features[places]]]),
    )
    return everything, more


class _Followed(StoredFeatures):
    """Features with rows of others behind theirs, which have views of the same names."""

    def __init__(self, features: StoredFeatures, others: Sequence[StoredFeatures]) -> None:
        vars(self).update(vars(features))  # the stores are open, and the tables read
        every = [features, *others]
        tables = [one.manifest.table for one in every]
        self.manifest = replace(self.manifest, table=pd.concat(tables, ignore_index=True))
        self._ids = np.concatenate([one._ids for one in every])
        for told in ("outcomes", "messages", "audio_digests", "durations"):
            setattr(self, told, pd.concat([getattr(o, told) for o in every], ignore_index=True))
        self._positions, self._views = {}, {name: {} for name in self.views}
        stores: list[np.ndarray] = []
        for number, one in enumerate(every):
            mine = {key: f"{key}#{number}" if number else key for key in one._positions}
            first = sum(map(len, stores))
            for key, new in mine.items():
                self._positions[new] = one._positions[key] + first
                for name, opened in one._views.items():
                    self._views[name][new] = opened[key]
            stores.append(np.array([mine[key] for key in one._store_of], dtype=object))
        self._store_of = np.concatenate(stores)


def _of_audio(features: StoredFeatures) -> list[str]:
    """Return the views of which there could be copies: a text is the same in each."""
    return [v for v, recipe in features.recipes.items() if recipe.get("source") != TEXT_SOURCE]


def _num_there(features: StoredFeatures, view: str) -> int:
    """Return how many copies the stores have of a view; those of one have them all."""
    names = {name for root in features.stores.values() for name in FeatureStore.open(root).views}
    count = 0
    while copy_name(view, count + 1) in names:
        count += 1
    return count


class _Opened(NamedTuple):
    """A view of copies, and which of the stores it is in."""

    store: str
    view: View


def _opened(features: StoredFeatures, num: int) -> list[_Opened]:
    """Open the copies of every view in every store, held to the clips and to one another."""
    found = []
    changed: Recipe | None = None
    cure = "run 'genser extract --replace' with extract.copies"
    for copy in range(1, num + 1):
        for name in _of_audio(features):
            for key, root in features.stores.items():
                view = FeatureStore.open(root).view(copy_name(name, copy))
                where = f"{root}: view {view.name!r}"
                unchanged = {k: v for k, v in view.recipe.items() if k != AUGMENT}
                require_same_recipe(where, unchanged, features.recipes[name], cure)
                mine = _changed(view)
                changed = mine if changed is None else changed
                require_same_recipe(where, {AUGMENT: mine}, {AUGMENT: changed}, cure)
                found.append(_Opened(key, view))
    return found


def _changed(view: View) -> Recipe:
    return {name: value for name, value in view.recipe[AUGMENT].items() if name != "copy"}


def _require_copied(features: StoredFeatures, rows: np.ndarray, opened: Sequence[_Opened]) -> None:
    """Refuse training rows that nobody has made copies of."""
    manifest = features.manifest
    ids = pd.Series(manifest.store_ids)
    absent = np.zeros(len(ids), dtype=bool)
    serving = rows_by_store(manifest, features.stores)
    for key, view in opened:
        mine = np.intersect1d(serving[key], rows)
        absent[mine] |= ~ids.iloc[mine].isin(view.records["utterance_id"]).to_numpy()
    problems = Problems(manifest.path, manifest.first_row)
    problems.add(pd.Series(absent), lambda i: f"training clip {ids[i]!r} has no augmented copies")
    problems.raise_if_any(CURE)
