"""The stretches of a recording, one after another, in the memory of one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.audio import outcomes
from pipeline.audio.decoding import Recording, open_recording
from pipeline.audio.segments import Segment
from pipeline.errors import AudioError
from pipeline.segmentation.config import SegmentsConfig
from pipeline.segmentation.cutting import Cutter, Span, Windows
from pipeline.segmentation.speech import Detector, Speech

Heard = Callable[[float], None]  # is told of seconds that have gone by


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """How recordings are cut.

    Attributes:
        config: The numbers.
        detector: Of speech; None cuts into windows.
    """

    config: SegmentsConfig
    detector: Detector | None = None

    @property
    def identity(self) -> dict[str, object]:
        """What a stretch depends on beside the recording, plain JSON values."""
        detector = None if self.detector is None else self.detector.identity
        return {"detector": detector, **asdict(self.config)}

    def cutter(self, recording: Recording) -> Cutter:
        """Return what cuts this recording."""
        about = recording.num_samples, recording.sample_rate, self.config
        return Windows(*about) if self.detector is None else Speech(*about, self.detector)


class Stretches:
    """A recording that is open, and its stretches; to be gone through once, within a `with`.

    Attributes:
        duration: Seconds, as the header promises; what is less is refused when it is reached.
        sample_rate: Hertz.
    """

    def __init__(self, path: Path, segmentation: Segmentation, heard: Heard) -> None:
        """Open the recording.

        Args:
            path: The file.
            segmentation: How it is cut.
            heard: Is told of the seconds of each block that has gone by.

        Raises:
            AudioError: If it cannot be used.
        """
        self._stack = ExitStack()
        self._recording = self._stack.enter_context(open_recording(path))
        self._path, self._cutter, self._heard = path, segmentation.cutter(self._recording), heard
        self.sample_rate = self._recording.sample_rate
        self.duration = self._recording.num_samples / self.sample_rate
        if not self._recording.num_samples:
            self._stack.close()
            raise AudioError(outcomes.TOO_SHORT, "holds no samples; record it again.")

    def __enter__(self) -> "Stretches":
        return self

    def __exit__(self, *about: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[tuple[Span, np.ndarray]]:
        """Yield each stretch and its mono samples at the file's rate, in the order of their ends.

        Raises:
            AudioError: If the recording cannot be used further on.
        """
        rate = self.sample_rate
        held, first = np.zeros(0, np.float32), 0  # samples, and the number of their first
        for block in self._recording.blocks:
            held = np.concatenate([held, block])
            for span in self._cutter.hear(block):
                yield span, self._samples(held, first, span)
            needed = min(self._cutter.needed_from * rate, first + len(held))
            held, first = held[max(int(needed) - first, 0) :], max(int(needed), first)
            self._heard(len(block) / rate)
        for span in self._cutter.finish():
            yield span, self._samples(held, first, span)

    def place(self, span: Span) -> Segment:
        """Return where a stretch is, as a manifest would say it."""
        return Segment(path=self._path, start=span.start, end=span.end)

    def _samples(self, held: np.ndarray, first: int, span: Span) -> np.ndarray:
        start, end = (round(time * self.sample_rate) - first for time in span)
        return held[start:end].copy()
