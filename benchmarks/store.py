"""Reading a store: every byte held to its digest, every row where it is wanted.

    python benchmarks/store.py

Baseline: each shard through h5py as any program would read it, unverified. Ceiling: its bytes from
the disk and their SHA-256.
"""

import hashlib
import tempfile
from pathlib import Path

import click
import h5py
import numpy as np
from bench.rounds import in_turns, show
from bench.stores import made_store

from pipeline.store.reader import FeatureStore


def by_h5py(shards: list[Path]) -> np.ndarray:
    """Return the features of shards, one after another."""
    parts = []
    for shard in shards:
        with h5py.File(shard) as file:
            parts.append(file["features"][()])
    return np.concatenate(parts)


def hashed(shards: list[Path]) -> None:
    """Read shards and hash them."""
    for shard in shards:
        hashlib.sha256(np.fromfile(shard, np.uint8).data)


@click.command()
@click.option("--rows", default=3000, show_default=True)
@click.option("--repeats", default=5, show_default=True)
def main(rows: int, repeats: int) -> None:
    """Print seconds and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        ids = made_store(Path(folder), rows)
        view = FeatureStore.open(Path(folder)).view("layers")
        shards = sorted(Path(folder).glob("views/layers/shards/*.h5"))
        few = np.random.default_rng(0).permutation(ids)[:128].tolist()
        ways = {
            "h5py, unverified": lambda: by_h5py(shards),
            "ours": lambda: view.read(ids),
            "ours, the last layer": lambda: view.read(ids, [24]),
            "ours, 128 random rows": lambda: view.read(few),
            "fromfile and SHA-256": lambda: hashed(shards),
        }
        times = in_turns(ways, repeats)
    show(f"{rows} rows of [25, 1024] float16", times, ceiling="fromfile and SHA-256")


if __name__ == "__main__":
    main()
