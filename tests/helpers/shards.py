"""A table of clips and a shard of them, made of their names."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.store.format import Shard
from pipeline.store.views import CLIP_COLUMNS

IDS = ["b", "a", "d/e f", "c", "é", "g", "h"]
RECIPE = {"view": "layers", "encoder": {"weights": "w", "flags": {"dim": 2}}, "pooling": "mean"}
DIGEST = "0f" * 32


def clips(ids: list[str], **columns: Any) -> pd.DataFrame:
    """Return a table of clips with features, rows in order."""
    values = {
        "utterance_id": ids,
        "start": np.nan,
        "end": np.nan,
        "channel": -1,
        "file_digest": [f"file of {name}" for name in ids],
        "audio_digest": [f"audio of {name}" for name in ids],
        "num_samples": range(16000, 16000 + len(ids)),
        "sample_rate": 16000,
        "duration": 1.0,
        "outcome": "ok",
        "message": "",
        "row": range(len(ids)),
    }
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    return pd.DataFrame({**values, **columns}).astype(kinds)


def shard_of(ids: list[str], **columns: Any) -> Shard:
    table = clips(ids, **columns)
    features = np.random.default_rng(0).normal(size=(int((table["row"] >= 0).sum()), 3, 2))
    return Shard(clips=table, features=features, recipe=RECIPE, provenance={"versions": {"a": "1"}})
