"""The features of one clip outside a store, by the steps that extraction takes."""

import numpy as np

from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoder
from pipeline.extraction.encoding import decode, encode_all, stored
from pipeline.extraction.settings import ViewSettings


def encode_clip(
    segment: Segment, encoder: Encoder, settings: ViewSettings, batch_seconds: float
) -> np.ndarray:
    """Return the features of one clip outside a store, shape (L, D), (T, R, D) or (T, Q).

    Raises:
        AudioError: If it cannot be used.
    """
    decoded = decode(segment, encoder, settings.max_duration_s)
    if decoded.error is not None:
        raise decoded.error
    assert decoded.clip is not None
    encoded = encode_all(
        [segment],
        [decoded.clip],
        encoder,
        max_duration_s=settings.max_duration_s,
        batch_seconds=batch_seconds,
        frames_of=settings.layers,
    )
    return stored(next(encoded)[1], settings, settings.layers)
