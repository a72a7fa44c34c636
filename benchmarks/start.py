"""What training waits for before its first step: reading the features, and the standardiser's pass.

    python benchmarks/start.py

Of the whole start, baseline: the files read and hashed, and numpy's mean over what is in them, then
its deviations, both in float64. Ceiling: the files read and hashed. Of the pass alone, ceiling:
copying the features once. Memory is what the start needed beside what there was, at most.
"""

import hashlib
import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
from bench.memory import peak_of
from bench.rounds import in_turns, show
from bench.stores import made_store

from pipeline.dataset import StoredFeatures
from pipeline.heads.needs import LAYERS_OF_A_CLIP, FeatureShape
from pipeline.heads.standardiser import moments
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.sources.opening import Fits, open_source
from stages.allocation import keep_freed_memory

SHAPES = {"layers": FeatureShape(num_layers=25, dim=1024, last_layer=24, input_layer=0)}


def two_passes(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of features (N, L, D), each after a pass of its own."""
    blocks = [features[start : start + 1000] for start in range(0, len(features), 1000)]
    mean = sum(block.astype(np.float64).sum(0) for block in blocks) / len(features)
    scatter = sum(np.square(block.astype(np.float64) - mean).sum(0) for block in blocks)
    return mean, np.sqrt(scatter / len(features))


def hashed(shards: list[Path]) -> None:
    """Read files and hash them."""
    for shard in shards:
        hashlib.sha256(np.fromfile(shard, np.uint8).data)


@click.command()
@click.option("--rows", default=2000, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(rows: int, repeats: int) -> None:
    """Print seconds and ratios."""
    keep_freed_memory()  # as genser does
    with tempfile.TemporaryDirectory() as folder:
        ids = made_store(Path(folder) / "store", rows)
        told = {"utterance_id": ids, "path": ids, "corpus": "x", "speaker": "s", "split": "train"}
        write_manifest(Path(folder) / "m.csv", pd.DataFrame(told))
        manifest, every = read_manifest(Path(folder) / "m.csv"), np.arange(rows)
        shards = sorted(Path(folder).glob("store/views/layers/shards/*.h5"))
        features = StoredFeatures(manifest, {"": Path(folder) / "store"}).read(every)

        def ours() -> None:
            stored = StoredFeatures(manifest, {"": Path(folder) / "store"})
            source = open_source(stored, every, [LAYERS_OF_A_CLIP], (), device="cpu")
            Fits().standardisers(source, every, SHAPES, kind="dimension", over="all")

        def plain() -> None:
            hashed(shards)
            two_passes(features)

        needed, size = peak_of(ours), features.nbytes / 1e6
        print(f"memory: {needed / size:.2f} times the features; goal: 1.2 times")
        whole = {"read, two passes": plain, "ours": ours, "read": lambda: hashed(shards)}
        rate = 15 * rows / 50_000
        show(
            f"start of training on {rows} rows of [25, 1024]",
            in_turns(whole, repeats),
            ceiling="read",
            goals={"ours": f"{rate:.2f} s, 15 s of 50,000 rows"},
        )
        ways = {
            "two passes": lambda: two_passes(features),
            "ours": lambda: moments([features], "dimension"),
            "copy": features.copy,
        }
        show("the standardiser alone", in_turns(ways, repeats), ceiling="copy")


if __name__ == "__main__":
    main()
