"""A trained head on loose recordings: the same decoding and encoding as extraction."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.audio.segments import Segment
from pipeline.errors import AudioError, HeadError
from pipeline.extraction.encoding import encode_clip
from pipeline.extraction.settings import settings_of_recipe
from pipeline.extraction.views import OpenView, open_views
from pipeline.heads.inference import score_features
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.score import ScoreConfig, with_prior
from pipeline.store.views import LAYERS


@dataclass(frozen=True, kw_only=True)
class FilePrediction:
    """What a head says of one file.

    Attributes:
        path: The file.
        probabilities: By class, in class order; empty if there is an error.
        error: Why there is no prediction, "" if there is one.
    """

    path: Path
    probabilities: dict[str, float]
    error: str = ""

    @property
    def predicted(self) -> str | None:
        """The likeliest class."""
        if not self.probabilities:
            return None
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def encoder_of(trained: TrainedHead, spelling: str | None, device: str) -> OpenView:
    """Open the encoder that a head's features were made with, with their settings.

    Args:
        trained: The head.
        spelling: Where the encoder is; None takes what the head remembers.
        device: A torch device.

    Raises:
        HeadError: If its features were ingested: nothing here can make them.
        FeatureStoreError: If the encoder is another one, by field.
    """
    recipe = trained.recipe
    if trained.standardiser.is_grouped:
        raise HeadError(
            f"this head standardises over each {trained.standardiser.over}, and a loose file has "
            "none; use 'genser score' with a manifest, or train with train.standardise_over=all."
        )
    if recipe.get("source") != "audio":
        raise HeadError(
            f"this head reads ingested features ({recipe.get('name')!r}), which genser cannot make "
            "from a recording; ingest features of the recordings and use 'genser score'."
        )
    name = spelling or str(trained.description["encoder"])
    view = open_views([settings_of_recipe(LAYERS, recipe, name)], device)[0]
    trained.require_recipe(name, view.recipe)
    return view


def predict_files(
    paths: Sequence[Path],
    trained: TrainedHead,
    view: OpenView,
    score: ScoreConfig,
    *,
    device: str,
) -> list[FilePrediction]:
    """Predict the class of each file; a bad file has its error instead."""
    results = []
    for path in paths:
        try:
            features = encode_clip(
                Segment(path=path), view.encoder, view.settings, batch_seconds=1.0
            )
        except AudioError as error:
            message = f"{error.outcome}: {error}"
            results.append(FilePrediction(path=path, probabilities={}, error=message))
            continue
        scores = score_features(
            trained.head,
            trained.standardiser,
            features[None],
            None,
            score,
            device=device,
            precision=trained.description["train"]["precision"],
        )
        scores = with_prior(trained, scores, score.prior)
        values: np.ndarray = trained.probabilities(scores)[0]
        named = dict(zip(trained.classes, values.tolist(), strict=True))
        results.append(FilePrediction(path=path, probabilities=named))
    return results
