"""A made-up cross-validation of EmoQ and its variants, and of plain heads."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.tokens import predictions
from pipeline.evaluation.standings import standings_of
from pipeline.experiments.parts import OWN_SPLIT
from pipeline.experiments.system_files import NUMBERS, TEXTS

SEVEN = ("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust")
SKILLS = {
    "plain": 0.55,
    "whole": 0.80,
    "a": 0.40,
    "t": 0.60,
    "b": 0.70,
    "f": 0.75,
    "s": 0.72,
    "n": 0.65,
    "one": 0.68,
    "heard": 0.77,
}
SECONDS = {name: 0.5 for name in SKILLS} | {"plain": 0.001}


def system(name: str, **facts: object) -> dict[str, object]:
    """Return a row of systems.csv: the whole system, but for what is given."""
    row: dict[str, object] = {
        **dict.fromkeys(TEXTS, ""),
        **dict.fromkeys(NUMBERS, np.nan),
        "system": name,
        "head": "emoq",
        "views": "frames",
        "input": "emoq",
        "source": "audio",
        "encoder": "an encoder",
        "layers": "24",
        "positions": "0",
        "language": "a language model",
        "former": "random",
        "mal": "both",
        "text_sources": "gold",
        "stage1_steps": 100.0,
        "num_parameters": 2_000_000.0,
        "num_trained": 70_000.0,
        "acoustics": False,
    }
    return {**row, **facts}


def systems() -> pd.DataFrame:
    """Return the facts of `SKILLS`."""
    nothing = {"former": "", "mal": "", "stage1_steps": 0.0}
    text = {"views": "", "encoder": "", "layers": "", "positions": "", "source": ""}
    plain = {"head": "logreg", "input": "layers", "views": "text", "encoder": "a text encoder"}
    plain |= {"language": "", **nothing, "stage1_steps": np.nan, "num_parameters": 2_700.0}
    rows = [
        system("plain", **plain),
        system("whole"),
        system("a", input="audio", text_sources=""),
        system("t", input="text", **text, **nothing),
        system("b", input="both", **nothing),
        system("f", mal="focal"),
        system("s", mal="scl"),
        system("n", mal="none"),
        system("one", mal="", stage1_steps=0.0),
        system("heard", text_sources="a recogniser"),
    ]
    return pd.DataFrame(rows)


def said(
    corpus: str = "meld", classes: tuple[str, ...] = SEVEN, num_folds: int | None = None
) -> pd.DataFrame:
    """Return what these systems say of so many folds by speaker, or of the corpus's own split."""
    table = predictions(SKILLS, classes=classes).assign(corpus=corpus, fold=OWN_SPLIT)
    if num_folds:
        speakers = table["speaker"].str.removeprefix("s").astype(int)
        table["fold"] = (speakers % num_folds + 1).astype("str")
    return table


def write_crossval(folder: Path, table: pd.DataFrame | None = None) -> Path:
    """Write what `genser crossval` leaves of these systems."""
    folder.mkdir(parents=True, exist_ok=True)
    table = said() if table is None else table
    table.to_parquet(folder / "predictions.parquet")
    facts = systems()
    facts[facts["system"].isin(set(table["system"]))].to_csv(folder / "systems.csv", index=False)
    standings_of(table, cluster="speaker", margin=0.02).table().to_csv(
        folder / "standings.csv", index=False
    )
    costs = pd.DataFrame({"system": list(SECONDS), "seconds_per_clip": list(SECONDS.values())})
    costs.assign(runs=1, clips=120, device="cpu").to_csv(folder / "costs.csv", index=False)
    return folder
