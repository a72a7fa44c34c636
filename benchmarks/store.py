"""Reading a store: every byte held to its digest, every row where it is wanted.

    python benchmarks/store.py

Of all rows, baseline: each shard through h5py as any program would read it, unverified. Ceiling:
the bytes of the shards from the disk and their SHA-256, each shard forgotten at once; kept, as a
reader has to, they also cost the memory that they are put in.

Of a few random rows, baseline: a memory map of one array with nothing else in it, opened for each
reading. Ceiling: the SHA-256 of those rows, in memory.
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


def hashed(shards: list[Path], *, keep: bool = False) -> list[np.ndarray]:
    """Read shards and hash them, and return those that are kept."""
    kept = []
    for shard in shards:
        data = np.fromfile(shard, np.uint8)
        hashlib.sha256(data.data)
        kept += [data] * keep
    return kept


def mapped(path: Path, places: np.ndarray) -> np.ndarray:
    """Return rows of an array in a file, unverified."""
    found: np.ndarray = np.load(path, mmap_mode="r")[places]
    return found


@click.command()
@click.option("--rows", default=3000, show_default=True)
@click.option("--few", default=128, show_default=True)
@click.option("--repeats", default=5, show_default=True)
def main(rows: int, few: int, repeats: int) -> None:
    """Print seconds and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        ids = made_store(Path(folder) / "store", rows)
        view = FeatureStore.open(Path(folder) / "store").view("layers")
        shards = sorted(Path(folder).glob("store/views/layers/shards/*.h5"))
        ways = {
            "h5py, unverified": lambda: by_h5py(shards),
            "ours": lambda: view.read(ids),
            "ours, the last layer": lambda: view.read(ids, [24]),
            "fromfile and SHA-256, kept": lambda: hashed(shards, keep=True),
            "fromfile and SHA-256": lambda: hashed(shards),
        }
        every = in_turns(ways, repeats)
        array = Path(folder) / "all.npy"
        np.save(array, view.read(ids))
        places = np.random.default_rng(0).permutation(rows)[:few]
        asked = [ids[place] for place in places]
        found = view.read(asked)
        ways = {
            "memmap, unverified": lambda: mapped(array, places),
            "ours": lambda: view.read(asked),
            "SHA-256 alone": lambda: [hashlib.sha256(row.data).hexdigest() for row in found],
        }
        random = in_turns(ways, repeats)
    show(
        f"{rows} rows of [25, 1024] float16",
        every,
        ceiling="fromfile and SHA-256",
        goals={"ours": ".85 of the ceiling"},
    )
    print()
    show(
        f"{few} random rows of those",
        random,
        ceiling="SHA-256 alone",
        goals={"ours": "a tenth as fast as the memmap, each row checked"},
    )


if __name__ == "__main__":
    main()
