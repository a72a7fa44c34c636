"""A recipe: everything that changes a number in a view, as plain JSON values.

Two stores may be mixed only if their recipes are equal; package versions, hub names and paths are
provenance, kept beside the recipe and never compared.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import FeatureStoreError, GenserError
from pipeline.files import canonical_json, fingerprint
from pipeline.store.views import CODES
from pipeline.typed import typed, typed_json

Recipe = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Parent:
    view: str
    fingerprint: str
    recipe: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Read:
    """The fields of a recipe that are read again, of those that have them."""

    view: str | None = None
    source: str | None = None
    num_codes: int | None = None
    dim: int | None = None
    last_layer: int | None = None
    layers: tuple[int, ...] = ()
    layer_convention: str = ""
    stored_dtype: str = "float16"
    parent: _Parent | None = None
    fitted: str = ""

    def __post_init__(self) -> None:
        if self.view == CODES and (self.num_codes is None or self.dim is None):
            raise FeatureStoreError(
                f"recipe: of codes, and found num_codes {self.num_codes} and dim {self.dim}; make "
                "the view again."
            )


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a view's `recipe.json` says: the recipe, and beside it what is never compared."""

    fingerprint: str
    recipe: dict[str, Any]
    provenance: dict[str, Any]


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


def checked_recipe(
    where: object, value: object, error: type[GenserError] = FeatureStoreError
) -> Recipe:
    """Return a recipe whose fields are of their types.

    Raises:
        GenserError: Of the kind `error`, if one is not.
    """
    recipe: Recipe = typed(dict[str, Any], value, where, error=error)
    typed(_Read, recipe, where, section="recipe", error=error, others=True)
    return recipe


def read_recipe(data: bytes, where: object) -> Description:
    """Read a view's `recipe.json`.

    Raises:
        FeatureStoreError: If it is of another form.
    """
    told = typed_json(Description, data, where, error=FeatureStoreError)
    checked_recipe(where, told.recipe)
    return told


def recipe_bytes(recipe: Recipe, provenance: Mapping[str, Any]) -> bytes:
    """Return the content of a view's `recipe.json`."""
    value = {"fingerprint": fingerprint(recipe), "recipe": recipe, "provenance": provenance}
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def derived_recipe(
    kind: str,
    *,
    parent: str,
    parent_recipe: Recipe,
    fitted_digest: str,
    fit_ids: Iterable[str],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the recipe of a view that is computed from another view.

    Args:
        kind: Of the view, e.g. `"codes"`.
        parent: The view that it is computed from.
        parent_recipe: What that one was made with.
        fitted_digest: SHA-256 of `fitted.safetensors`, which it is computed with.
        fit_ids: The ids of the clips that this was fitted on; the writer's provenance must have
            them too, sorted, as `fit_ids`.
        settings: Whatever else changes a number, e.g. which layers.
    """
    return {
        **settings,
        "view": kind,
        "source": "view",
        "parent": {
            "view": parent,
            "fingerprint": fingerprint(parent_recipe),
            "recipe": dict(parent_recipe),
        },
        "fitted": fitted_digest,
        "fit_ids": fingerprint(sorted(set(fit_ids))),
    }


def require_parent(where: object, recipe: Recipe, fingerprints: Mapping[str, str]) -> None:
    """Refuse a derived view whose parent is no longer the edition that it was made from.

    Args:
        where: What is read, for the message.
        recipe: Of the view; one that is not derived passes.
        fingerprints: Of the recipe of each view of the store.

    Raises:
        FeatureStoreError: If the parent has another recipe now, or is gone.
    """
    parent = recipe.get("parent")
    if parent is None:
        return
    found = fingerprints.get(parent["view"])
    if found != parent["fingerprint"]:
        now = "is not in the store" if found is None else f"is edition {found[:12]} now"
        raise FeatureStoreError(
            f"{where}: made from edition {parent['fingerprint'][:12]} of view {parent['view']!r}, "
            f"which {now}; make this view again from it, or put the old edition back in place "
            "with its parameters and --replace."
        )
