"""Every hostile file is answered by its line, or has its outcome, and harms nothing."""

from faults.hostile_contents import CONTENTS
from faults.hostile_places import PLACES
from faults.launcher import Launcher
from faults.scenes import World
from faults.verdicts import PROMISED, Trials, Verdict, judge

CASES = PLACES | CONTENTS


def test_a_hostile_file_is_answered_by_its_line(world: World, launcher: Launcher) -> None:
    names = list(CASES)
    with Trials("hostile", "cases") as trials:
        for i in trials.some_of(len(names), short=6):
            case = CASES[names[i]]
            with world.folder(world.whole) as folder:
                case.make(folder)
                runs = [
                    launcher.run(words.split(), folder, obeys_permissions=True)
                    for words in ((case.words,) if isinstance(case.words, str) else case.words)
                ]
            verdict = judge(runs, is_right=None)
            if verdict in PROMISED and case.line not in runs[-1].stderr + runs[-1].stdout:
                verdict = Verdict.WRONG
            trials.add(names[i], verdict, runs)
