"""Scoring from a store: the default head, clips in batches, shards passing by.

    python benchmarks/score.py

Baseline: a clip at a time, each read by its id. Ceiling: reading the features, which every way has
to do. The memory is what the process needed beside what it had before, at most.
"""

import tempfile
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from bench.memory import peak_of
from bench.rounds import in_turns, show
from bench.stores import made_store

from pipeline.dataset import StoredFeatures
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import build_head
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import LAYERS_OF_A_CLIP, FeatureShape
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.sources.inference import score_source
from pipeline.sources.opening import open_source
from pipeline.sources.passing import Passing
from stages.allocation import keep_freed_memory

SHAPES = {"layers": FeatureShape(num_layers=25, dim=1024, last_layer=24, input_layer=0)}
LONE = 32  # clips that the baseline is timed with


@click.command()
@click.option("--rows", default=2048, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--steps", default=(1, 4, 20), show_default=True, multiple=True, help="N.")
def main(rows: int, repeats: int, steps: tuple[int, ...]) -> None:
    """Print seconds and ratios."""
    keep_freed_memory()  # as genser does
    torch.manual_seed(0)
    head = build_head("genser", SHAPES, 8, GenSERConfig()).eval()
    needs = [LAYERS_OF_A_CLIP]
    with tempfile.TemporaryDirectory() as folder:
        ids = made_store(Path(folder) / "store", rows)
        told = {"utterance_id": ids, "path": ids, "corpus": "x", "speaker": "s", "split": "test"}
        write_manifest(Path(folder) / "m.csv", pd.DataFrame(told))
        manifest = read_manifest(Path(folder) / "m.csv")
        features = StoredFeatures(manifest, {"": Path(folder) / "store"})
        every = np.arange(rows)

        def passing(chosen: np.ndarray, options: SamplerConfig) -> None:
            source = Passing(features, chosen, needs, device="cpu")
            score_source(head, source, options, device="cpu", precision="float32")

        def in_memory(options: SamplerConfig) -> None:
            source = open_source(features, every, needs, (), device="cpu")
            score_source(head, source, options, device="cpu", precision="float32")

        @torch.inference_mode()
        def alone(options: SamplerConfig) -> None:
            for i in range(LONE):
                read = torch.from_numpy(features.read(every[i : i + 1])).float()
                head.scores(Batch(views={"layers": read}), options)

        one = SamplerConfig(num_steps=1)
        passing(every[:256], one)
        for part in (rows // 2, rows):
            needed = peak_of(partial(passing, every[:part], one))
            print(f"{part} rows pass by: {needed:.0f} MB beside what there was")
        print(f"{rows} rows in memory: {peak_of(partial(in_memory, one)):.0f} MB; goal: flat")
        for number in steps:
            options = SamplerConfig(num_steps=number)
            ways = {
                "a clip at a time": partial(alone, options),
                "in memory": partial(in_memory, options),
                "passing by": partial(passing, every, options),
                "reading": lambda: features.read(every),
            }
            times = in_turns(ways, repeats)
            scale = rows / LONE
            lone = [(c * scale, w * scale) for c, w in times["a clip at a time"]]
            show(
                f"{rows} rows of [25, 1024], N = {number}",
                {**times, "a clip at a time": lone},
                ceiling="reading",
                goals={"passing by": "60 times"},
            )


if __name__ == "__main__":
    main()
