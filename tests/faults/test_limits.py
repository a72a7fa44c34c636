"""Starved commands: one line, nothing half made, and the right bytes once there is enough."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults.launcher import Ended, Launcher
from faults.scenes import COMMANDS, Scene, World
from faults.verdicts import Trials, Verdict, judge

MEGABYTE = 1 << 20
SPARE = 64 << 10  # of a file system's own bookkeeping


def starved(scene: Scene, what: str, generator: np.random.Generator) -> dict[str, Any]:
    """Return the options of a run that has too little of something."""
    sizes = [path.stat().st_size for name in scene.makes for path in files(scene.after / name)]
    limits = {
        # A file may have less than the largest that is made.
        "FSIZE": {"FSIZE": int(generator.uniform(0, max(sizes)))},
        "NOFILE": {"NOFILE": int(generator.integers(4, 24))},
        # From nothing to more than any of these commands takes.
        "AS": {"AS": int(generator.uniform(0, 400) * MEGABYTE)},
    }
    return {"limits": limits[what]} if what in limits else {}


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]


@contextmanager
def small_disk(folder: Path, num_bytes: int) -> Iterator[Path | None]:
    """Give a copy of a folder on a disk with so many bytes left; None where nobody may mount."""
    disk = folder.with_name(f"disk-{os.getpid()}")
    disk.mkdir()
    used = sum(-(-path.stat().st_size // 4096) * 4096 for path in files(folder))
    used += 4096 * sum(1 for _ in folder.rglob("*"))
    words = ["mount", "-t", "tmpfs", "-o", f"size={used + num_bytes}", "tmpfs", str(disk)]
    try:
        if subprocess.run(words, capture_output=True, check=False).returncode != 0:
            yield None
            return
        try:
            yield Path(shutil.copytree(folder, disk / "trial"))
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
    finally:
        disk.rmdir()


@contextmanager
def read_only(folder: Path, generator: np.random.Generator) -> Iterator[None]:
    """Forbid to write into one of a folder's folders, or the folder itself."""
    choices = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]
    # What is written to stands at the top; below, the sound and the models are only read.
    one = folder if generator.integers(2) else choices[int(generator.integers(len(choices)))]
    mode = one.stat().st_mode
    one.chmod(0o555)
    try:
        yield
    finally:
        one.chmod(mode)


def after_hunger(
    scene: Scene, launcher: Launcher, folder: Path, starved_run: Ended
) -> tuple[Verdict, list[Ended]]:
    """Run the command again with enough of everything, and say what became of it all."""
    runs = [starved_run, scene.run(launcher, folder)]
    return judge(runs, is_right=scene.is_right(folder)), runs


@pytest.mark.parametrize("what", ["FSIZE", "NOFILE", "AS", "read-only", "full disk"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_starved_command_says_so_and_succeeds_later(
    world: World, launcher: Launcher, name: str, what: str
) -> None:
    scene = world.scenes[name]
    with Trials("limits", f"{name}, {what}") as trials:
        # A short run has a few of these pairs.
        for number, generator in trials.numbers(short=int((name, what) in SHORT), long=6):
            with world.folder(scene.before) as folder:
                options = starved(scene, what, generator)
                told = str(options.get("limits", ""))
                if what == "read-only":
                    with read_only(folder, generator):
                        run = launcher.run(scene.words, folder, obeys_permissions=True)
                    verdict, runs = after_hunger(scene, launcher, folder, run)
                elif what == "full disk":
                    made = sum(
                        path.stat().st_size for n in scene.makes for path in files(scene.after / n)
                    )
                    left = int(generator.uniform(0, 1.2 * made)) + SPARE
                    told = f"{left} bytes"
                    with small_disk(folder, left) as disk:
                        if disk is None:
                            continue  # FSIZE is what there is then
                        run = launcher.run(scene.words, disk)
                        subprocess.run(
                            ["mount", "-o", "remount,size=1g", str(disk.parent)], check=True
                        )
                        verdict, runs = after_hunger(scene, launcher, disk, run)
                else:
                    run = launcher.run(scene.words, folder, **options)
                    verdict, runs = after_hunger(scene, launcher, folder, run)
            trials.add(f"{number}: {told}", verdict, runs)


SHORT = (
    ("extract", "FSIZE"),
    ("score", "AS"),
    ("train mine", "read-only"),
    ("tokenise", "full disk"),
    ("ingest", "NOFILE"),
)
