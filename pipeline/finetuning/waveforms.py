"""A manifest's recordings as a source of waveforms: decoded batch by batch, by threads.

A first pass decodes each clip once and keeps only what it is: its length, its digest, or why it
cannot be used. Training decodes again, so memory is two batches, however large the corpus.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.audio.decoders import decoders
from pipeline.audio.decoding import read_clip, read_windows
from pipeline.audio.outcomes import OK
from pipeline.audio.roots import found_requests
from pipeline.audio.segments import Segment, segments
from pipeline.encoders.base import Encoder, normalised
from pipeline.errors import AudioError
from pipeline.extraction.encoding import decode
from pipeline.finetuning.network import WAVEFORMS
from pipeline.heads.batch import Batch
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Reporter
from pipeline.sources.source import Pool, Source, padded

HELD_S = 60.0  # of a longer clip the middle minute is all that is ever seen
NOT_WANTED = "not wanted"  # the outcome of a row that nobody looked at


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """What is known of a manifest's recordings.

    Attributes:
        segments: Where each row's clip is, N of them.
        outcomes: What became of each row: `ok`, or why it cannot be used.
        audio_digests: Digest of each row's decoded samples, "" where unknown.
        num_samples: At the encoder's rate, int64, shape (N,).
    """

    segments: Sequence[Segment]
    outcomes: pd.Series
    audio_digests: pd.Series
    num_samples: np.ndarray

    @property
    def has_features(self) -> np.ndarray:
        """Whether each row can be used, shape (N,)."""
        return (self.outcomes == OK).to_numpy()


def look_at(
    manifest: Manifest,
    audio_roots: Mapping[str, Path],
    wanted: np.ndarray,
    encoder: Encoder,
    *,
    workers: int,
    reporter: Reporter,
) -> Recordings:
    """Decode recordings once, as extraction would, and keep only what they are.

    Args:
        manifest: The manifest.
        audio_roots: Folder of each corpus.
        wanted: Which rows are looked at, bool, shape (N,).
        encoder: Whose rate and shortest clip count.
        workers: Threads.
        reporter: Hears of progress.

    Raises:
        ManifestError: If a corpus has no audio root, or none of its recordings is there.
    """
    places = segments(found_requests(manifest, audio_roots))
    rows = np.flatnonzero(wanted)
    outcomes = [NOT_WANTED] * len(places)
    digests = [""] * len(places)
    num_samples = np.zeros(len(places), np.int64)
    reporter.say(f"looking at {len(rows)} recordings")
    reporter.begin(len(rows))
    with decoders(workers) as executor:
        # Nothing is held of a clip that is longer than nothing.
        look = partial(decode, listener=encoder, max_duration_s=0.0)
        for row, found in zip(rows, executor.map(look, [places[i] for i in rows]), strict=True):
            if found.clip is None:
                assert found.error is not None
                outcomes[row] = found.error.outcome
                reporter.say(f"{manifest.store_ids[row]}: {found.error.outcome}: {found.error}")
            else:
                outcomes[row] = OK
                digests[row] = found.clip.audio_digest
                num_samples[row] = found.clip.num_resampled
            reporter.advance(1, found.clip.duration if found.clip else 0.0)
    return Recordings(
        segments=places,
        outcomes=pd.Series(outcomes, dtype="str"),
        audio_digests=pd.Series(digests, dtype="str"),
        num_samples=num_samples,
    )


class Waveforms(Source):
    """Some rows' waveforms, normalised as extraction does, in a batch under `WAVEFORMS`."""

    def __init__(
        self,
        recordings: Recordings,
        rows: np.ndarray,
        encoder: Encoder,
        *,
        workers: int,
        device: str,
    ) -> None:
        """Take rows that can be used."""
        self.num_clips = len(rows)
        held = int(HELD_S * encoder.sample_rate)
        self.lengths = np.minimum(recordings.num_samples[rows], held)
        self.shards = np.zeros(len(rows), np.int64)
        self.is_mixable = True
        self._segments = [recordings.segments[i] for i in rows]
        self._encoder = encoder
        self._workers = workers
        self._device = device

    def batches(self, plan: Iterable[Pool]) -> Iterator[Batch]:
        """Yield the batches of a plan; the next one is decoded meanwhile.

        Raises:
            AudioError: If a recording is no longer what it was.
        """
        with decoders(self._workers) as executor:

            def submit(positions: np.ndarray) -> list[Future[np.ndarray]]:
                return [executor.submit(self._read, self._segments[int(i)]) for i in positions]

            coming = (submit(positions) for pool in plan for positions in pool)
            current = next(coming, None)
            while current is not None:
                following = next(coming, None)
                clips = [future.result() for future in current]
                yield Batch(views={WAVEFORMS: padded(clips, self._device)})
                current = following

    def _read(self, segment: Segment) -> np.ndarray:
        try:
            return waveform_of(segment, self._encoder)
        except AudioError as error:
            raise AudioError(error.outcome, f"{segment.path}: {error}") from error


def waveform_of(segment: Segment, encoder: Encoder) -> np.ndarray:
    """Return a clip as an encoder wants it, float32; the middle of one longer than `HELD_S`.

    Raises:
        AudioError: If it cannot be used.
    """
    rate = encoder.sample_rate
    clip = read_clip(segment, sample_rate=rate, max_kept_s=HELD_S)
    waveform = clip.waveform
    if waveform is None:
        held = int(HELD_S * rate)
        lengths = [(clip.num_resampled - held) // 2, held]
        _, waveform = read_windows(segment, sample_rate=rate, lengths=lengths)
    return normalised(waveform, mean=clip.mean, variance=clip.variance, how=encoder.normalisation)
