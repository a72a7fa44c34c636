"""The same bytes whatever the hash seed, the folder, the language, the time and the workers."""

from pathlib import Path

import pytest

from faults.launcher import Launcher
from faults.scenes import COMMANDS, World, link_folder
from faults.verdicts import Trials, judge

# Read when Python starts, so each is another zygote. The first has one already.
SURROUNDINGS: tuple[dict[str, str], ...] = (
    {},
    {"PYTHONHASHSEED": "4294967295", "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "7", "TZ": "UTC", "LC_ALL": "de_DE.UTF-8", "PYTHONUTF8": "0"},
)
FOLDER = "elsewhere, with spaces and ünïcöde"
WORKERS = (1, 3, 16)


@pytest.mark.parametrize("number", range(len(SURROUNDINGS)))
def test_other_surroundings_give_the_same_bytes(
    world: World, second: Launcher, tmp_path: Path, number: int
) -> None:
    names = list(COMMANDS)
    with Trials("determinism", f"surroundings {number}") as trials:
        if number > 0 and not trials.is_long:
            pytest.skip("a zygote more; a long run has it")
        other = Launcher(tmp_path / "told", **SURROUNDINGS[number]) if number else second
        try:
            for i in trials.some_of(len(names), short=2):
                scene = world.scenes[names[i]]
                folder = link_folder(scene.before, tmp_path / names[i] / FOLDER)
                runs = [scene.run(other, folder)]
                trials.add(names[i], judge(runs, is_right=scene.is_right(folder)), runs)
        finally:
            if other is not second:
                other.close()


def test_workers_change_no_byte(world: World, launcher: Launcher) -> None:
    scene = world.scenes["extract"]
    with Trials("determinism", "workers") as trials:
        for i in trials.some_of(len(WORKERS), short=1):
            with world.folder(scene.before) as folder:
                words = [*scene.words, "--workers", str(WORKERS[i])]
                runs = [launcher.run(words, folder)]
                is_right = scene.is_right(folder)
            trials.add(f"{WORKERS[i]}", judge(runs, is_right=is_right), runs)
