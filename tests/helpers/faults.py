"""A store of seven clips in four shards, filled from their names, to be damaged."""

from pathlib import Path

import numpy as np

from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.progress import Silence
from pipeline.store.reader import FeatureStore

IDS = ["b", "a", "d", "c", "f", "e", "g"]
TABLES = ["index.parquet", "views/layers/outcomes.parquet", "views/layers/recipe.json"]
SHARDS = [f"views/layers/shards/{number:06d}.h5" for number in range(4)]
CONFIG = IngestConfig(rows_per_shard=2)


def fill(root: Path, ids: list[str] = IDS, *, changed: str = "") -> int:
    """Bring a store up to date with these clips, made of their names; return how many were made."""
    seeds = [ord(name) + 100 * (name in changed) for name in ids]
    features = np.stack([np.random.default_rng(seed).normal(size=(3, 2)) for seed in seeds])
    return ingest(FeatureTable(utterance_ids=ids, features=features), root, CONFIG, Silence())


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too."""
    files = (path for path in root.rglob("*") if not path.is_dir())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def read_everything(root: Path) -> None:
    """Read every byte of a store as training would."""
    store = FeatureStore.open(root)
    assert len(store.index) == len(IDS)
    for name in store.views:
        view = store.view(name)
        assert len(view.records) == len(IDS)
        for number in store.contents.shard_numbers(name):
            view.shard(number)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << place % 8
    path.write_bytes(data)
