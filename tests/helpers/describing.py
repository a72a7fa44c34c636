"""Recordings of made-up voices whose pitch, loudness and speed are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from pipeline.descriptions.prosody import SAMPLE_RATE
from pipeline.manifests.manifest import write_manifest

CLIPS_PER_SPEAKER = 10
SPEAKERS = {
    "a": ("female", "train", 220.0),
    "b": ("male", "train", 110.0),
    "c": ("female", "test", 260.0),
}


def voice(hertz: np.ndarray | float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    """Return eight harmonics of a pitch, which may change from sample to sample."""
    num = round(seconds * SAMPLE_RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, num)) / SAMPLE_RATE
    sound = np.sum([np.sin(k * phase) / k for k in range(1, 9)], axis=0)
    return (level * sound).astype(np.float32)


def write_voices(folder: Path, **columns: Any) -> Path:
    """Write clips of three speakers and their manifest.

    A speaker's clip number i is higher, livelier and louder the larger i is.
    """
    rows = []
    for speaker, (gender, split, lowest) in SPEAKERS.items():
        for i in range(CLIPS_PER_SPEAKER):
            wave = 1 + 0.02 * i * np.sin(np.arange(round(0.4 * SAMPLE_RATE)) / 900)
            path = Path(speaker, f"{i}.wav")
            (folder / "audio" / speaker).mkdir(parents=True, exist_ok=True)
            sound = voice(lowest * 2 ** (i / 24) * wave, 0.4, 0.02 * 1.2**i)
            soundfile.write(folder / "audio" / path, sound, SAMPLE_RATE)
            rows.append(
                {
                    "utterance_id": f"{speaker}{i}",
                    "path": path.as_posix(),
                    "corpus": "voices",
                    "speaker": speaker,
                    "gender": gender,
                    "split": split,
                    "emotion": ("angry", "sad")[i % 2],
                }
            )
    write_manifest(folder / "manifest.csv", pd.DataFrame(rows).assign(**columns))
    return folder / "manifest.csv"
