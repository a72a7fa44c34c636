"""Two recipes beside the plain one, and stores that are brought to them under --replace."""

from pathlib import Path
from typing import Any

import numpy as np

from helpers.extraction import num_computed, run, table
from pipeline.store.reader import FeatureStore

DOUBLE = {"pooling": "mean_std"}
FULL = {"stored_dtype": "float32"}

Files = dict[str, Path]


def replaced(files: Files, root: Path, config: dict[str, Any], **options: Any) -> int:
    """Bring a store to a recipe under --replace; return how many clips met the encoder."""
    return num_computed(table(files), root, config=config, replace=True, **options)


def alone(files: Files, root: Path, config: dict[str, Any]) -> np.ndarray:
    """Return the features that a store of its own would have."""
    run(table(files), root, config=config)
    return features(files, root)


def features(files: Files, root: Path) -> np.ndarray:
    return FeatureStore.open(root).view("layers").read(list(files))
