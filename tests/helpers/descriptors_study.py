"""A made-up cross-validation of emotion descriptors and their variants, and of a plain head."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.tokens import predictions
from pipeline.evaluation.standings import standings_of
from pipeline.experiments.system_files import NUMBERS, TEXTS

SKILLS = {
    "plain": 0.55,
    "faint": 0.70,
    "whole": 0.80,
    "one": 0.72,
    "free": 0.74,
    "joint": 0.76,
    "base": 0.60,
    "strong": 0.65,
    "gold": 0.90,
    "mute": 0.68,
}
QUESTIONS = {"emotion": 1 / 2, "sentence": 1 / 3}
INSIDE = ("content", "descriptor", "mean of frames")


def system(name: str, **facts: object) -> dict[str, object]:
    """Return a row of systems.csv: the whole system, but for what is given."""
    row: dict[str, object] = {
        **dict.fromkeys(TEXTS, ""),
        **dict.fromkeys(NUMBERS, np.nan),
        "system": name,
        "head": "descriptors",
        "views": "frames",
        "input": "frames",
        "source": "audio",
        "encoder": "an encoder",
        "layers": "1 2",
        "positions": "0 1",
        "language": "a language model",
        "branches": "two",
        "bottleneck": "yes",
        "stages": "two in phases",
        "condition": "predicted",
        "described_by": "self-made@0",
        "text_sources": "",
        "stage1_steps": 100.0,
        "beta_first": 1.0,
        "beta_last": 1e-4,
        "acoustics": False,
    }
    return {**row, **facts}


def systems() -> pd.DataFrame:
    """Return the facts of `SKILLS`."""
    nothing = {"beta_first": np.nan, "beta_last": np.nan}
    free = {"bottleneck": "no", **nothing}
    plain = {"head": "logreg", "input": "layers", "language": "", **nothing}
    plain |= dict.fromkeys(("branches", "bottleneck", "stages", "condition", "described_by"), "")
    rows = [
        system("plain", **plain),
        system("faint", beta_first=0.01),
        system("whole"),
        system("one", branches="one"),
        system("free", **free),
        system("joint", stages="joint"),
        system("base", **{**free, "branches": "one", "stages": "joint"}),
        system("strong", beta_last=1.0),
        system("gold", condition="gold"),
        system("mute", condition="never", described_by=""),
    ]
    return pd.DataFrame(rows)


def probes(names: tuple[str, ...] = ("whole", "strong")) -> pd.DataFrame:
    """Return probes of two folds: content knows more of sentences, the descriptor of emotion."""
    rows = [
        {
            "system": name,
            "fold": fold,
            "seed": 0,
            "question": question,
            "representation": inside,
            "ua": 0.5 + 0.1 * fold + 0.01 * place + 0.1 * (name == "strong"),
            "chance": chance,
        }
        for name in names
        for fold in (1, 2)
        for question, chance in QUESTIONS.items()
        for place, inside in enumerate(INSIDE)
    ]
    table = pd.DataFrame(rows)
    return table.assign(ua_low=table["ua"] - 0.2, ua_high=table["ua"] + 0.1)


def scores() -> pd.DataFrame:
    """Return the scores of what two systems write; METEOR could not be run."""
    values = {"bleu4": 0.112, "rouge_l": 0.28, "cider_d": 2.5, "meteor": np.nan, "wer": 0.4}
    rows = [
        {
            "system": name,
            "text": "transcript" if score == "wer" else "descriptors",
            "score": score,
            "value": value,
            "low": value / 2,
            "high": value * 1.5,
            "reason": "needs <Java>" if score == "meteor" else "",
            "clips": 120,
            "clusters": 12,
        }
        for name in ("whole", "one")
        for score, value in values.items()
    ]
    return pd.DataFrame(rows)


def slots() -> pd.DataFrame:
    """Return which slots two systems and the floor get right."""
    rows = [
        {"system": name, "slot": slot, "clips": 120, "said": 1.0, "accuracy": a, "macro_f1": a / 2}
        for name, a in (("whole", 0.5), ("one", 0.4), ("the most frequent description", 0.25))
        for slot in ("pitch", "energy", "all")
    ]
    return pd.DataFrame(rows)


def write_crossval(folder: Path, *names: str) -> Path:
    """Write what `genser crossval` leaves of some of these systems, of all without names."""
    folder.mkdir(parents=True, exist_ok=True)
    table = predictions({name: SKILLS[name] for name in names or SKILLS}).assign(corpus="iemocap")
    table.to_parquet(folder / "predictions.parquet")
    facts = systems()
    facts[facts["system"].isin(set(table["system"]))].to_csv(folder / "systems.csv", index=False)
    standings_of(table, cluster="speaker", margin=0.02).table().to_csv(
        folder / "standings.csv", index=False
    )
    costs = pd.DataFrame({"system": table["system"].unique(), "seconds_per_clip": 0.5})
    costs.assign(runs=1, clips=120, device="cpu").to_csv(folder / "costs.csv", index=False)
    for name, told in (("probes", probes()), ("text_scores", scores()), ("slots", slots())):
        mine = told[told["system"].isin({*table["system"], "the most frequent description"})]
        if len(mine) and "whole" in set(table["system"]):
            mine.to_csv(folder / f"{name}.csv", index=False)
    return folder
