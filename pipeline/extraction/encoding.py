"""From segments of recordings to features: decode, batch, encode, pool, store as a number type."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.audio import decoding as audio
from pipeline.audio.outcomes import NONFINITE, TOO_SHORT
from pipeline.audio.segments import Segment
from pipeline.encoders.base import (
    COMPUTE_DTYPES,
    Encoder,
    Outline,
    normalised,
    require_allowed,
)
from pipeline.encoders.pooling import MEAN_STD, POOLINGS, Moments, combine, pool
from pipeline.errors import AudioError, EncoderError, ParamsError
from pipeline.files import sha256_file
from pipeline.store.recipe import Recipe
from pipeline.store.views import LAYERS

STORED_DTYPES = ("float16", "float32")


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """Everything about extraction that changes a number."""

    encoder: str = "demo/encoder"  # folder, hub-id@revision, fbank, or opensmile:<feature set>
    num_layers: int | None = None  # rows it must have (blocks + 1); None takes what it has
    dim: int | None = None  # width it must have; None takes what it has
    compute_dtype: str = "float32"  # of the encoder: float32, bfloat16, or float16 on a GPU
    stored_dtype: str = "float16"  # of the store: float16 or float32
    pooling: str = "mean"  # mean, or mean_std for means and deviations side by side
    max_duration_s: float = 30.0  # longer clips are cut into equal windows and averaged
    rows_per_shard: int = 256  # clips per shard: what a kill can cost

    def __post_init__(self) -> None:
        for name, allowed in (
            ("compute_dtype", COMPUTE_DTYPES),
            ("stored_dtype", STORED_DTYPES),
            ("pooling", POOLINGS),
        ):
            if getattr(self, name) not in allowed:
                raise ParamsError(
                    f"extract.{name}: {getattr(self, name)!r} is not one of {list(allowed)}."
                )
        if self.max_duration_s < 1:
            raise ParamsError(f"extract.max_duration_s: {self.max_duration_s} is below 1 second.")
        if self.rows_per_shard < 1:
            raise ParamsError(f"extract.rows_per_shard: {self.rows_per_shard} is below 1.")


class Decoded(NamedTuple):
    """A request after decoding: a clip, or the error that says why there is none."""

    file_digest: str
    clip: audio.Clip | None
    error: AudioError | None


def make_recipe(encoder: Encoder, config: ExtractConfig) -> Recipe:
    """Return everything that changes a number of the `layers` view."""
    return {
        "view": LAYERS,
        "source": "audio",
        "encoder": dict(encoder.identity),
        "layer_convention": encoder.layer_convention,
        "normalisation": encoder.normalisation,
        "sample_rate": encoder.sample_rate,
        "audio_contract": audio.CONTRACT,
        "channels": "the manifest's channel, else the mean of all",
        "max_duration_s": float(config.max_duration_s),
        "pooling": config.pooling,
        "compute_dtype": config.compute_dtype,
        "stored_dtype": config.stored_dtype,
    }


def check_settings(outline: Outline, config: ExtractConfig) -> None:
    """Hold an encoder to the shape that the parameters state, and them to what it takes.

    Raises:
        EncoderError: If they do not fit one another.
    """
    for name, found in (("num_layers", outline.num_layers), ("dim", outline.dim)):
        wanted = getattr(config, name)
        if wanted not in (None, found):
            raise EncoderError(
                f"extract.{name}: the encoder {config.encoder} has {found}, wanted {wanted}; "
                "mend one of them."
            )
    for name, allowed in (
        ("pooling", outline.poolings),
        ("compute_dtype", outline.compute_dtypes),
    ):
        require_allowed(config.encoder, name, getattr(config, name), allowed)
    limit = outline.max_window_s
    if limit is not None and config.max_duration_s > limit:
        raise EncoderError(
            f"extract.max_duration_s: the encoder {config.encoder} takes {limit:g} seconds at "
            f"once, found {config.max_duration_s:g}; longer clips are cut, set it to {limit:g}."
        )


def bytes_per_clip(outline: Outline, config: ExtractConfig) -> int:
    """Return the disk that one clip takes: its features and about 400 bytes beside them."""
    width = outline.dim * (2 if config.pooling == MEAN_STD else 1)
    return outline.num_layers * width * np.dtype(config.stored_dtype).itemsize + 400


def encode_clip(
    segment: Segment, encoder: Encoder, config: ExtractConfig, batch_seconds: float
) -> np.ndarray:
    """Return the features of one clip outside a store, shape (L, D).

    Raises:
        AudioError: If it cannot be used.
    """
    decoded = decode(segment, encoder, config)
    if decoded.error is not None:
        raise decoded.error
    assert decoded.clip is not None
    moments = encode_all([segment], [decoded.clip], encoder, config, batch_seconds)[0]
    return stored(moments, config)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, "" if it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return ""  # decoding will say why


def decode(segment: Segment, encoder: Encoder, config: ExtractConfig) -> Decoded:
    """Decode a segment for an encoder; what is wrong with it is returned, not raised."""
    rate = encoder.sample_rate
    digest = file_digest(segment.path)
    try:
        clip = audio.read_clip(segment, sample_rate=rate, max_kept_s=config.max_duration_s)
        if clip.num_resampled < encoder.min_samples:
            raise AudioError(
                TOO_SHORT,
                f"{clip.num_resampled} samples at {rate} Hz are shorter than the encoder's "
                f"receptive field ({encoder.min_samples}); drop the row.",
            )
    except AudioError as error:
        return Decoded(digest, None, error)
    return Decoded(digest, clip, None)


def encode_all(
    segments: Sequence[Segment],
    clips: Sequence[audio.Clip],
    encoder: Encoder,
    config: ExtractConfig,
    batch_seconds: float,
) -> list[Moments]:
    """Return each clip's moments; clips of like length share a batch, long ones go alone."""
    result: dict[int, Moments] = {}
    short = [i for i, clip in enumerate(clips) if clip.waveform is not None]
    short.sort(key=lambda i: (-clips[i].num_resampled, i))
    limit = batch_seconds * encoder.sample_rate
    lengths = [max(clips[i].num_resampled, encoder.padded_samples) for i in short]
    for batch in _batches(short, lengths, limit):
        waveforms = [_normalise(clips[i], clips[i].waveform, encoder) for i in batch]
        encoded = encoder.encode(waveforms)
        result.update(zip(batch, (one.moments for one in encoded), strict=True))
    for i in set(range(len(clips))) - set(short):
        result[i] = _encode_long(segments[i], clips[i], encoder, config)
    return [result[i] for i in range(len(clips))]


def _encode_long(
    segment: Segment, clip: audio.Clip, encoder: Encoder, config: ExtractConfig
) -> Moments:
    rate = encoder.sample_rate
    num_windows = math.ceil(clip.num_resampled / (config.max_duration_s * rate))
    ends = [clip.num_resampled * i // num_windows for i in range(num_windows + 1)]
    lengths = [end - start for start, end in pairwise(ends)]
    windows = audio.read_windows(segment, sample_rate=rate, lengths=lengths)
    parts = [encoder.encode([_normalise(clip, window, encoder)])[0].moments for window in windows]
    return combine(parts)


def _normalise(clip: audio.Clip, waveform: np.ndarray | None, encoder: Encoder) -> np.ndarray:
    assert waveform is not None
    how = encoder.normalisation
    return normalised(waveform, mean=clip.mean, variance=clip.variance, how=how)


def _batches(items: Sequence[int], lengths: Sequence[int], limit: float) -> Iterator[list[int]]:
    """Cut items, longest first, so that none of the padded batches exceeds `limit` samples."""
    batch: list[int] = []
    longest = 0
    for item, length in zip(items, lengths, strict=True):
        if batch and longest * (len(batch) + 1) > limit:
            yield batch
            batch = []
        if not batch:
            longest = length
        batch.append(item)
    if batch:
        yield batch


def stored(moments: Moments, config: ExtractConfig) -> np.ndarray:
    """Return a clip's features in the type they are stored in, shape (L, D) or (L, 2 D).

    Raises:
        AudioError: If a number is not finite, or does not fit the type.
    """
    features = pool(moments, config.pooling).numpy()
    if not np.isfinite(features).all():
        cure = "drop the row" if config.compute_dtype == "float32" else "use a wider compute_dtype"
        raise AudioError(NONFINITE, f"the encoder gave NaN or infinity; {cure}.")
    limit = float(np.finfo(config.stored_dtype).max)
    largest = float(np.abs(features).max())
    if largest > limit:
        raise AudioError(
            NONFINITE,
            f"a feature of {largest:g} does not fit {config.stored_dtype}; "
            "set extract.stored_dtype to float32.",
        )
    return features.astype(config.stored_dtype)
