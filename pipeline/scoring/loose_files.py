"""A trained head on loose recordings: the same decoding and encoding as extraction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.audio.segments import Segment
from pipeline.errors import AudioError, HeadError
from pipeline.extraction.encoding import encode_clip
from pipeline.extraction.settings import settings_of_recipe
from pipeline.extraction.views import OpenView, open_views
from pipeline.heads.saved import TrainedHead, require_recipe_of_head
from pipeline.manifests.texts import TEXT
from pipeline.quantisation.codebooks import Codebooks
from pipeline.scoring.class_priors import with_prior
from pipeline.scoring.loose_text_views import LooseTextView, open_text_view
from pipeline.scoring.loose_texts import LooseTexts
from pipeline.scoring.score import ScoreConfig
from pipeline.sources.alone import lone_batch
from pipeline.sources.inference import say
from pipeline.store.recipe import Recipe
from pipeline.store.views import TEXT_SOURCE


@dataclass(frozen=True, kw_only=True)
class FilePrediction:
    """What a head says of one file.

    Attributes:
        path: The file.
        probabilities: By class, in class order; empty if there is an error.
        extras: What it says besides, by column.
        error: Why there is no prediction, "" if there is one.
        text: What the head read beside the sound; None where it reads no text.
    """

    path: Path
    probabilities: dict[str, float]
    extras: dict[str, str | float] = field(default_factory=dict)
    error: str = ""
    text: str | None = None

    @property
    def predicted(self) -> str | None:
        """The likeliest class."""
        if not self.probabilities:
            return None
        return max(self.probabilities, key=lambda name: self.probabilities[name])


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

    def features(self, segment: Segment) -> np.ndarray:
        """Return the features of a recording as they would be stored.

        Raises:
            AudioError: If it cannot be used.
        """
        own = encode_clip(segment, self.made_of.encoder, self.made_of.settings, batch_seconds=1.0)
        return own if self.codebooks is None else self.codebooks.assign(own)


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


def predict_files(
    paths: Sequence[Path],
    trained: TrainedHead,
    views: Sequence[LooseView | LooseTextView],
    score: ScoreConfig,
    *,
    device: str,
    texts: LooseTexts | None = None,
) -> list[FilePrediction]:
    """Predict the class of each file; a bad file has its error instead.

    Args:
        paths: The files.
        trained: The head.
        views: From `views_of_head`.
        score: How to score.
        device: A torch device.
        texts: Where the texts come from; None for a head that reads none.
    """
    results = []
    for path in paths:
        segment = Segment(path=path)
        try:
            text = None if texts is None else texts.of(segment)
            features = {
                view.name: view.features(text or "")
                if isinstance(view, LooseTextView)
                else view.features(segment)
                for view in views
            }
        except AudioError as error:
            message = f"{error.outcome}: {error}"
            results.append(FilePrediction(path=path, probabilities={}, error=message))
            continue
        batch = lone_batch(
            features,
            dict.fromkeys(trained.head.columns, "") | ({} if text is None else {TEXT: text}),
            # What importers name a clip by, so that it is scored as it was from a store.
            path.stem,
            trained.record.needs,
            trained.standardisers,
            codebooks=trained.codebooks,
            device=device,
        )
        options = score.options(trained.record.kind)
        scores, extras = say(
            trained.head, batch, options, device=device, precision=trained.record.precision
        )
        values: np.ndarray = trained.probabilities(with_prior(trained, scores, score.prior))[0]
        named = dict(zip(trained.classes, values.tolist(), strict=True))
        told = {name: _plain(value[0]) for name, value in extras.items()}
        results.append(FilePrediction(path=path, probabilities=named, extras=told, text=text))
    return results


def _is_of_texts(recipe: Recipe) -> bool:
    return recipe.get("source") == TEXT_SOURCE


def _made_of(recipe: Recipe) -> Recipe:
    """Return the recipe of what an encoder gives: a derived view's parent's, else its own."""
    parent = recipe.get("parent")
    made_of: Recipe = recipe if parent is None else parent["recipe"]
    return made_of


def _plain(value: Any) -> str | float:
    return value if isinstance(value, str) else float(value)
