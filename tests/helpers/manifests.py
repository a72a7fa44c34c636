"""Manifests as a person writes them."""

from pathlib import Path

import numpy as np
import pandas as pd

SUFFIXES = (".csv", ".jsonl", ".parquet")


def csv(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "utterance_id": ["a/1", "b 2", "ç3"],
            "path": ["x/a.wav", "x/b.wav", "x/ç.wav"],
            "corpus": ["one", "one", "two"],
            "speaker": ["s", "s", "t"],
            "split": ["train", "dev", ""],
            "start": [0.1 + 0.2, np.nan, 0.0],
            "end": [1 / 3, np.nan, 1e-7],
            "channel": [1, -1, 2],
            "num_samples": [16000, 3, -1],
            "emotion": ["happy", "", "sad"],
            "votes.happy": [2.0, 0.0, np.nan],
            "text": ['say "hi", twice', "", "line\nbreak"],
        }
    )
