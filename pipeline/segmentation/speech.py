"""Stretches of speech in a recording, by what a detector says of its frames."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from pipeline.audio.resampling import resampled
from pipeline.segmentation.config import SegmentsConfig
from pipeline.segmentation.cutting import Cutter, Span, SpeechFrames


class Detector(Protocol):
    """Says of each frame of a recording how likely it is speech.

    Attributes:
        sample_rate: Hertz of the samples that it wants.
        frame_samples: Samples of a frame.
        identity: What tells it from another detector.
    """

    sample_rate: int
    frame_samples: int
    identity: str

    def begin(self) -> None:
        """Forget what was heard: another recording begins."""

    def probabilities(self, frames: np.ndarray) -> np.ndarray:
        """Return the probability of speech of the next frames (T, frame_samples), shape (T,)."""


class Speech(Cutter):
    """The speech of one recording; its times are whole frames of the detector."""

    def __init__(
        self, num_samples: int, sample_rate: int, config: SegmentsConfig, detector: Detector
    ) -> None:
        """Begin a recording of `num_samples` at `sample_rate` hertz."""
        self._detector = detector
        self._duration = num_samples / sample_rate
        self._frame_s = detector.frame_samples / detector.sample_rate
        self._frames = SpeechFrames(config, self._frame_s)
        self._waiting: list[np.ndarray] = []
        self._left = np.zeros(0, np.float32)  # less than a frame
        self._resampled = resampled(self._blocks(), sample_rate, detector.sample_rate)
        detector.begin()

    def hear(self, block: np.ndarray) -> list[Span]:
        """Return the speech that is complete with these samples."""
        self._waiting.append(block)
        return self._hear(next(self._resampled))

    def finish(self) -> list[Span]:
        """Return the speech that ends with the recording; its last frame is filled with zeros."""
        rest = np.concatenate([np.zeros(0, np.float32), *self._resampled])
        whole = -(len(self._left) + len(rest)) % self._detector.frame_samples
        spans = self._hear(np.concatenate([rest, np.zeros(whole, np.float32)]))
        return spans + self._spans(self._frames.finish())

    def _blocks(self) -> Iterator[np.ndarray]:
        while self._waiting:
            yield self._waiting.pop()

    def _hear(self, samples: np.ndarray) -> list[Span]:
        samples = np.concatenate([self._left, samples])
        size = self._detector.frame_samples
        whole = len(samples) // size * size
        self._left = samples[whole:]
        found: list[tuple[int, int]] = []
        if whole:
            frames = samples[:whole].reshape(-1, size)
            found = self._frames.hear(self._detector.probabilities(frames).tolist())
        self.needed_from = self._frames.needed_from * self._frame_s
        return self._spans(found)

    def _spans(self, frames: list[tuple[int, int]]) -> list[Span]:
        return [
            Span(
                round(begin * self._frame_s, 6), min(round(end * self._frame_s, 6), self._duration)
            )
            for begin, end in frames
        ]
