"""Clips of frames, some long, some none, and a shard of them, made of their names."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.store.format import Shard
from pipeline.store.turns import enter_turn
from pipeline.store.views import CLIP_COLUMNS, FRAMES
from pipeline.store.writer import ViewWriter

LENGTHS = {"b": 70, "a": 1, "silent": None, "c": 0, "d": 130, "e": 64}
RECIPE = {"view": FRAMES, "encoder": {"weights": "w"}, "rows": [1, 3]}


def clips(lengths: dict[str, int | None]) -> pd.DataFrame:
    """Return a table of clips, those of length None without features."""
    has = np.array([length is not None for length in lengths.values()], dtype=bool)
    values = {
        "utterance_id": list(lengths),
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "file_digest": [f"file of {name}" for name in lengths],
        "audio_digest": "",
        "num_samples": 16000,
        "sample_rate": 16000,
        "duration": 1.0,
        "outcome": np.where(has, "ok", "silent"),
        "message": "",
        "row": np.where(has, np.cumsum(has) - 1, -1),
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame(values).astype(kinds)


def frames_of(name: str, length: int) -> np.ndarray:
    return np.random.default_rng(list(name.encode())).normal(size=(length, 2, 3)).astype("f4")


def known(lengths: dict[str, int | None]) -> dict[str, int]:
    return {name: length for name, length in lengths.items() if length is not None}


def shard_of(lengths: dict[str, int | None]) -> Shard:
    parts = [frames_of(name, length) for name, length in known(lengths).items()]
    return Shard(
        clips=clips(lengths),
        features=np.concatenate([np.empty((0, 2, 3), "f4"), *parts]),
        recipe=RECIPE,
        provenance={},
        offsets=np.cumsum([0, *known(lengths).values()], dtype=np.int64),
    )


def write_ragged(folder: Path) -> Path:
    """Write a store of one ragged view: six clips in two shards, one of them without features."""
    names = list(LENGTHS)
    with enter_turn(folder):
        writer = ViewWriter(folder, FRAMES, RECIPE, {})
        for number, part in enumerate((names[:4], names[4:])):
            writer.publish(number, shard_of({name: LENGTHS[name] for name in part}))
        writer.commit([0, 1], keep=None)
    return folder
