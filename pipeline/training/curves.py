"""The learning curves of a training in its folder: a table and a picture."""

from pathlib import Path

import pandas as pd

from pipeline.figures.curves import draw_learning_curve
from pipeline.files import publish

CURVES = "curves.tsv"
PICTURE = "curves.png"


def write_curves(folder: Path, curves: pd.DataFrame, *, title: str) -> None:
    """Write the looks at dev of a training.

    Args:
        folder: Where to.
        curves: Of its `Selection`.
        title: Of the picture.

    Raises:
        OutputError: If they cannot be written.
    """
    with publish(folder / CURVES) as temporary:
        curves.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
    draw_learning_curve(folder / PICTURE, curves, title=title)
