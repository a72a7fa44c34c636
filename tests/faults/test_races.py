"""Two commands at once in one folder: both are right, or one says that the other is at work."""

import itertools
import shutil
import time
from pathlib import Path

import pytest

from faults.launcher import Ended, Launcher
from faults.scenes import COMMANDS, Scene, World, link_folder, same
from faults.verdicts import Trials, is_refused, judge

PAIRS = [*itertools.combinations_with_replacement(COMMANDS, 2)]
SHORT = (("extract", "score"), ("train", "train"))
BUSY = ("another run", "run the same command again", "wait until")


def unmake(folder: Path, scene: Scene) -> None:
    """Take back what a command has made."""
    for name in scene.makes:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink()
        if (scene.before / name).exists():
            link_folder(scene.before / name, folder / name)


def both(
    launchers: list[Launcher], scenes: list[Scene], folder: Path, wait_s: float
) -> list[Ended]:
    """Start one command, after a while another, and wait for both."""
    for launcher, scene in zip(launchers, scenes, strict=True):
        launcher.start({"words": scene.words}, folder)
        time.sleep(wait_s)
        wait_s = 0
    return [launcher.wait() for launcher in launchers]


def misled(runs: list[Ended], scenes: list[Scene], folder: Path, whole: Path, busy: bool) -> bool:
    """Say whether one of two gave another result than alone, or a reason that is none."""
    for run, scene in zip(runs, scenes, strict=True):
        if run.code == 0 and "store" not in scene.makes and not same(folder, whole, scene.makes):
            return True
        if busy and is_refused(run) and not any(word in run.stderr for word in BUSY):
            return True
    return False


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_at_once_are_right_or_told(
    world: World, launcher: Launcher, second: Launcher, pair: tuple[str, str]
) -> None:
    scenes = [world.scenes[name] for name in pair]
    # A store that is extracted anew has no codes.
    between = [world.scenes["tokenise"]] if pair[0] == "extract" else []
    made = sorted({name for scene in scenes for name in scene.makes})
    with Trials("races", " and ".join(pair)) as trials:
        for number, generator in trials.numbers(short=2 * (pair in SHORT), long=2):
            is_made = number % 2 == 0 and pair[0] != pair[1]
            wait_s = 0.0 if number % 2 == 0 else float(generator.uniform(0, scenes[0].seconds))
            with world.folder(world.whole) as folder:
                if not is_made:  # what the second may read is not there yet, or half
                    unmake(folder, scenes[0])
                runs = both([launcher, second], scenes, folder, wait_s)
                is_misled = misled(runs, scenes, folder, world.whole, is_made)
                runs += [scene.run(launcher, folder) for scene in (scenes[0], *between, scenes[1])]
                is_right = same(folder, world.whole, made) and not is_misled
            how = "all made" if is_made else f"{pair[0]} not made, {wait_s:.2f} s apart"
            trials.add(f"{number}: {how}", judge(runs, is_right=is_right), runs)
