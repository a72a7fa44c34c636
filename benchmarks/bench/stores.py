"""Stores of made-up features, of the shape that a large HuBERT gives."""

from pathlib import Path

import numpy as np

from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.progress import Silence


def made_store(root: Path, rows: int, *, layers: int = 25, dim: int = 1024) -> list[str]:
    """Make a store of that many rows of float16, and return their ids in its order."""
    ids = [f"clip{i:07d}" for i in range(rows)]
    features = np.random.default_rng(0).normal(size=(rows, layers, dim)).astype(np.float16)
    config = IngestConfig(stored_dtype="float16", last_layer=layers - 1)
    ingest(FeatureTable(utterance_ids=ids, features=features), root, config, Silence())
    return ids
