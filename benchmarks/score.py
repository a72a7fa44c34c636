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
from bench.rounds import Work, in_turns, show
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

SHAPES = {"layers": FeatureShape(num_layers=25, dim=1024, last_layer=24, input_layer=0)}
LONE = 32  # clips that the baseline is timed with


def peak_of(work: Work) -> float:
    """Return how much memory a work needs beside what there is, at most, in MB (Linux alone)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before = _told("VmRSS")
    work()
    return (_told("VmHWM") - before) / 1024


def _told(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@click.command()
@click.option("--rows", default=2048, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--steps", default=4, show_default=True, help="Of the sampler.")
def main(rows: int, repeats: int, steps: int) -> None:
    """Print seconds and ratios."""
    torch.manual_seed(0)
    head = build_head("genser", SHAPES, 8, GenSERConfig()).eval()
    options, needs = SamplerConfig(num_steps=steps), [LAYERS_OF_A_CLIP]
    with tempfile.TemporaryDirectory() as folder:
        ids = made_store(Path(folder) / "store", rows)
        told = {"utterance_id": ids, "path": ids, "corpus": "x", "speaker": "s", "split": "test"}
        write_manifest(Path(folder) / "m.csv", pd.DataFrame(told))
        manifest = read_manifest(Path(folder) / "m.csv")
        features = StoredFeatures(manifest, {"": Path(folder) / "store"})
        every = np.arange(rows)

        def passing(chosen: np.ndarray) -> None:
            source = Passing(features, chosen, needs, device="cpu")
            score_source(head, source, options, device="cpu", precision="float32")

        def in_memory() -> None:
            source = open_source(features, every, needs, (), device="cpu")
            score_source(head, source, options, device="cpu", precision="float32")

        @torch.inference_mode()
        def alone() -> None:
            read = torch.from_numpy(features.read(every[:LONE]))
            for i in range(LONE):
                head.scores(Batch(views={"layers": read[i : i + 1].float()}), options)

        passing(every[:256])
        for part in (rows // 2, rows):
            needed = peak_of(partial(passing, every[:part]))
            print(f"{part} rows pass by: {needed:.0f} MB beside what there was")
        print(f"{rows} rows in memory: {peak_of(in_memory):.0f} MB")
        ways = {
            "a clip at a time": alone,
            "in memory": in_memory,
            "passing by": lambda: passing(every),
            "reading": lambda: features.read(every),
        }
        times = in_turns(ways, repeats)
    scale = rows / LONE
    times["a clip at a time"] = [(c * scale, w * scale) for c, w in times["a clip at a time"]]
    show(f"{rows} rows of [25, 1024], N = {steps}", times, ceiling="reading")


if __name__ == "__main__":
    main()
