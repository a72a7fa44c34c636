"""A small world in which every command has run once: what each needs, and what it makes of it."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faults.launcher import Ended, Launcher

PARAMS = """
prepare:
  demo: {num_speakers: 6, clips_per_emotion: 1}
extract:
  encoder: demo/encoder
  rows_per_shard: 8
  views: {layers: {}, frames: {layers: [-2, -1]}}
ingest: {last_layer: 1, rows_per_shard: 8}
tokenise: {k: [8]}
train:
  num_steps: 12
  batch_size: 8
  eval_every: 4
  genser: {trunk: {width: 16, num_blocks: 1, num_heads: 2}}
"""
EMOQ = """
train:
  head: emoq
  num_steps: 4
  batch_size: 8
  eval_every: 2
  frames_in: memory
  emoq:
    num_queries: 2
    cross_every: 1
    pooling_heads: 2
    former_width: 16
    former_blocks: 1
    stage1_steps: 4
    stage1_batch_size: 8
    stage1_select_by: last
    language: demo/language
    base_dtype: float32
    lora_targets: [q_proj, v_proj]
"""
# Each with its words and what it makes; all of those above it have run before.
COMMANDS = {
    "extract": ("extract demo.csv --audio-root demo/audio --store store", ["store"]),
    "tokenise": ("tokenise demo.csv --store store --out codes-{k}", ["store"]),
    "ingest": ("ingest features.npz --store mine", ["mine"]),
    "train": ("train demo.csv --store store --out head", ["head"]),
    "train emoq": ("--params emoq.yaml train demo.csv --store store --out emoq", ["emoq"]),
    "train tokens": (
        "-S train.head=tokens -S train.tokens.view=codes-8 train demo.csv --store store "
        "--out tokens",
        ["tokens"],
    ),
    "train mine": (
        "-S train.head=linear train demo.csv --store mine --out mine_head",
        ["mine_head"],
    ),
    "score": ("score demo.csv --store store --head head --out p.parquet", ["p.parquet"]),
    "score emoq": ("score demo.csv --store store --head emoq --out e.parquet", ["e.parquet"]),
    "crossval": (
        "crossval demo.csv --store store --heads linear,logreg --folds 2 --out cv",
        ["cv"],
    ),
    "report": ("report p.parquet --manifest demo.csv --out report", ["report"]),
}
_TIMED = re.compile(r"costs\.csv|.*\.cost\.json")  # how long something took is never the same

Tree = dict[str, bytes]


def link_folder(source: Path, target: Path) -> Path:
    """Copy a folder by links: genser replaces files and writes into none."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


def same(one: Path, other: Path, names: list[str]) -> bool:
    """Say whether two folders agree in some files and folders, to the byte and no file more."""
    return tree_of(one, names) == tree_of(other, names)


def tree_of(folder: Path, names: list[str]) -> Tree:
    """Return every file below some files and folders, hidden ones too, but for what is timed."""
    found: Tree = {}
    for name in names:
        path = folder / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and not _TIMED.fullmatch(file.name):
                found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One command.

    Attributes:
        name: Of it.
        before: The folder as it is before it.
        after: The folder as it is after it.
        words: Of it.
        makes: The files and folders that it makes.
        seconds: It takes.
        points: The names of the points of its publish sequences, in order.
    """

    name: str
    before: Path
    after: Path
    words: list[str]
    makes: list[str]
    seconds: float
    points: list[str]

    def is_right(self, folder: Path) -> bool:
        """Say whether a folder has what an undisturbed run makes."""
        return same(folder, self.after, self.makes)

    def run(self, launcher: Launcher, folder: Path) -> Ended:
        """Run it undisturbed."""
        return launcher.run(self.words, folder)


class World:
    """All scenes, made once for a test session."""

    def __init__(self, root: Path) -> None:
        told = json.loads((root / "scenes.json").read_text())
        self.root = root
        self.scenes = {
            name: Scene(
                name=name,
                before=root / one["before"],
                after=root / one["after"],
                words=one["words"],
                makes=one["makes"],
                seconds=one["seconds"],
                points=one["points"],
            )
            for name, one in told.items()
        }

    @property
    def whole(self) -> Path:
        """The folder in which all of them have run."""
        return list(self.scenes.values())[-1].after

    @contextmanager
    def folder(self, source: Path) -> Iterator[Path]:
        """Give a copy of a folder for one trial."""
        target = self.root / f"trial-{os.getpid()}"
        try:
            yield link_folder(source, target)
        finally:
            shutil.rmtree(target, ignore_errors=True)


def make_world(root: Path, launcher: Launcher) -> None:
    """Run every command once, and keep the folder as it is before and after each."""
    now = root / "now"
    now.mkdir(parents=True)
    (now / "params.yaml").write_text(PARAMS)
    (now / "emoq.yaml").write_text(EMOQ)
    _require(launcher.run(["prepare", "demo", "demo", "-o", "demo.csv"], now))
    ids = [line.split(",")[0] for line in (now / "demo.csv").read_text().splitlines()[1:]]
    features = np.random.default_rng(0).normal(size=(len(ids), 2, 4)).astype(np.float32)
    np.savez(now / "features.npz", utterance_id=np.array(ids), features=features)
    told = {}
    last = "prepared"
    link_folder(now, root / last)
    for name, (words, makes) in COMMANDS.items():
        trace = root / "trace"
        trace.write_text("")
        ended = launcher.run(words.split(), now, trace=trace)
        _require(ended)
        told[name] = {
            "before": last,
            "after": name,
            "words": words.split(),
            "makes": makes,
            "seconds": ended.seconds,
            "points": trace.read_text().splitlines(),
        }
        last = name
        link_folder(now, root / name)
    (root / "scenes.json").write_text(json.dumps(told))


def shared_world(root: Path, launcher: Launcher) -> World:
    """Return the world in a folder; the first of several workers makes it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "scenes.json").exists():
            shutil.rmtree(root / "now", ignore_errors=True)
            make_world(root, launcher)
    return World(root)


def _require(ended: Ended) -> None:
    assert ended.code == 0, ended.stderr
