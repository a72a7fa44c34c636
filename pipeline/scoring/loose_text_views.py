"""Views of texts for a loose recording: its transcript through the encoder of the head's view."""

from dataclasses import dataclass

import numpy as np

from pipeline.audio.outcomes import NO_TEXT
from pipeline.encoders.text import TextEncoder, open_text_encoder
from pipeline.errors import AudioError
from pipeline.extraction.embed import EmbedConfig, make_recipe
from pipeline.heads.saved import require_recipe_of_head
from pipeline.store.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class LooseTextView:
    """A view that a head reads, made of a transcript.

    Attributes:
        name: Of the view in the store.
        column: Of a manifest, that it was made of.
        encoder: What makes it.
    """

    name: str
    column: str
    encoder: TextEncoder

    def features(self, text: str) -> np.ndarray:
        """Return the vector of a recording's text as it would be stored, shape (1, D).

        Raises:
            AudioError: If nothing is said.
        """
        if not text.strip():
            raise AudioError(NO_TEXT, f"view {self.name!r} is made of text, and nothing is said")
        return self.encoder.encode([text])


def open_text_view(name: str, recipe: Recipe, spelling: str, device: str) -> LooseTextView:
    """Open the encoder of a view of texts, with its settings.

    Args:
        name: Of the view.
        recipe: Of the view.
        spelling: Of the encoder.
        device: A torch device.

    Raises:
        EncoderError: If it cannot be loaded.
        FeatureStoreError: If it is another encoder, by field.
    """
    told = {key: recipe[key] for key in ("column", "pooling", "max_tokens", "compute_dtype")}
    config = EmbedConfig(encoder=spelling, **told)
    encoder = open_text_encoder(
        spelling,
        pooling=config.pooling,
        max_tokens=config.max_tokens,
        compute_dtype=config.compute_dtype,
        device=device,
        where=f"encoder of view {name}",
    )
    require_recipe_of_head(spelling, name, make_recipe(encoder, config), recipe)
    return LooseTextView(name=name, column=config.column, encoder=encoder)
