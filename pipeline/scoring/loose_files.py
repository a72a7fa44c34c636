"""A trained head on loose recordings: the same decoding and encoding as extraction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import open_encoder
from pipeline.errors import AudioError, HeadError
from pipeline.extraction.encoding import ExtractConfig, encode_clip, make_recipe
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.score import ScoreConfig, with_prior
from pipeline.sources.alone import lone_batch
from pipeline.sources.inference import say
from pipeline.store.views import LAYERS


@dataclass(frozen=True, kw_only=True)
class FilePrediction:
    """What a head says of one file.

    Attributes:
        path: The file.
        probabilities: By class, in class order; empty if there is an error.
        extras: What it says besides, by column.
        error: Why there is no prediction, "" if there is one.
    """

    path: Path
    probabilities: dict[str, float]
    extras: dict[str, str | float] = field(default_factory=dict)
    error: str = ""

    @property
    def predicted(self) -> str | None:
        """The likeliest class."""
        if not self.probabilities:
            return None
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def encoder_of(
    trained: TrainedHead, spelling: str | None, device: str
) -> tuple[Encoder, ExtractConfig]:
    """Open the encoder that a head's features were made with.

    Args:
        trained: The head.
        spelling: Where the encoder is; None takes what the head remembers.
        device: A torch device.

    Raises:
        HeadError: If its features were ingested: nothing here can make them.
        FeatureStoreError: If the encoder is another one, by field.
    """
    (recipe,) = trained.record.recipes.values()
    for standardiser in trained.standardisers.values():
        if standardiser.is_grouped:
            raise HeadError(
                f"this head standardises over each {standardiser.over}, and a loose file has none; "
                "use 'genser score' with a manifest, or train with train.standardise_over=all."
            )
    if recipe.get("source") != "audio":
        raise HeadError(
            f"this head reads ingested features ({recipe.get('name')!r}), which genser cannot make "
            "from a recording; ingest features of the recordings and use 'genser score'."
        )
    config = ExtractConfig(
        encoder=spelling or str(trained.record.encoder),
        compute_dtype=recipe["compute_dtype"],
        stored_dtype=recipe["stored_dtype"],
        pooling=recipe["pooling"],
        max_duration_s=recipe["max_duration_s"],
    )
    encoder = open_encoder(config.encoder, compute_dtype=config.compute_dtype, device=device)
    trained.require_recipes(config.encoder, {LAYERS: make_recipe(encoder, config)})
    return encoder, config


def predict_files(
    paths: Sequence[Path],
    trained: TrainedHead,
    encoder: Encoder,
    config: ExtractConfig,
    score: ScoreConfig,
    *,
    device: str,
) -> list[FilePrediction]:
    """Predict the class of each file; a bad file has its error instead."""
    results = []
    for path in paths:
        try:
            features = encode_clip(Segment(path=path), encoder, config, batch_seconds=1.0)
        except AudioError as error:
            message = f"{error.outcome}: {error}"
            results.append(FilePrediction(path=path, probabilities={}, error=message))
            continue
        batch = lone_batch(
            {LAYERS: features},
            {column: "" for column in trained.head.columns},
            trained.record.needs,
            trained.standardisers,
            device=device,
        )
        options = score.options(trained.record.kind)
        scores, extras = say(
            trained.head, batch, options, device=device, precision=trained.record.precision
        )
        values: np.ndarray = trained.probabilities(with_prior(trained, scores, score.prior))[0]
        named = dict(zip(trained.classes, values.tolist(), strict=True))
        told = {name: _plain(value[0]) for name, value in extras.items()}
        results.append(FilePrediction(path=path, probabilities=named, extras=told))
    return results


def _plain(value: Any) -> str | float:
    return value if isinstance(value, str) else float(value)
