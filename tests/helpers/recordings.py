"""Recordings of noise, and how they are read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio.decoding import Clip, read_clip
from pipeline.audio.segments import Segment
from pipeline.errors import AudioError

RATE = 16000


MakeWav = Callable[..., Path]


def noise(num_samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal((num_samples, channels))).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write float samples, so that what is read back is what was written."""
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def read(path: Path, max_kept_s: float = 30.0, **segment: float) -> Clip:
    return read_clip(Segment(path=path, **segment), sample_rate=RATE, max_kept_s=max_kept_s)


def refused(path: Path, **segment: float) -> AudioError:
    with pytest.raises(AudioError) as caught:
        read(path, **segment)
    return caught.value
