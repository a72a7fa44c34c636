"""Bytes of every kind of file are damaged: a reader says so, or gives what it gave before."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from faults.launcher import Ended, Launcher
from faults.scenes import Scene, World, same
from faults.verdicts import Trials, Verdict, is_refused, judge

Damage = Callable[[bytes, int, np.random.Generator], bytes]
EDGE = 512  # bytes at either end of a file, where headers and indices are


def flip(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    bit = 1 << int(generator.integers(8))
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def zero(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    length = min(int(generator.integers(1, 64)), len(data) - place)
    return data[:place] + bytes(length) + data[place + length :]


def noise(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    length = min(int(generator.integers(1, 64)), len(data) - place)
    return data[:place] + generator.bytes(length) + data[place + length :]


def cut(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    del generator
    return data[:place]


def insert(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    return data[:place] + generator.bytes(int(generator.integers(1, 16))) + data[place:]


def repeat(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    length = int(generator.integers(1, 64))
    return data[: place + length] + data[place:]


def removed(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    del data, place, generator
    return b""


DAMAGES: tuple[Damage, ...] = (flip, flip, flip, zero, noise, cut, insert, repeat, removed)


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
    "language model": Target(pattern="demo/language/*", reader="train emoq"),
    "features": Target(pattern="features.npz", reader="ingest"),
}


def place_in(size: int, generator: np.random.Generator) -> int:
    """Return a place: as often at the beginning or the end, where structure is, as anywhere."""
    edge = min(EDGE, size)
    begin, end = int(generator.integers(edge)), size - 1 - int(generator.integers(edge))
    return (begin, end, int(generator.integers(size)))[int(generator.integers(3))]


def harm(path: Path, generator: np.random.Generator) -> str:
    """Damage a file, and say how; its other copies stay as they are."""
    data = path.read_bytes()
    damage = DAMAGES[int(generator.integers(len(DAMAGES)))]
    place = place_in(len(data), generator) if data else 0
    harmed = damage(data, place, generator) if data else b"x"
    path.unlink()
    if damage is not removed:
        path.write_bytes(harmed)
    return f"{damage.__name__} at {place} of {len(data)}"


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
        for number, generator in trials.numbers(short=2, long=110):
            name = files[int(generator.integers(len(files)))].relative_to(world.whole)
            with world.folder(world.whole) as folder:
                how = harm(folder / name, generator)
                verdict, runs = read_and_mend(world, launcher, folder, target)
            trials.add(f"{number}: {name}, {how}", verdict, runs)
