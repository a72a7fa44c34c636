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

CAUSES = ("source", "encoder.family")  # fields that the rest of an encoder follows from
ENCODER_S_OWN = ("layer_convention", "normalisation")  # fields beside it that follow too
NAMING = (*CAUSES, "encoder.weights")
PARENT = "parent.recipe."
MOST_TOLD = 6  # fields in a message
LONGEST_TOLD, DIGITS = 60, 13  # characters of a value, and of one that is longer

TRAINED_ON = "trained_on"  # in the recipe of ingested features: corpora, where they were told


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
    return [f"{name} is {a!r}, wanted {b!r}" for name, (a, b) in _differing(found, wanted).items()]


def telling_differences(found: Recipe, wanted: Recipe) -> list[str]:
    """Describe the fields in which two recipes differ, but for those that follow from others.

    Of another source, or another family of encoder, the rest of the encoder follows. Of what is
    left the first few are described, what names an encoder before all else.
    """
    every = _differing(found, wanted)
    own = [name for name in every if not _follows(name, every)]
    own.sort(key=lambda name: not name.endswith(NAMING))
    lines = [f"{name} is {_brief(every[name][0])}, wanted {_brief(every[name][1])}" for name in own]
    num_left = len(every) - len(lines[:MOST_TOLD])
    return [*lines[:MOST_TOLD], *[f"and {num_left} fields more"] * bool(num_left)]


def _differing(found: Recipe, wanted: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return both values of each field in which two recipes differ, by its name."""
    have, want = dict(flatten(found)), dict(flatten(wanted))
    pairs = {
        name: (have.get(name, "nothing"), want.get(name, "nothing"))
        for name in sorted(have.keys() | want.keys())
    }
    return {
        name: (a, b) for name, (a, b) in pairs.items() if canonical_json(a) != canonical_json(b)
    }


def _follows(name: str, differing: Iterable[str]) -> bool:
    """Return whether a field differs because another one does."""
    above = PARENT if name.startswith(PARENT) else ""
    field = name.removeprefix(above)
    causes = [cause for cause in CAUSES if f"{above}{cause}" in differing]
    of_encoder = field.startswith("encoder.") or field in ENCODER_S_OWN
    return of_encoder and bool(causes) and field != causes[0]


def _brief(value: Any) -> str:
    """Return a value for a message: of a digest, or of what is long, the beginning."""
    shown = repr(value)
    return shown if len(shown) <= LONGEST_TOLD else f"{shown[:DIGITS]}..."


def trained_on(recipe: Recipe) -> frozenset[str]:
    """Return the corpora that features, or what they are derived from, are told to know."""
    parent: Recipe | None = recipe.get("parent")
    above = trained_on(parent["recipe"]) if parent else frozenset[str]()
    return above | frozenset(recipe.get(TRAINED_ON, ()))


def require_same_recipe(where: object, found: Recipe, wanted: Recipe, cure: str) -> None:
    """Refuse to mix what two recipes made.

    Raises:
        FeatureStoreError: If they differ; the message names the fields that others follow from.
    """
    differing = telling_differences(found, wanted)
    if differing:
        raise FeatureStoreError(f"{where}: {'; '.join(differing)}; {cure}.")


def checked_recipe(
    where: object, value: object, error: type[GenserError] = FeatureStoreError
) -> Recipe:
    """Return a recipe whose fields are of their types, and have a fingerprint.

    Raises:
        GenserError: Of the kind `error`, if one is not.
    """
    recipe: Recipe = typed(dict[str, Any], value, where, error=error)
    try:
        fingerprint(recipe)
    except ValueError as reason:
        raise error(
            f"{where}: recipe: holds a number that is infinite or none; mend it."
        ) from reason
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
