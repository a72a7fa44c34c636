"""A probe on the disk: its table and its picture."""

from pathlib import Path

import pandas as pd

from pipeline.figures.lines import draw_scores
from pipeline.manifests.tables import write_csv

TABLE, PICTURE = "probe.csv", "probe.png"


def write_probe(folder: Path, table: pd.DataFrame, num_classes: int, *, title: str) -> None:
    """Write a probe as `probe.csv` and draw it as `probe.png`.

    Raises:
        OutputError: If they cannot be written.
    """
    write_csv(folder / TABLE, table)
    draw_scores(
        folder / PICTURE,
        {"logistic regression": table.rename(columns={"layer": "x", "dev_ua": "value"})},
        title=title,
        xlabel="layer of the features",
        ylabel="UA on dev",
        reference=("chance", 1 / num_classes),
    )
