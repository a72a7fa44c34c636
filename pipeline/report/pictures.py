"""The pictures of a report on classes: what each was taken for, and how far to believe it."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.evaluation.columns import class_indices, probabilities_of
from pipeline.evaluation.metrics import confusion_matrix
from pipeline.figures.confusion import draw_confusion
from pipeline.figures.reliability import draw_reliability
from pipeline.manifests.tables import write_csv
from pipeline.report.page import Picture, Section


def confusion_picture(
    folder: Path, table: pd.DataFrame, name: str, classes: Sequence[str], split: str
) -> Picture:
    """Write the confusions of one system of a table, as a picture and as CSV.

    Raises:
        OutputError: If they cannot be written.
    """
    rows = table[table["system"] == name]
    matrix = confusion_matrix(
        class_indices(rows["label"], classes),
        class_indices(rows["predicted"], classes),
        num_classes=len(classes),
    )
    path = folder / f"confusion_{name}.png"
    draw_confusion(path, matrix, classes, title=f"{name} on {split}")
    shown = rows[["label", "predicted"]].rename(columns={"label": "actual"})
    write_csv(folder / f"confusion_{name}.csv", shown)
    return Picture(
        caption=f"{name}: what the clips of each class (a row) were taken for (columns), in "
        "percent of the row.",
        path=path,
    )


def reliability_sections(
    folder: Path, table: pd.DataFrame, systems: Sequence[str], classes: Sequence[str]
) -> list[Section]:
    """Draw how far each system's probabilities can be believed; nothing where none has any.

    Raises:
        OutputError: If a picture cannot be written.
    """
    pictures = []
    for name in systems:
        found = probabilities_of(table[table["system"] == name], classes)
        if found is None:
            continue
        path = folder / f"reliability_{name}.png"
        draw_reliability(path, *found, title=f"{name}: how far to believe it")
        pictures.append(
            Picture(
                caption=f"{name}: the share of clips that were right by how sure it was, points at "
                "their mean probability; below the dashed line it was surer than right.",
                path=path,
            )
        )
    if not pictures:
        return []
    return [
        Section(
            title="How far to believe it",
            texts=[
                "A head that says 0.8 should be right on 80 of 100 such clips; ECE is how far it "
                "is from that on average."
            ],
            pictures=pictures,
        )
    ]
