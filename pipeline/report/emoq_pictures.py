"""The pictures of EmoQ's study: what each part is worth, and scores over parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.experiments.emoq_study import EmoQStudy
from pipeline.figures.tokens import draw_gains, draw_rates
from pipeline.report.page import Picture

WHAT = {"input": "what it reads", "losses": "losses of stage 1", "stage1": "stage 1"}


def draw_emoq(out: Path, stem: str, study: EmoQStudy) -> Mapping[str, Sequence[Picture]]:
    """Draw what the study has: by name the pictures of variants and of costs.

    Args:
        out: The report's folder.
        stem: What the files' names begin with.
        study: The study.

    Raises:
        OutputError: If a file cannot be written.
    """
    return {
        "variants": _variants(out, stem, study.variants),
        "costs": _costs(out, stem, study.systems),
    }


def _variants(out: Path, stem: str, table: pd.DataFrame) -> list[Picture]:
    pictures = []
    known = table[(table["whole"] != "") & (table["system"] != table["whole"])]
    for number, (whole, mine) in enumerate(known.groupby("whole", sort=False), start=1):
        bars = pd.DataFrame(
            {
                "name": mine["system"],
                "value": mine["ua_difference"],
                "low": mine["ua_difference_low"],
                "high": mine["ua_difference_high"],
                "group": mine["table"].map(WHAT),
                "hatched": False,
                "note": mine["variant"],
            }
        )
        path = out / f"{stem}_variants_{number}.png"
        draw_gains(
            path, bars, title=f"What each part of {whole} is worth", xlabel=f"UA more than {whole}"
        )
        caption = f"Paired differences of UA to {whole}, the whole system, with 95 % intervals."
        pictures.append(Picture(caption=caption, path=path))
    return pictures


def _costs(out: Path, stem: str, systems: pd.DataFrame) -> list[Picture]:
    mine = systems[systems["num_parameters"] > 0]
    if mine.empty:
        return []
    # Variants are nearly of one size: the best of each head is labelled.
    tops = mine.groupby("head", sort=False)["ua"].idxmax()
    points = pd.DataFrame(
        {
            "rate": mine["num_parameters"],
            "value": mine["ua"],
            "low": mine["ua_low"],
            "high": mine["ua_high"],
            "group": mine["head"].replace("", "others"),
            "hollow": False,
            "label": mine["system"].where(mine.index.isin(tops), ""),
        }
    )
    path = out / f"{stem}_costs.png"
    draw_rates(path, points, title="UA over size", ylabel="UA on test", xlabel="parameters")
    caption = "Every system by the parameters of head and language model, with 95 % intervals; "
    return [Picture(caption=f"{caption}the best of each head has its name.", path=path)]
