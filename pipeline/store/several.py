"""One view of several stores, which must be of one recipe, for the rows of one manifest."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.faults import Problems
from pipeline.manifests.manifest import Manifest
from pipeline.store.reader import FeatureStore, View
from pipeline.store.recipe import require_same_recipe


def open_alike(name: str, stores: Mapping[str, Path]) -> dict[str, View]:
    """Open one view of every store.

    Raises:
        FeatureStoreError: If one is absent or damaged, or they are of several recipes.
    """
    views = {key: FeatureStore.open(root).view(name) for key, root in stores.items()}
    first = next(iter(views))
    for key, view in views.items():
        where = f"{stores[key]} beside {stores[first]}"
        require_same_recipe(where, view.recipe, views[first].recipe, "extract both alike")
    return views


def rows_by_store(manifest: Manifest, stores: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """Return the manifest rows that each store serves.

    Raises:
        ManifestError: If a corpus has no store.
    """
    corpus = manifest.table["corpus"]
    keys = corpus.where(corpus.isin(list(stores)), "")
    if "" not in stores and (keys == "").any():
        homeless = sorted(set(corpus[keys == ""]))[0]
        raise ManifestError(
            f"{manifest.path}: corpus {homeless!r} has no store; give --store {homeless}=STORE."
        )
    return {key: np.flatnonzero((keys == key).to_numpy()) for key in sorted(set(keys))}


def require_extracted(
    manifest: Manifest,
    absent: pd.Series,
    rows: Mapping[str, np.ndarray],
    stores: Mapping[str, Path],
) -> None:
    """Refuse rows that no store knows.

    Args:
        manifest: Theirs.
        absent: Whether a row is in no store.
        rows: Those that each store serves.
        stores: By corpus.

    Raises:
        ManifestError: Naming the first such rows, or the corpus that lies in another store.
    """
    corpus = manifest.table["corpus"]
    for key, served in rows.items():
        lacks = absent.iloc[served].groupby(corpus.iloc[served]).agg(["all", "size"])
        strangers = lacks[lacks["all"]]
        if len(lacks) > 1 and len(strangers):
            name = strangers.index[0]
            raise ManifestError(
                f"{manifest.path}: none of the {strangers['size'].iloc[0]} rows of corpus {name!r} "
                f"is in {stores[key]}, which serves {len(lacks)} corpora here; give each its own "
                f"by --store {name}=STORE, or run 'genser extract' (or ingest) on this manifest."
            )
    problems = Problems(manifest.path, manifest.first_row)
    ids = manifest.store_ids
    problems.add(absent, lambda i: f"utterance {ids[i]!r} was never extracted")
    problems.raise_if_any("run 'genser extract' (or ingest) on this manifest first")
