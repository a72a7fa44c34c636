"""Views of texts for a loose recording: its transcript through the encoder of the head's view."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.encoders.text import TextEncoder, open_text_encoder
from pipeline.errors import HeadError
from pipeline.extraction.embed import EmbedConfig, make_recipe
from pipeline.heads.saved import require_recipe_of_head
from pipeline.store.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class LooseTexts:
    """A view that a head reads, made of a transcript.

    Attributes:
        name: Of the view in the store.
        column: Of a manifest, that it was made of.
        encoder: What makes it.
    """

    name: str
    column: str
    encoder: TextEncoder

    def features(self, texts: Mapping[str, str]) -> np.ndarray:
        """Return the vector of a recording's text as it would be stored, shape (1, D).

        Args:
            texts: By manifest column.

        Raises:
            HeadError: If the text is not given.
        """
        text = texts.get(self.column, "")
        if not text.strip():
            raise HeadError(
                f"this head reads view {self.name!r}, made of the column {self.column!r}, and "
                "found no text, wanted what is said in the recording; give it to 'genser predict', "
                "or use 'genser score' with a manifest."
            )
        return self.encoder.encode([text])


def open_texts(name: str, recipe: Recipe, spelling: str, device: str) -> LooseTexts:
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
    return LooseTexts(name=name, column=config.column, encoder=encoder)
