"""The clips of a shard, encoded once for every view that wants them, become a shard of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.audio.outcomes import LENGTH_MISMATCH, OK
from pipeline.audio.segments import Segment, segments
from pipeline.errors import AudioError
from pipeline.extraction.encoding import Decoded, encode_all, stored
from pipeline.extraction.views import OpenView
from pipeline.store.format import Shard
from pipeline.store.views import CLIP_COLUMNS, CODES


def make_shards(
    requests: pd.DataFrame,
    decoded: Sequence[Decoded],
    views: Sequence[OpenView],
    batch_seconds: float,
) -> list[Shard]:
    """Run clips through an encoder and return the shard of each view.

    Args:
        requests: The clips.
        decoded: The same, decoded; the clips that could not be have no features in any view.
        views: Of one encoder and one greatest length of audio.
        batch_seconds: Audio per batch, padding included.
    """
    made = make_features(segments(requests), decoded, views, batch_seconds)
    return [one.shard(requests, decoded) for one in made]


def make_features(
    wanted: Sequence[Segment],
    decoded: Sequence[Decoded],
    views: Sequence[OpenView],
    batch_seconds: float,
) -> list["Made"]:
    """Run clips through an encoder and return what each view has of them.

    What is kept of a clip is in the stored type at once, so memory is a shard of each view.

    Args:
        wanted: Where the clips are.
        decoded: The same, decoded; the clips that could not be have no features in any view.
        views: Of one encoder and one greatest length of audio.
        batch_seconds: Audio per batch, padding included.
    """
    usable = [i for i, d in enumerate(decoded) if d.clip is not None]
    frames_of = sorted({layer for view in views for layer in view.settings.layers})
    made = [Made(view, decoded) for view in views]
    encoded_clips = encode_all(
        [wanted[i] for i in usable],
        [clip for d in decoded if (clip := d.clip) is not None],
        views[0].encoder,
        max_duration_s=views[0].settings.max_duration_s,
        batch_seconds=batch_seconds,
        frames_of=frames_of,
    )
    for place, encoded in encoded_clips:
        i = usable[place]
        for one in made:
            try:
                one.features[i] = stored(encoded, one.view.settings, frames_of)
            except AudioError as error:
                one.errors[i] = error
    return made


class Made:
    """What a view has of some clips.

    Attributes:
        view: The view.
        features: Of each clip in the stored type, None where there are none.
        errors: Why, by a clip's place.
    """

    def __init__(self, view: OpenView, decoded: Sequence[Decoded]) -> None:
        self.view = view
        self.features: list[np.ndarray | None] = [None] * len(decoded)
        self.errors = {i: d.error for i, d in enumerate(decoded) if d.error}

    def shard(self, requests: pd.DataFrame, decoded: Sequence[Decoded]) -> Shard:
        """Return the finished shard."""
        is_there = np.array([features is not None for features in self.features], bool)
        rows = np.where(is_there, np.cumsum(is_there) - 1, -1)
        kept = [features for features in self.features if features is not None]
        settings, encoder = self.view.settings, self.view.encoder
        offsets: np.ndarray | None = None
        if settings.is_ragged:
            offsets = np.cumsum([0, *(len(features) for features in kept)], dtype=np.int64)
            of_a_frame = (
                (settings.codebooks,)
                if settings.kind == CODES
                else (len(settings.layers), encoder.dim)
            )
            empty = np.empty((0, *of_a_frame), settings.stored_dtype)
            features = np.concatenate([empty, *kept])
        else:
            empty = np.empty((0, encoder.num_layers, 1), settings.stored_dtype)
            features = np.stack(kept) if kept else empty
        return Shard(
            clips=_clip_table(requests, decoded, self.errors, rows),
            features=features,
            recipe=self.view.recipe,
            provenance=self.view.provenance,
            offsets=offsets,
        )


def _clip_table(
    requests: pd.DataFrame,
    decoded: Sequence[Decoded],
    errors: dict[int, AudioError],
    rows: np.ndarray,
) -> pd.DataFrame:
    clips = [d.clip for d in decoded]
    outcomes = [errors[i].outcome if i in errors else OK for i in range(len(decoded))]
    # Of a broken promise the promise is kept, so that the clip is tried again when it changes.
    is_broken = np.array(outcomes) == LENGTH_MISMATCH
    columns = {
        "utterance_id": requests["utterance_id"].tolist(),
        "start": requests["start"].to_numpy(),
        "end": requests["end"].to_numpy(),
        "channel": requests["channel"].to_numpy(),
        "file_digest": [d.file_digest for d in decoded],
        "audio_digest": [c.audio_digest if c else "" for c in clips],
        "num_samples": np.where(
            is_broken, requests["num_samples"], [c.num_samples if c else 0 for c in clips]
        ),
        "sample_rate": np.where(
            is_broken, requests["sample_rate"], [c.sample_rate if c else 0 for c in clips]
        ),
        "duration": [c.duration if c else 0.0 for c in clips],
        "outcome": outcomes,
        "message": [
            " ".join(filter(None, (str(errors.get(i, "")), c.complaints if c else "")))
            for i, c in enumerate(clips)
        ],
        "row": rows,
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame(columns).astype(kinds)[list(CLIP_COLUMNS)]
