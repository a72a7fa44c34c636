"""Recordings whose speech is known, a detector of loudness, and a head that hears it too."""

import itertools
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile

from helpers.extraction import KILLED, forked, outcome
from pipeline.manifests.numbers import ENDS, Scale
from pipeline.progress import Reporter, Silence
from pipeline.scoring.long_recordings import predict_recordings
from pipeline.scoring.loose_clips import LooseClip, LoosePrediction
from pipeline.segmentation.config import SegmentsConfig
from pipeline.segmentation.stretches import Segmentation

FRAME = 512  # samples at 16 kHz
QUIET, SOFT, LOUD = 0.0001, 0.1, 0.8
AT_ONCE = 2
HALF_WAVES = np.array([1.0, -1.0])  # of 400 Hz


class EnergyDetector:
    """Speech is what is louder than silence."""

    sample_rate = 16000
    frame_samples = FRAME
    identity = "energy"

    def begin(self) -> None:
        """Keeps nothing."""

    def probabilities(self, frames: np.ndarray) -> np.ndarray:
        loud = np.sqrt(np.square(frames, dtype=np.float64).mean(1)) > 10 * QUIET
        return loud.astype(np.float32)


class LoudnessHead:
    """What is loud is angry, or high on a scale; keeps which stretches it was asked about."""

    def __init__(self, name: str = "loudness", scale: Scale | None = None) -> None:
        self.identity = {"head": name}
        self.heard: list[LooseClip] = []
        self.trained = SimpleNamespace(
            classes=("calm", "angry") if scale is None else ENDS,
            task="emotion" if scale is None else "arousal",
            digest="0" * 64,
            record=SimpleNamespace(scale=scale),
        )

    def pieces(self, clips: Iterable[LooseClip], pool: Executor) -> Iterator[list[LoosePrediction]]:
        clips = iter(clips)
        while piece := list(islice(clips, AT_ONCE)):
            self.heard += piece
            yield [self._say(clip) for clip in piece]

    def _say(self, clip: LooseClip) -> LoosePrediction:
        assert clip.samples is not None
        angry = float(np.abs(clip.samples).max())
        scale = self.trained.record.scale
        if scale is not None:
            number = float(scale.values(np.array([angry]))[0])
            return LoosePrediction(place=clip.place, probabilities={}, number=number)
        return LoosePrediction(place=clip.place, probabilities={"calm": 1 - angry, "angry": angry})


def session(path: Path, parts: Sequence[tuple[int, float]], rate: int = 16000) -> Path:
    """Write parts of so many frames each, each as loud as it says."""
    samples = [
        level * HALF_WAVES[np.arange(num * FRAME * rate // 16000) * 800 // rate % 2]
        for num, level in parts
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate(samples), rate, subtype="PCM_16")
    return path


def speech(**config: float) -> Segmentation:
    return Segmentation(config=SegmentsConfig(**config), detector=EnergyDetector())


def windows(**config: float) -> Segmentation:
    return Segmentation(config=SegmentsConfig(**config))


def predict(
    out: Path,
    paths: Sequence[Path],
    segmentation: Segmentation,
    head: LoudnessHead | None = None,
    reporter: Reporter | None = None,
) -> int:
    return predict_recordings(
        out,
        paths,
        head or LoudnessHead(),  # type: ignore[arg-type]
        segmentation,
        workers=1,
        reporter=reporter or Silence(),
    )


def killed_at_every_flush(root: Path, work: Callable[[Path], object]) -> Iterator[tuple[int, Path]]:
    """Yield the folder of each run that died before its n-th flush, until one gets through."""
    for event in itertools.count():
        folder = root / f"out{event}"

        def doomed(event: int = event, folder: Path = folder) -> None:
            events = itertools.count()

            def touched(_: int) -> None:
                if next(events) == event:
                    os.kill(os.getpid(), signal.SIGKILL)

            os.fsync = touched  # type: ignore[assignment]
            work(folder)

        code = outcome(forked(doomed))
        if code == 0:
            return
        assert code == KILLED
        yield event, folder
