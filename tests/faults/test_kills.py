"""Killed at any moment, the same command ends with the bytes of an undisturbed run."""

import signal
from pathlib import Path

import pytest

from faults.launcher import Ended, Launcher
from faults.scenes import COMMANDS, Scene, World
from faults.verdicts import Trials, Verdict, judge

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

Finished = dict[Path, tuple[int, int]]


def finished_shards(folder: Path) -> Finished:
    """Return what identifies each shard that has its seal, or stands in a commit."""
    found = {}
    for path in folder.rglob("*.h5"):
        if path.with_suffix(".sha256").exists():
            told = path.stat()
            found[path] = (told.st_ino, told.st_mtime_ns)
    return found


def kept(before: Finished) -> bool:
    """Say whether all of these shards are still the same files."""
    now = {path: path.stat() for path in before if path.exists()}
    return all(
        path in now and (now[path].st_ino, now[path].st_mtime_ns) == told
        for path, told in before.items()
    )


def after_a_kill(
    scene: Scene, launcher: Launcher, folder: Path, killed: Ended
) -> tuple[Verdict, list[Ended]]:
    """Run the command again, and say what became of it all."""
    shards = finished_shards(folder)
    runs = [killed, scene.run(launcher, folder)]
    verdict = judge(runs, is_right=scene.is_right(folder))
    if verdict is Verdict.SURVIVED and not kept(shards):
        verdict = Verdict.LOST  # what was finished has been made again
    return verdict, runs


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_a_named_point(world: World, launcher: Launcher, name: str) -> None:
    scene = world.scenes[name]
    with Trials("kills", name) as trials:
        for point in trials.some_of(len(scene.points), short=3):
            with world.folder(scene.before) as folder:
                killed = launcher.run(scene.words, folder, point=point)
                verdict, runs = after_a_kill(scene, launcher, folder, killed)
            trials.add(f"at point {point}, {scene.points[point]}", verdict, runs)


@pytest.mark.parametrize("name", COMMANDS)
def test_stopped_at_a_random_moment(world: World, launcher: Launcher, name: str) -> None:
    scene = world.scenes[name]
    with Trials("kills", f"{name}, any moment") as trials:
        for number, generator in trials.numbers(short=1, long=20):
            sent = SIGNALS[int(generator.integers(len(SIGNALS)))]
            moment = float(generator.uniform(0, 1.1 * scene.seconds))
            with world.folder(scene.before) as folder:
                launcher.start({"words": scene.words}, folder)
                launcher.send(sent, moment)
                stopped = launcher.wait()
                verdict, runs = after_a_kill(scene, launcher, folder, stopped)
            trials.add(f"{number}: {sent.name} after {moment:.2f} s", verdict, runs)
