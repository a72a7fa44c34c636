"""A picture of a study's variants: what each part of a whole system is worth."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pipeline.figures.tokens import draw_gains
from pipeline.report.page import Picture


def draw_variants(
    out: Path, stem: str, table: pd.DataFrame, what: Mapping[str, str]
) -> list[Picture]:
    """Draw for each whole system what its variants have more of UA.

    Args:
        out: The report's folder.
        stem: What the files' names begin with.
        table: A study's variants; none has no picture.
        what: What each `table` of it varies, in words.

    Raises:
        OutputError: If a file cannot be written.
    """
    if table.empty:
        return []
    pictures = []
    known = table[(table["whole"] != "") & (table["system"] != table["whole"])]
    for number, (whole, mine) in enumerate(known.groupby("whole", sort=False), start=1):
        bars = pd.DataFrame(
            {
                "name": mine["system"],
                "value": mine["ua_difference"],
                "low": mine["ua_difference_low"],
                "high": mine["ua_difference_high"],
                "group": mine["table"].map(dict(what)),
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
