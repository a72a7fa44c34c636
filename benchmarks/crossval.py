"""A cross-validation of five heads over five folds: each run alone, together, and side by side.

    python benchmarks/crossval.py

Baseline: 'train', then 'score', for each head and fold, which read the store anew. All have one
thread each, so what they write must be the same, to the byte.
"""

import tempfile
from itertools import count
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from bench.rounds import in_turns, show
from bench.stores import made_store
from threadpoolctl import threadpool_limits

from pipeline.engines.base import SERIAL, Engine
from pipeline.engines.processes import Processes
from pipeline.experiments.crossval import RUNS, cross_validate
from pipeline.experiments.plan import Plan, System
from pipeline.heads.saved import load_head
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.training.config import TrainConfig
from pipeline.training.train import train_manifest

HEADS = ("genser", "linear", "mlp", "twin", "logreg")
FOLDS, CLASSES, WORKERS = 5, 4, 2


def folded(ids: list[str]) -> pd.DataFrame:
    """Return a manifest whose speakers, ten of them, are dealt out to the folds."""
    places = np.arange(len(ids))
    speakers = places % 10
    told = {"utterance_id": ids, "path": ids, "corpus": "x", "emotion": places // 10 % CLASSES}
    table = pd.DataFrame(told).astype({"emotion": "str"})
    for fold in range(FOLDS):
        turn = (speakers + 2 * fold) % 10 // 2
        table[f"split.{fold + 1}"] = np.select([turn == 0, turn == 1], ["test", "dev"], "train")
    return table.assign(speaker=[f"s{i}" for i in speakers])


@click.command()
@click.option("--rows", default=1200, show_default=True)
@click.option("--layers", default=13, show_default=True)
@click.option("--dim", default=128, show_default=True)
@click.option("--steps", default=40, show_default=True)
@click.option("--repeats", default=2, show_default=True)
def main(rows: int, layers: int, dim: int, steps: int, repeats: int) -> None:
    """Print seconds and ratios, and whether the files are the same."""
    torch.set_num_threads(1)
    train = TrainConfig(num_steps=steps)
    systems = {
        head: System(train=TrainConfig(head=head, num_steps=steps), score=ScoreConfig())
        for head in HEADS
    }
    plan = Plan(
        systems=systems,
        seeds=(train.seed,),
        task="emotion",
        label_map=None,
        allow_overlap=False,
        device="cpu",
    )
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder, turns = Path(name), count()
        ids = made_store(folder / "store", rows, layers=layers, dim=dim)
        write_manifest(folder / "m.csv", folded(ids))
        manifest = read_manifest(folder / "m.csv")
        folds = {fold: manifest.of_fold(fold) for fold in manifest.folds}
        stores = {"": folder / "store"}

        def alone() -> None:
            for fold in folds.values():
                for system in systems.values():
                    out = folder / f"alone-{next(turns)}"
                    train_manifest(
                        fold,
                        stores,
                        task="emotion",
                        label_map=None,
                        config=system.train,
                        out=out,
                        allow_overlap=False,
                        device="cpu",
                        reporter=Silence(),
                    )
                    score_manifest(fold, stores, load_head(out), system.score, device="cpu")

        def together(kind: str, engine: Engine) -> None:
            out = folder / f"{kind}-{next(turns)}"
            cross_validate(folds, stores, plan, out, reporter=Silence(), engine=engine)

        ways = {
            "train, then score": alone,
            "crossval": lambda: together("serial", SERIAL),
            f"crossval, {WORKERS} processes": lambda: together("beside", Processes(WORKERS)),
        }
        times = in_turns(ways, repeats)
        written = [
            {str(p.relative_to(out)): p.read_bytes() for p in (out / RUNS).rglob("*.parquet")}
            for kind in ("serial", "beside")
            for out in folder.glob(f"{kind}-*")
        ]
    show(
        f"{FOLDS} folds x {len(HEADS)} heads, {rows} rows of [{layers}, {dim}]",
        times,
        goals={f"crossval, {WORKERS} processes": "1.8 times in wall time"},
    )
    is_same = all(len(one) == FOLDS * len(HEADS) and one == written[0] for one in written)
    print("files of both kinds of crossval: " + ("the same bytes" if is_same else "THEY DIFFER"))


if __name__ == "__main__":
    main()
