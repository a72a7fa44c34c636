"""One clip's way to its features: decode, batch, encode, pool or keep frames or codes, store."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from pipeline.audio import augmentation
from pipeline.audio import decoding as audio
from pipeline.audio.outcomes import NONFINITE, TOO_LONG, TOO_SHORT
from pipeline.audio.segments import Segment
from pipeline.encoders.base import Encoded, Encoder, normalised
from pipeline.encoders.codecs import CodecEncoder
from pipeline.encoders.pooling import combine, mean_of_every, pool
from pipeline.errors import AudioError
from pipeline.extraction.settings import ViewSettings
from pipeline.files import sha256_bytes, sha256_file
from pipeline.quantisation.codebooks import Codebooks
from pipeline.store.recipe import Recipe
from pipeline.store.views import CODES, FRAMES, LAYERS


class Decoded(NamedTuple):
    """A request after decoding: a clip, or the error that says why there is none."""

    file_digest: str
    clip: audio.Clip | None
    error: AudioError | None


class Listener(Protocol):
    """What decoding needs to know of who hears the clips: an encoder, or a recogniser."""

    sample_rate: int
    min_samples: int


def make_recipe(encoder: Encoder, settings: ViewSettings, fitted: bytes | None = None) -> Recipe:
    """Return everything that changes a number of a view.

    Args:
        encoder: The encoder.
        settings: Of the view, as `check_settings` returned them.
        fitted: Of codes, the content of `fitted.safetensors`.
    """
    return {
        "view": settings.kind,
        "source": "audio",
        "encoder": dict(encoder.identity),
        "layer_convention": encoder.layer_convention,
        "normalisation": encoder.normalisation,
        "sample_rate": encoder.sample_rate,
        "audio_contract": audio.CONTRACT,
        "channels": "the manifest's channel, else the mean of all",
        "max_duration_s": float(settings.max_duration_s),
        **({} if settings.window_s is None else {"window_s": float(settings.window_s)}),
        **_of_copy(settings),
        **_of_kind(encoder, settings, fitted),
        "compute_dtype": settings.compute_dtype,
        "stored_dtype": settings.stored_dtype,
    }


def _of_copy(settings: ViewSettings) -> dict[str, Any]:
    """Return the part of a recipe that only views of augmented copies have."""
    if not settings.copy:
        return {}
    draws = {name: asdict(draw) for name, draw in settings.augment.given.items()}
    return {"augment": {"contract": augmentation.CONTRACT, "copy": settings.copy, **draws}}


def _of_kind(encoder: Encoder, settings: ViewSettings, fitted: bytes | None) -> dict[str, Any]:
    """Return the part of a recipe that only views of this kind have."""
    if settings.kind == LAYERS:
        return {"pooling": settings.pooling}
    if settings.kind == FRAMES:
        return {"layers": list(settings.layers), "every": settings.every}
    assert fitted is not None
    outline = encoder.outline
    return {
        "codebooks": settings.codebooks,
        "num_codes": outline.num_codes,
        "dim": outline.dim,
        "frames_per_s": outline.frames_per_s,
        "fitted": sha256_bytes(fitted),
    }


def fitted_bytes(encoder: Encoder, settings: ViewSettings) -> bytes | None:
    """Return the content of `fitted.safetensors`: of codes, their codebooks; None of others."""
    if settings.kind != CODES:
        return None
    assert isinstance(encoder, CodecEncoder)
    return Codebooks.of_codec(encoder.codebooks()[: settings.codebooks]).to_bytes()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, "" if it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return ""  # decoding will say why


def decode(segment: Segment, listener: Listener, max_duration_s: float) -> Decoded:
    """Decode a segment for who hears it; what is wrong with it is returned, not raised."""
    digest = file_digest(segment.path)
    rate = listener.sample_rate
    read = partial(audio.read_clip, segment, sample_rate=rate, max_kept_s=max_duration_s)
    return _decoded(digest, read, listener)


def decode_for(
    settings: ViewSettings, segment: Segment, listener: Listener, clip_id: str
) -> Decoded:
    """Decode a segment for a view; where that is one of copies, as the clip's copy.

    A copy is made of the whole waveform, so there is none of a clip that is cut into windows.
    """
    limit = settings.max_duration_s
    found = decode(segment, listener, limit)
    if found.clip is None or not settings.copy:
        return found
    rate, samples = listener.sample_rate, found.clip.waveform
    if samples is not None:
        samples = augmentation.augmented(
            samples, rate, settings.augment, clip_id=clip_id, copy=settings.copy
        )
    if samples is None or len(samples) > limit * rate:
        told = (
            f"a copy is of {limit:g} seconds at most (extract.max_duration_s); the clip itself is "
            "trained on without."
        )
        return found._replace(clip=None, error=AudioError(TOO_LONG, told))
    clip = replace(
        found.clip,
        waveform=samples,
        num_resampled=len(samples),
        mean=float(samples.mean(dtype=np.float64)),
        variance=float(samples.var(dtype=np.float64)),
    )
    return _heard(found.file_digest, clip, listener)


def decode_samples(
    samples: np.ndarray, own_rate: int, listener: Listener, max_duration_s: float
) -> Decoded:
    """Do with mono samples at a file's own rate what `decode` does with a segment of the file."""
    rate = listener.sample_rate
    read = partial(audio.clip_of, [samples], own_rate, sample_rate=rate, max_kept_s=max_duration_s)
    return _decoded("", read, listener)


def _decoded(digest: str, read: Callable[[], audio.Clip], listener: Listener) -> Decoded:
    try:
        clip = read()
    except AudioError as error:
        return Decoded(digest, None, error)
    return _heard(digest, clip, listener)


def _heard(digest: str, clip: audio.Clip, listener: Listener) -> Decoded:
    """Return a clip, or that it is too short to be heard."""
    if clip.num_resampled >= listener.min_samples:
        return Decoded(digest, clip, None)
    told = (
        f"{clip.num_resampled} samples at {listener.sample_rate} Hz are shorter than the "
        f"encoder's receptive field ({listener.min_samples}); drop the row. {clip.complaints}"
    )
    return Decoded(digest, None, AudioError(TOO_SHORT, told.strip()))


def encode_all(
    segments: Sequence[Segment],
    clips: Sequence[audio.Clip],
    encoder: Encoder,
    *,
    max_duration_s: float,
    batch_seconds: float,
    frames_of: Sequence[int] = (),
) -> Iterator[tuple[int, Encoded]]:
    """Encode clips; those of like length share a batch, long ones go alone.

    Args:
        segments: Where each clip is, for those too long to be held.
        clips: As decoded.
        encoder: The encoder.
        max_duration_s: Longer clips are cut into equal windows.
        batch_seconds: Audio per batch, padding included.
        frames_of: Layers whose frames are wanted.

    Yields:
        A clip's place in `clips`, and what the encoder makes of it, as soon as it is there.
    """
    short = [i for i, clip in enumerate(clips) if clip.waveform is not None]
    short.sort(key=lambda i: (-clips[i].num_resampled, i))
    limit = batch_seconds * encoder.sample_rate
    lengths = [max(clips[i].num_resampled, encoder.padded_samples) for i in short]
    for batch in _batches(short, lengths, limit):
        waveforms = [_normalise(clips[i], clips[i].waveform, encoder) for i in batch]
        yield from zip(batch, encoder.encode(waveforms, frames_of), strict=True)
    for i in sorted(set(range(len(clips))) - set(short)):
        yield i, _encode_long(segments[i], clips[i], encoder, max_duration_s, frames_of)


def _encode_long(
    segment: Segment,
    clip: audio.Clip,
    encoder: Encoder,
    max_duration_s: float,
    frames_of: Sequence[int],
) -> Encoded:
    rate = encoder.sample_rate
    num_windows = math.ceil(clip.num_resampled / (max_duration_s * rate))
    ends = [clip.num_resampled * i // num_windows for i in range(num_windows + 1)]
    lengths = [end - start for start, end in pairwise(ends)]
    windows = audio.read_windows(segment, sample_rate=rate, lengths=lengths)
    parts = [
        encoder.encode([_normalise(clip, window, encoder)], frames_of)[0] for window in windows
    ]
    moments = [part.moments for part in parts if part.moments is not None]
    frames = [part.frames for part in parts if part.frames is not None]
    codes = [part.codes for part in parts if part.codes is not None]
    return Encoded(
        moments=combine(moments) if moments else None,
        frames=torch.cat(frames) if frames else None,
        codes=torch.cat(codes) if codes else None,
    )


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


def stored(encoded: Encoded, settings: ViewSettings, frames_of: Sequence[int]) -> np.ndarray:
    """Return a clip's features in the type they are stored in.

    Args:
        encoded: What the encoder made of it.
        settings: Of the view.
        frames_of: The layers whose frames `encoded` has, those of the view among them.

    Returns:
        Shape (L, D), (L, 2 D) with deviations, (T, R, D) of frames, or (T, Q) of codes.

    Raises:
        AudioError: If a number is not finite, or does not fit the type.
    """
    if settings.kind == CODES:
        assert encoded.codes is not None
        codes: np.ndarray = encoded.codes[:, : settings.codebooks].numpy()
        return codes.astype(settings.stored_dtype)
    if settings.kind == FRAMES:
        assert encoded.frames is not None
        places = [list(frames_of).index(layer) for layer in settings.layers]
        features = mean_of_every(encoded.frames[:, places], settings.every).numpy()
    else:
        assert encoded.moments is not None
        features = pool(encoded.moments, settings.pooling).numpy()
    if not np.isfinite(features).all():
        cure = (
            "drop the row" if settings.compute_dtype == "float32" else "use a wider compute_dtype"
        )
        raise AudioError(NONFINITE, f"the encoder gave NaN or infinity; {cure}.")
    limit = float(np.finfo(settings.stored_dtype).max)
    largest = float(np.abs(features).max())
    if largest > limit:
        raise AudioError(
            NONFINITE,
            f"a feature of {largest:g} does not fit {settings.stored_dtype}; "
            "set extract.stored_dtype to float32.",
        )
    return features.astype(settings.stored_dtype)
