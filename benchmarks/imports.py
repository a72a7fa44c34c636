"""What short commands take: scoring some clips, and reporting on them.

    python benchmarks/imports.py

Baselines: a Python that imports what the command cannot do without, and does nothing. Each is a
process of its own.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
from bench.rounds import in_turns, show
from bench.stores import made_store

from pipeline.heads.genser import GenSERConfig
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.training.config import TrainConfig
from pipeline.training.train import train_manifest

ROOT = Path(__file__).resolve().parents[1]
SCORE = "import torch, pandas, pyarrow.parquet, h5py"
REPORT = "import matplotlib.figure, pandas, pyarrow.parquet, jinja2"


def run(folder: Path, *words: str) -> None:
    """Run Python in a folder, this genser on its path."""
    subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )


def make_scene(folder: Path, rows: int, dim: int) -> None:
    """Make a store, its manifest of 24 speakers and 8 classes, and a head of the default kind."""
    ids = made_store(folder / "store", rows, layers=5, dim=dim)
    places = np.arange(rows)
    speakers = places % 24
    told = {"utterance_id": ids, "path": ids, "corpus": "x"}
    table = pd.DataFrame(told).assign(
        speaker=[f"s{i}" for i in speakers],
        split=np.select([speakers < 16, speakers < 20], ["train", "dev"], "test"),
        emotion=[f"e{i}" for i in places // 24 % 8],
    )
    write_manifest(folder / "m.csv", table)
    train_manifest(
        read_manifest(folder / "m.csv"),
        {"": folder / "store"},
        task="emotion",
        label_map=None,
        config=TrainConfig(num_steps=25, heads={"genser": GenSERConfig()}),
        out=folder / "head",
        allow_overlap=False,
        device="cpu",
        reporter=Silence(),
    )


@click.command()
@click.option("--rows", default=1440, show_default=True)
@click.option("--dim", default=384, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(rows: int, dim: int, repeats: int) -> None:
    """Print seconds and ratios."""
    read = ("--head", "head", "--store", "store")
    score = ("score", "m.csv", *read, "--out", "p.parquet")
    report = ("report", "p.parquet", "--manifest", "m.csv", "--out", "r")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_scene(folder, rows, dim)
        commands = {"score": score, "report": report, "report of the head": (*report, *read)}
        ways = {
            label: partial(run, folder, "-m", "stages.cli", *words)
            for label, words in commands.items()
        }
        times = in_turns(
            {
                "imports of score": lambda: run(folder, "-c", SCORE),
                "imports of report": lambda: run(folder, "-c", REPORT),
                **ways,
            },
            repeats,
        )
    for floor, labels in (
        ("imports of score", ["score"]),
        ("imports of report", ["report", "report of the head"]),
    ):
        show(
            f"{rows} rows of [5, {dim}]",
            {label: times[label] for label in (floor, *labels)},
            goals={"score": "1.8 CPU s", "report of the head": "8 CPU s"},
        )


if __name__ == "__main__":
    main()
