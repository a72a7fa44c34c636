"""Starved commands: one line, nothing half made, and the right bytes once there is enough."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from faults.launcher import Launcher
from faults.scenes import COMMANDS, Scene, World
from faults.verdicts import Trials, judge

MEGABYTE = 1 << 20
BLOCK = 4096  # of a file system
SHORT = (
    ("extract", "FSIZE"),
    ("ingest", "NOFILE"),
    ("score", "AS"),
    ("train mine", "read-only"),
    ("tokenise", "full disk"),
)


class Hunger(NamedTuple):
    """What a command has too little of.

    Attributes:
        told: What, in words.
        folder: Where it runs.
        options: Of the run.
        feed: Ends it.
    """

    told: str
    folder: Path
    options: dict[str, Any]
    feed: Callable[[], object]


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]


def made_by(scene: Scene) -> list[int]:
    """Return the sizes of what a command makes."""
    return [path.stat().st_size for name in scene.makes for path in files(scene.after / name)]


@contextmanager
def limited(
    name: str, scene: Scene, folder: Path, generator: np.random.Generator
) -> Iterator[Hunger]:
    """Give less than some file needs, few open files, or little memory."""
    limit = {
        "FSIZE": generator.uniform(0, max(made_by(scene))),
        "NOFILE": generator.integers(4, 24),
        "AS": generator.uniform(0, 400) * MEGABYTE,  # from nothing to more than is taken
    }[name]
    yield Hunger(f"{limit:.0f}", folder, {"limits": {name: int(limit)}}, lambda: None)


@contextmanager
def read_only(scene: Scene, folder: Path, generator: np.random.Generator) -> Iterator[Hunger]:
    """Forbid to write into a folder: the one above all, or any within."""
    del scene
    within = sorted(path for path in folder.rglob("*") if path.is_dir())
    one = [folder, within[int(generator.integers(len(within)))]][int(generator.integers(2))]
    one.chmod(0o555)
    try:
        told = str(one.relative_to(folder))
        yield Hunger(told, folder, {"obeys_permissions": True}, lambda: one.chmod(0o755))
    finally:
        one.chmod(0o755)


@contextmanager
def full_disk(scene: Scene, folder: Path, generator: np.random.Generator) -> Iterator[Hunger]:
    """Give a copy of a folder on a small disk of its own; where nobody may mount one, FSIZE."""
    disk = folder.with_name(f"disk-{os.getpid()}")
    used = sum(-(-path.stat().st_size // BLOCK) for path in files(folder))
    used += sum(1 for path in folder.rglob("*") if path.is_dir())
    left = round(generator.uniform(0, 1.2 * sum(made_by(scene)) / BLOCK))
    disk.mkdir()
    options = f"size={(used + left + 1) * BLOCK},mode=755"
    words = ["mount", "-t", "tmpfs", "-o", options, "faults", str(disk)]
    is_mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    try:
        if not is_mounted:
            with limited("FSIZE", scene, folder, generator) as hunger:
                yield hunger._replace(told=f"no mount, FSIZE {hunger.told}")
            return
        place = Path(shutil.copytree(folder, disk / "trial"))
        more = ["mount", "-o", "remount,size=1g", str(disk)]
        yield Hunger(f"{left} blocks", place, {}, lambda: subprocess.run(more, check=True))
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
        disk.rmdir()


HUNGERS = {
    "FSIZE": lambda *given: limited("FSIZE", *given),
    "NOFILE": lambda *given: limited("NOFILE", *given),
    "AS": lambda *given: limited("AS", *given),
    "read-only": read_only,
    "full disk": full_disk,
}


@pytest.mark.parametrize("what", HUNGERS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_starved_command_says_so_and_succeeds_later(
    world: World, launcher: Launcher, name: str, what: str
) -> None:
    scene = world.scenes[name]
    with Trials("limits", f"{name}, {what}") as trials:
        for number, generator in trials.numbers(short=int((name, what) in SHORT), long=5):
            with (
                world.folder(scene.before) as folder,
                HUNGERS[what](scene, folder, generator) as hunger,
            ):
                runs = [launcher.run(scene.words, hunger.folder, **hunger.options)]
                hunger.feed()
                runs.append(scene.run(launcher, hunger.folder))
                verdict = judge(runs, is_right=scene.is_right(hunger.folder))
            trials.add(f"{number}: {hunger.told}", verdict, runs)
