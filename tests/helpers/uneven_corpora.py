"""Two corpora that lie apart, with classes and speakers uneven in them; heads of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.training import train_into
from pipeline.extraction.feature_tables import read_feature_table
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.classifier import LinearConfig, MLPConfig
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.logreg import LogRegConfig
from pipeline.heads.saved import load_head
from pipeline.heads.tokens import TokensConfig
from pipeline.heads.trunk import TrunkConfig
from pipeline.heads.twin import TwinConfig
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.training.config import TrainConfig

CLASSES = ("angry", "calm", "sad")
SMALL = TrunkConfig(width=16, num_blocks=1, num_heads=2)
HEAD_CONFIGS = {
    "logreg": LogRegConfig(strength=0.1),
    "linear": LinearConfig(input="all"),
    "mlp": MLPConfig(hidden=16),
    "genser": GenSERConfig(trunk=SMALL),
    "twin": TwinConfig(trunk=SMALL),
    "tokens": TokensConfig(input="none", acoustics="layers", hidden=16),
}


@pytest.fixture
def uneven(tmp_path: Path) -> tuple[Manifest, Path]:
    """Two corpora whose features lie apart, and speakers who lie apart in them.

    Corpus b has no clip of "sad", and class "angry" is three times as frequent as the others.
    """
    generator = np.random.default_rng(0)
    rows = []
    for speaker in range(10):
        for clip in range(10):
            corpus = "ab"[speaker % 2]
            label = "angry" if clip < 6 else ("sad" if clip > 7 and corpus == "a" else "calm")
            rows.append(
                {
                    "utterance_id": f"s{speaker}_{clip}",
                    "path": f"{speaker}_{clip}.wav",
                    "corpus": corpus,
                    "speaker": f"s{speaker}",
                    "split": ("train", "train", "train", "dev", "test")[speaker // 2],
                    "emotion": label,
                    "votes.angry": str(3 * (label == "angry")),
                    "votes.calm": str(1 + (label == "calm")),
                    "votes.sad": str(2 * (label == "sad")),
                }
            )
    table = pd.DataFrame(rows)
    features = generator.normal(size=(100, 2, 16)).astype(np.float32)
    places = table["emotion"].map(CLASSES.index).to_numpy()
    features[np.arange(100), :, places] += 4
    features += 5 * generator.normal(size=(10, 1, 16)).repeat(10, 0)  # of each speaker
    features[table["corpus"] == "b"] *= 7
    np.savez(tmp_path / "f.npz", utterance_id=table["utterance_id"].tolist(), features=features)
    ingest(read_feature_table(tmp_path / "f.npz"), tmp_path / "store", IngestConfig(), Silence())
    write_manifest(tmp_path / "m.csv", table)
    return read_manifest(tmp_path / "m.csv"), tmp_path / "store"


def trained(uneven, out: Path, **settings):
    manifest, store = uneven
    config = TrainConfig(
        **{
            "head": "logreg",
            "heads": {"logreg": LogRegConfig(strength=0.1)},
            "num_steps": 20,
            **settings,
        }
    )
    train_into(out, manifest, store, config)
    return load_head(out)


def scored(uneven, head, **settings) -> pd.DataFrame:
    manifest, store = uneven
    found = score_manifest(manifest, {"": store}, head, ScoreConfig(**settings), device="cpu")
    return found.table.to_pandas()
