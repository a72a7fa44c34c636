"""A million rows: what each command takes of time and memory as a store grows.

    python benchmarks/million.py --out benchmarks/million

Stores of made-up clips, of speakers and classes that can be told apart, are written by the store's
own writer; then come the commands as anybody types them, each a process of its own. Seconds are of
CPU, memory is the most that the process had. It writes a table as Markdown and CSV, and a picture.
The larger sizes take 6 GB of disk.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parents[1]
SPEAKERS, CLASSES = 1000, 4
SIZES = (
    *(f"5x64:{rows}" for rows in (100_000, 300_000, 1_000_000)),
    *(f"25x1024:{rows}" for rows in (10_000, 30_000, 100_000)),
)
COLUMNS = ("shape", "rows", "command", "cpu_s", "wall_s", "peak_gb", "features_gb")


class Size(NamedTuple):
    """How many clips of which shape, (L, D) float16."""

    layers: int
    dim: int
    rows: int

    @classmethod
    def read(cls, text: str) -> "Size":
        """Read `LxD:ROWS`."""
        shape, _, rows = text.partition(":")
        layers, dim = shape.split("x")
        return cls(int(layers), int(dim), int(rows))

    @property
    def gigabytes(self) -> float:
        """Of the features."""
        return self.layers * self.dim * self.rows * 2 / 1e9


def write(folder: Path, size: Size) -> None:
    """Write a store of made-up clips and their manifest."""
    import numpy as np
    import pandas as pd

    from pipeline.extraction.feature_tables import FeatureTable
    from pipeline.extraction.ingest import IngestConfig, ingest
    from pipeline.manifests.manifest import write_manifest
    from pipeline.progress import Silence

    places = np.arange(size.rows)
    speakers = places % SPEAKERS
    labels = places // 7 % CLASSES
    generator = np.random.default_rng(0)
    numbers = size.layers * size.dim
    pool = generator.normal(size=numbers + (1 << 20)).astype(np.float16)
    means = generator.normal(size=(CLASSES, numbers)).astype(np.float16) / 4

    class Made(FeatureTable):
        """Clips that are made when they are asked for."""

        def clip(self, place: int) -> np.ndarray:
            start = place * 7919 % (1 << 20)
            made = pool[start : start + numbers] + means[labels[place]]
            return made.reshape(size.layers, size.dim)

    ids = [f"clip{i:07d}" for i in range(size.rows)]
    shape = np.broadcast_to(np.float16(0), (size.rows, size.layers, size.dim))
    config = IngestConfig(stored_dtype="float16", last_layer=size.layers - 1)
    ingest(Made(utterance_ids=ids, features=shape), folder / "store", config, Silence())
    table = pd.DataFrame(
        {"utterance_id": ids, "path": "a.wav", "corpus": "made", "start": places}
    ).assign(
        end=places + 1,
        speaker=[f"s{i:03d}" for i in speakers],
        emotion=[f"e{i}" for i in labels],
        split=np.select([speakers % 10 < 8, speakers % 10 == 8], ["train", "dev"], "test"),
    )
    write_manifest(folder / "m.csv", table)
    (folder / "audio").mkdir()
    (folder / "audio" / "a.wav").touch()


def commands(size: Size, steps: int) -> dict[str, list[str]]:
    """Return what is measured, by name: arguments of Python, in order."""
    genser = ["-m", "stages.cli"]
    settings = {
        "num_steps": steps,
        "eval_every": steps,
    }
    train = [word for key, value in settings.items() for word in ("-S", f"train.{key}={value}")]
    read = ["m.csv", "--store", "store"]
    extract = ["-S", "extract.encoder=fbank", "extract", "m.csv", "--audio-root", "audio"]
    return {
        "write": [str(Path(__file__)), "--write", f"{size.layers}x{size.dim}:{size.rows}"],
        "extract --dry-run": [*genser, *extract, "--store", "new", "--dry-run"],
        "train": [*genser, *train, "train", *read, "--memory-gb", "1", "--out", "head"],
        "score": [*genser, "score", *read, "--head", "head", "--out", "p.pq"],
        "verify": [*genser, "verify", "store"],
        "report": [*genser, "report", "p.pq", "--manifest", "m.csv", "--out", "report"],
    }


def measured(words: list[str], folder: Path) -> tuple[float, float, float]:
    """Run Python in a folder; return CPU and wall seconds, and the peak of memory, GB.

    Raises:
        ClickException: If it fails.
    """
    begun = time.perf_counter()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")]),
    }
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environment, stdout=said, stderr=said
        )
        # The child begins with this process's peak, which is small: nothing is imported here.
        _, status, used = os.wait4(process.pid, 0)
    if status:
        last = (folder / "said").read_text().strip().splitlines()[-3:]
        raise click.ClickException(f"{' '.join(words)}: {last}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - begun, used.ru_maxrss / 1e6


def draw(path: Path, rows: list[dict[str, object]]) -> None:
    """Draw seconds and gigabytes over rows, one line for each command and shape."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    shapes = list(dict.fromkeys(str(row["shape"]) for row in rows))
    names = list(dict.fromkeys(str(row["command"]) for row in rows))
    for axes, column, label in zip(
        figure.subplots(1, 2), ("cpu_s", "peak_gb"), ("CPU seconds", "GB at most"), strict=True
    ):
        for shape, style in zip(shapes, ("-o", "--s", ":^"), strict=False):
            for place, name in enumerate(names):
                mine = [r for r in rows if r["shape"] == shape and r["command"] == name]
                axes.plot(
                    [float(r["rows"]) for r in mine],
                    [float(r[column]) for r in mine],
                    style,
                    color=f"C{place}",
                    label=f"{name}, {shape}",
                )
        axes.set(xscale="log", yscale="log", xlabel="rows", ylabel=label)
        axes.grid(visible=True, alpha=0.3)
    figure.axes[1].legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)


def publish(out: Path, rows: list[dict[str, object]]) -> None:
    """Write rows as CSV, as Markdown, and as a picture."""
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = [f"| {' | '.join(map(str, row))} |" for row in (COLUMNS, *(r.values() for r in rows))]
    lines.insert(1, "|---|---|---|---|---|---|---|")
    page = "# A million rows\n\n{}\n\n![Seconds and memory over rows]({})\n"
    picture = out.with_suffix(".png")
    out.with_suffix(".md").write_text(page.format("\n".join(lines), picture.name))
    draw(picture, rows)


@click.command()
@click.option("--size", "sizes", multiple=True, default=SIZES, metavar="LxD:ROWS")
@click.option("--steps", default=200, show_default=True, help="Of the training.")
@click.option("--out", type=click.Path(path_type=Path), help="Without suffix: .csv, .md, .png.")
@click.option("--write", "written", metavar="LxD:ROWS", hidden=True)
def main(sizes: tuple[str, ...], steps: int, out: Path | None, written: str | None) -> None:
    """Print seconds and gigabytes, and write them."""
    if written is not None:
        write(Path(), Size.read(written))
        return
    rows: list[dict[str, object]] = []
    for size in map(Size.read, sizes):
        with tempfile.TemporaryDirectory() as name:
            for command, words in commands(size, steps).items():
                cpu, wall, peak = measured(words, Path(name))
                shape = f"[{size.layers}, {size.dim}]"
                values = (shape, size.rows, command, cpu, wall, peak, size.gigabytes)
                told = [f"{v:.3g}" if isinstance(v, float) else v for v in values]
                rows.append(dict(zip(COLUMNS, told, strict=True)))
                print(*told, flush=True)
    if out is not None:
        publish(out, rows)


if __name__ == "__main__":
    main()
