"""A probe on the disk: its table and its picture."""

from pathlib import Path

import pandas as pd

from pipeline.evaluation.concordance import CCC
from pipeline.figures.lines import draw_scores
from pipeline.manifests.tables import write_csv

TABLE, PICTURE = "probe.csv", "probe.png"


def compared_by(table: pd.DataFrame) -> tuple[str, str]:
    """Return the column that layers are compared by, of classes or of numbers, and its name."""
    return (f"dev_{CCC}", "CCC") if f"dev_{CCC}" in table else ("dev_ua", "UA")


def write_probe(folder: Path, table: pd.DataFrame, num_classes: int, *, title: str) -> None:
    """Write a probe as `probe.csv` and draw it as `probe.png`.

    Args:
        folder: Where to.
        table: As `pipeline.experiments.probing.probe_layers` returns it.
        num_classes: C; of numbers it says nothing.
        title: Of the picture.

    Raises:
        OutputError: If they cannot be written.
    """
    write_csv(folder / TABLE, table)
    column, name = compared_by(table)
    is_ccc = name == "CCC"
    line = table.rename(columns={"layer": "x", column: "value"})
    draw_scores(
        folder / PICTURE,
        {"ridge regression" if is_ccc else "logistic regression": line},
        title=title,
        xlabel="layer of the features",
        ylabel=f"{name} on dev",
        reference=("always the mean", 0.0) if is_ccc else ("chance", 1 / num_classes),
    )
