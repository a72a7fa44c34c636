"""Where stretches begin and end, told while a recording goes by.

Speech begins with a frame whose probability reaches `threshold` and ends before the first frame
below `exit_threshold` from which on, for `min_silence_s`, none reaches `threshold` again. What is
shorter than `min_speech_s` is dropped, the rest is longer by `pad_s` at both ends. Speech of
`max_speech_s` is cut before the least likely frame of its second half, without padding there.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.segmentation.config import SegmentsConfig

NEARLY = 0.01  # of a hop


class Span(NamedTuple):
    """A stretch of a recording, in seconds from its beginning."""

    start: float
    end: float


class Cutter(ABC):
    """Hears a recording block by block and tells the stretches that are complete.

    Attributes:
        needed_from: Seconds; what lies before is in no stretch that is still to come.
    """

    needed_from: float = 0.0

    @abstractmethod
    def hear(self, block: np.ndarray) -> list[Span]:
        """Return the stretches that are complete with these mono samples at the file's rate."""

    @abstractmethod
    def finish(self) -> list[Span]:
        """Return the stretches that end with the recording."""


class Windows(Cutter):
    """Windows of one length; the last one begins earlier, so that it ends with the recording."""

    def __init__(self, num_samples: int, sample_rate: int, config: SegmentsConfig) -> None:
        """Lay the windows over a recording of `num_samples` at `sample_rate` hertz."""
        self._spans = windows(num_samples / sample_rate, config.window_s, config.hop_s)
        self._rate = sample_rate
        self._heard = 0

    def hear(self, block: np.ndarray) -> list[Span]:
        """Return the windows that end within these samples."""
        self._heard += len(block)
        complete = []
        while self._spans and round(self._spans[0].end * self._rate) <= self._heard:
            complete.append(self._spans.pop(0))
        self.needed_from = self._spans[0].start if self._spans else math.inf
        return complete

    def finish(self) -> list[Span]:
        """Return nothing: the last window was complete with the last sample."""
        return []


def windows(duration: float, length: float, hop: float) -> list[Span]:
    """Return windows that cover a recording, each of `length` seconds but of a shorter recording.

    A last hop within a hundredth of a whole one is taken as whole: its window ends with the
    recording, and begins where it would.
    """
    if duration <= length:
        return [Span(0.0, duration)]
    hops = (duration - length) / hop
    is_whole = abs(hops - round(hops)) < NEARLY
    starts = [round(i * hop, 6) for i in range(round(hops) if is_whole else math.ceil(hops))]
    last = round(hops) * hop if is_whole else duration - length
    return [
        *(Span(start, round(start + length, 6)) for start in starts),
        Span(round(last, 6), duration),
    ]


class SpeechFrames:
    """Stretches of speech among frames, by the rule of this module; numbers of frames.

    Attributes:
        needed_from: No stretch that is still to come begins before this frame.
    """

    def __init__(self, config: SegmentsConfig, frame_s: float) -> None:
        """Begin a recording.

        Args:
            config: The rule.
            frame_s: Seconds of a frame.
        """

        def frames(seconds: float, least: int = 0) -> int:
            return max(round(seconds / frame_s), least)

        self._config = config
        self._silence = frames(config.min_silence_s, 1)
        self._shortest = frames(config.min_speech_s, 1)
        self._pad = min(frames(config.pad_s), self._silence // 2)
        self._longest = max(frames(config.max_speech_s) - 2 * self._pad, 2 * self._shortest)
        self._begin: int | None = None  # of the speech under way
        self._is_cut = False  # whether it begins where speech was cut
        self._quiet_from: int | None = None  # its end, if the silence lasts
        self._probabilities: list[float] = []  # of its frames
        self._count = 0

    @property
    def needed_from(self) -> int:
        """The first frame that a stretch still to come can begin with."""
        begin = self._count if self._begin is None else self._begin
        return max(begin - self._pad, 0)

    def hear(self, probabilities: Sequence[float]) -> list[tuple[int, int]]:
        """Return the stretches that are complete with these frames, as first and one past last."""
        found = [self._hear(float(one)) for one in probabilities]
        return [stretch for stretch in found if stretch is not None]

    def finish(self) -> list[tuple[int, int]]:
        """Return the speech that was under way at the end."""
        if self._begin is None:
            return []
        last = self._end(self._count if self._quiet_from is None else self._quiet_from)
        return [] if last is None else [last]

    def _hear(self, probability: float) -> tuple[int, int] | None:
        now = self._count
        self._count += 1
        if self._begin is None:
            if probability >= self._config.threshold:
                self._begin, self._probabilities, self._is_cut = now, [probability], False
            return None
        self._probabilities.append(probability)
        if probability >= self._config.threshold:
            self._quiet_from = None
        elif probability < self._config.exit_threshold and self._quiet_from is None:
            self._quiet_from = now
        if self._quiet_from is not None and now - self._quiet_from + 1 >= self._silence:
            return self._end(self._quiet_from)
        if now - self._begin + 1 >= self._longest:
            return self._cut()
        return None

    def _end(self, end: int) -> tuple[int, int] | None:
        assert self._begin is not None
        begin, pad = self._begin, 0 if self._is_cut else self._pad
        self._begin = self._quiet_from = None
        if end - begin < self._shortest:
            return None
        return max(begin - pad, 0), min(end + self._pad, self._count)

    def _cut(self) -> tuple[int, int]:
        assert self._begin is not None
        begin, pad = self._begin, 0 if self._is_cut else self._pad
        half = len(self._probabilities) // 2
        place = half + int(np.argmin(self._probabilities[half:]))
        self._begin, self._is_cut = begin + place, True
        self._probabilities = self._probabilities[place:]
        if self._quiet_from is not None:
            self._quiet_from = max(self._quiet_from, self._begin)
        return max(begin - pad, 0), self._begin
