"""A trained head on loose recordings: the same decoding and encoding as extraction."""

from dataclasses import dataclass

from pipeline.errors import HeadError
from pipeline.extraction.settings import settings_of_recipe
from pipeline.extraction.views import OpenView, open_views
from pipeline.heads.saved import TrainedHead, require_recipe_of_head
from pipeline.quantisation.codebooks import Codebooks
from pipeline.scoring.loose_text_views import LooseTextView, open_text_view
from pipeline.store.recipe import Recipe
from pipeline.store.views import TEXT_SOURCE


@dataclass(frozen=True, kw_only=True)
class LooseView:
    """A view that a head reads, made of a recording.

    Attributes:
        name: Of the view in the store.
        made_of: The view that an encoder gives, of the same name or the parent of a derived one.
        codebooks: What codes the parent's frames; None where nothing is derived.
    """

    name: str
    made_of: OpenView
    codebooks: Codebooks | None


def views_of_head(
    trained: TrainedHead, spelling: str | None, device: str
) -> list[LooseView | LooseTextView]:
    """Open the encoders that a head's features were made with, with their settings.

    Args:
        trained: The head.
        spelling: Where the encoder of recordings is; None takes what the head remembers.
        device: A torch device.

    Raises:
        HeadError: If its features were ingested: nothing here can make them.
        FeatureStoreError: If an encoder is another one, by field.
    """
    require_no_groups(trained)
    settings = []
    wanted = {name: _made_of(recipe) for name, recipe in trained.record.recipes.items()}
    texts = {name: wanted.pop(name) for name in list(wanted) if _is_of_texts(wanted[name])}
    for name, recipe in wanted.items():
        if recipe.get("source") != "audio":
            raise HeadError(
                f"this head reads ingested features ({recipe.get('name')!r}), which genser cannot "
                "make from a recording; ingest features of the recordings and use 'genser score'."
            )
        encoder = spelling or str(trained.record.encoders[name])
        settings.append(settings_of_recipe(name, recipe, encoder))
    views = open_views(settings, device)
    where = spelling or ", ".join(dict.fromkeys(each.encoder for each in settings))
    for view in views:
        require_recipe_of_head(where, view.name, view.recipe, wanted[view.name])
    recipes = trained.record.recipes
    made_of_texts = [
        open_text_view(name, recipe, str(trained.record.encoders[name]), device)
        for name, recipe in texts.items()
    ]
    return made_of_texts + [
        LooseView(
            name=view.name,
            made_of=view,
            codebooks=trained.codebooks[view.name] if "parent" in recipes[view.name] else None,
        )
        for view in views
    ]


def require_no_groups(trained: TrainedHead) -> None:
    """Refuse a head that has to know whose a recording is.

    Raises:
        HeadError: Naming what it standardises over.
    """
    for standardiser in trained.standardisers.values():
        if standardiser.is_grouped:
            raise HeadError(
                f"this head standardises over each {standardiser.over}, and a loose file has none; "
                "use 'genser score' with a manifest, or train with train.standardise_over=all."
            )


def _is_of_texts(recipe: Recipe) -> bool:
    return recipe.get("source") == TEXT_SOURCE


def _made_of(recipe: Recipe) -> Recipe:
    """Return the recipe of what an encoder gives: a derived view's parent's, else its own."""
    parent = recipe.get("parent")
    made_of: Recipe = recipe if parent is None else parent["recipe"]
    return made_of
