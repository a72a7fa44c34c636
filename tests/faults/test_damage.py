"""Bytes of every kind of file are damaged: a reader says so, or gives what it gave before."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.damages import harm
from faults.launcher import Ended, Launcher
from faults.scenes import Scene, World, same
from faults.verdicts import Trials, Verdict, is_refused, judge


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of file.

    Attributes:
        pattern: Of the files, in the folder in which everything has run.
        reader: The scene whose command reads it, from the state after everything.
        cure: What to run where the reader refuses, before the reader runs again; none: the file is
            the user's own, and nothing but the user can bring it back.
        makes: What must be there to the byte after the cure.
    """

    pattern: str
    reader: str
    cure: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()


MEND = ("verify store --repair", "extract", "tokenise")
MEND_MINE = ("verify mine --repair", "ingest")
TARGETS = {
    "store.json": Target(pattern="store/store.json", reader="score", cure=MEND, makes=("store",)),
    "index": Target(pattern="store/index.parquet", reader="score", cure=MEND, makes=("store",)),
    "outcomes": Target(
        pattern="store/views/*/outcomes.parquet", reader="train emoq", cure=MEND, makes=("store",)
    ),
    "recipe": Target(
        pattern="store/views/*/recipe.json", reader="train tokens", cure=MEND, makes=("store",)
    ),
    "shard of layers": Target(
        pattern="store/views/layers/shards/*.h5", reader="score", cure=MEND, makes=("store",)
    ),
    "shard of frames": Target(
        pattern="store/views/frames/shards/*.h5", reader="train emoq", cure=MEND, makes=("store",)
    ),
    "shard of codes": Target(
        pattern="store/views/codes-8/shards/*.h5",
        reader="train tokens",
        cure=MEND,
        makes=("store",),
    ),
    "codebooks": Target(
        pattern="store/views/codes-8/fitted.safetensors",
        reader="train tokens",
        cure=MEND,
        makes=("store",),
    ),
    "ingested": Target(pattern="mine/**/*.*", reader="train mine", cure=MEND_MINE, makes=("mine",)),
    "head.json": Target(pattern="head/head.json", reader="score", cure=("train",), makes=("head",)),
    "tensors": Target(
        pattern="head/*.safetensors", reader="score", cure=("train",), makes=("head",)
    ),
    "predictions": Target(
        pattern="p.parquet", reader="report", cure=("score",), makes=("p.parquet",)
    ),
    "runs": Target(pattern="cv/runs/*/*", reader="crossval"),
    "tables": Target(pattern="cv/*.*", reader="crossval"),
    "encoder": Target(pattern="demo/encoder/*", reader="extract"),
    "language model": Target(pattern="demo/language/*", reader="score emoq"),
    "features": Target(pattern="features.npz", reader="ingest"),
}


def read_and_mend(
    world: World, launcher: Launcher, folder: Path, target: Target
) -> tuple[Verdict, list[Ended]]:
    """Read what was damaged, mend it as genser says, and say what became of it."""
    reader: Scene = world.scenes[target.reader]
    runs = [reader.run(launcher, folder)]
    if not is_refused(runs[0]):
        return judge(runs, is_right=same(folder, world.whole, reader.makes)), runs
    if not target.cure:
        return judge(runs, is_right=None), runs
    for step in target.cure:
        words = world.scenes[step].words if step in world.scenes else step.split()
        runs.append(launcher.run(words, folder))
    runs.append(reader.run(launcher, folder))
    made = [*target.makes, *reader.makes]
    return judge(runs, is_right=same(folder, world.whole, made)), runs


@pytest.mark.parametrize("kind", TARGETS)
def test_a_damaged_file_is_told_or_without_effect(
    world: World, launcher: Launcher, kind: str
) -> None:
    target = TARGETS[kind]
    files = sorted(path for path in world.whole.glob(target.pattern) if path.is_file())
    assert files
    with Trials("damage", kind) as trials:
        for number, generator in trials.numbers(short=2, long=118):
            name = files[int(generator.integers(len(files)))].relative_to(world.whole)
            with world.folder(world.whole) as folder:
                how = harm(folder / name, generator)
                verdict, runs = read_and_mend(world, launcher, folder, target)
            trials.add(f"{number}: {name}, {how}", verdict, runs)
