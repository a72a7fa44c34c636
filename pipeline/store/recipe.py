"""A recipe: everything that changes a number in a view, as plain JSON values.

Two stores may be mixed only if their recipes are equal; package versions, hub names and paths are
provenance, kept beside the recipe and never compared.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import FeatureStoreError
from pipeline.files import canonical_json

Recipe = Mapping[str, Any]


def flatten(recipe: Recipe, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a recipe under dotted names, e.g. `("encoder.weights", "9f…")`."""
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def differences(found: Recipe, wanted: Recipe) -> list[str]:
    """Describe each field in which two recipes differ, as `"field is 'a', wanted 'b'"`."""
    have, want = dict(flatten(found)), dict(flatten(wanted))
    absent = "nothing"
    return [
        f"{name} is {have.get(name, absent)!r}, wanted {want.get(name, absent)!r}"
        for name in sorted(have.keys() | want.keys())
        if canonical_json(have.get(name, absent)) != canonical_json(want.get(name, absent))
    ]


def require_same_recipe(where: object, found: Recipe, wanted: Recipe, cure: str) -> None:
    """Refuse to mix what two recipes made.

    Raises:
        FeatureStoreError: If they differ; the message names every differing field.
    """
    differing = differences(found, wanted)
    if differing:
        raise FeatureStoreError(f"{where}: {'; '.join(differing)}; {cure}.")
