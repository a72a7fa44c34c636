"""Mutated recordings: each has its outcome, and the whole ones beside it what they always have."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faults.damages import harm
from faults.launcher import Ended, Launcher
from faults.scenes import World
from faults.verdicts import PROMISED, Trials, Verdict, judge
from pipeline.store.reader import FeatureStore

FORMATS = ("wav", "flac", "ogg", "mp3")
IN_A_RUN = 25  # mutants that share an extract and a predict, while nothing is wrong with any
WHOLE = ("whole_0", "whole_1")
RATES = (8000, 16000, 22050, 44100)

Rows = dict[str, np.ndarray | None]


def extract(launcher: Launcher, folder: Path, names: list[str], store: str) -> Ended:
    """Extract recordings of the folder's `bad`."""
    rows = "".join(f"{Path(name).stem},{name}\n" for name in names)
    (folder / f"{store}.csv").write_text(f"utterance_id,path\n{rows}")
    words = ["-S", "extract.views={layers: {}}", "extract", f"{store}.csv", "--audio-root", "bad"]
    return launcher.run([*words, "--store", store, "--max-failed", "1"], folder)


def features_of(store: Path) -> Rows:
    """Return the features of each clip; None of those that have an outcome instead."""
    view = FeatureStore.open(store).view("layers")
    is_fine = view.records["outcome"].isin(["ok", "silent"])
    fine = view.records["utterance_id"][is_fine].tolist()
    found: Rows = dict.fromkeys(view.records["utterance_id"])
    return found | dict(zip(fine, view.read(fine), strict=True)) if fine else found


def told_of(predicted: Ended) -> dict[str, bool]:
    """Return of each file whether it has a prediction; the others have a line that says why not."""
    found = {}
    for text, is_predicted in ((predicted.stderr, False), (predicted.stdout, True)):
        for line in text.splitlines():
            if line.startswith("bad/"):
                found[Path(line.partition(":")[0]).stem] = is_predicted
    return found


def tried(
    launcher: Launcher, folder: Path, names: list[str], store: str
) -> tuple[list[Ended], Rows | None, dict[str, bool]]:
    """Extract and predict recordings; None where they did not come to an end as they should."""
    paths = [f"bad/{name}" for name in names]
    runs = [
        extract(launcher, folder, names, store),
        launcher.run(["predict", *paths, "--head", "head"], folder),
    ]
    is_over = runs[0].code == 0 and runs[1].code in (0, 3)
    if not is_over or judge(runs, is_right=None) not in PROMISED:
        return runs, None, {}
    return runs, features_of(folder / store), told_of(runs[1])


def verdict_of(name: str, features: Rows, predicted: dict[str, bool]) -> Verdict:
    """Say what became of a recording that shared its run with others."""
    has_features = features[name] is not None
    if has_features != predicted[name] or set(features) != set(predicted):
        return Verdict.WRONG
    return Verdict.SURVIVED if has_features else Verdict.DETECTED


def agree(found: Rows, wanted: Rows) -> bool:
    """Say whether the whole recordings have what they have without bad ones beside them."""
    return all(
        found[name] is not None and np.allclose(found[name], wanted[name], atol=1e-3)
        for name in WHOLE
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_bad_recording_has_its_outcome_and_stops_no_other(
    world: World, launcher: Launcher, make_wav: Callable[..., Path], suffix: str
) -> None:
    with Trials("bad audio", suffix) as trials, world.folder(world.whole) as folder:
        whole = [
            make_wav(folder / "bad" / f"{name}.wav", 0.3, seed).name
            for seed, name in enumerate(WHOLE)
        ]
        assert extract(launcher, folder, whole, "alone").code == 0
        alone = features_of(folder / "alone")
        for number, generator in trials.numbers(short=1, long=500 // IN_A_RUN):
            told = {}
            for i in range(IN_A_RUN):
                rate, channels = int(generator.choice(RATES)), int(generator.integers(1, 3))
                name = f"{number}_{i}.{suffix}"
                seconds = float(generator.uniform(0.02, 0.6))
                path = make_wav(folder / "bad" / name, seconds, i, rate, channels)
                told[name] = f"{rate} Hz, {channels}: {harm(path, generator)}"
            names = [whole[0], *told, whole[1]]
            runs, features, predicted = tried(launcher, folder, names, f"store_{number}")
            is_fine = features is not None and agree(features, alone)
            for name, how in told.items():
                if features is not None and is_fine:
                    verdict = verdict_of(Path(name).stem, features, predicted)
                else:  # which of them was it?
                    runs, one, predicted = tried(
                        launcher, folder, [*whole, name], f"store_{Path(name).stem}"
                    )
                    verdict = judge(runs, is_right=None)
                    if one is not None and agree(one, alone):
                        verdict = verdict_of(Path(name).stem, one, predicted)
                    elif verdict in PROMISED:
                        verdict = Verdict.WRONG
                trials.add(f"{name}, {how}", verdict, runs)
