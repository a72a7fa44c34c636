"""One view of several stores, which must be of one recipe."""

from collections.abc import Mapping
from pathlib import Path

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
