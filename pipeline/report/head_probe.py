"""What a head's representations know, on the disk and on a page."""

from pathlib import Path

import pandas as pd

from pipeline.experiments.token_study import rows_of
from pipeline.figures.probes import draw_probes
from pipeline.manifests.tables import write_csv
from pipeline.report.page import Picture, Section, Table
from pipeline.report.token_cells import interval

TABLE, PICTURE = "representations.csv", "representations.png"
PROTOCOL = (
    "A logistic regression on what the head makes of a clip within, and on the mean of the frames "
    "that it reads. Emotion, gender and sentence are fitted on the head's training clips and "
    "scored on people whom neither has heard; who speaks is asked within the speakers of the "
    "scored part, over folds that share no sentence. Nearer to chance is less known."
)


def write_head_probe(folder: Path, table: pd.DataFrame, *, title: str) -> None:
    """Write the probes of a head as `representations.csv`, and draw them beside it.

    Raises:
        OutputError: If they cannot be written.
    """
    write_csv(folder / TABLE, table)
    drawn = table.rename(columns={"ua": "value", "ua_low": "low", "ua_high": "high"})
    draw_probes(folder / PICTURE, drawn, title=title, ylabel="UA")


def head_probe_section(folder: Path, table: pd.DataFrame, *, name: str, part: str) -> Section:
    """Write the probes of a head, and return them for a page."""
    write_head_probe(folder, table, title=f"What each part of {name} knows, on {part}")
    return Section(
        title="What each representation knows",
        texts=[PROTOCOL],
        tables=[
            Table(
                caption="UA, in brackets 95 % intervals that resample what was held apart.",
                frame=probe_cells(table),
            )
        ],
        pictures=[
            Picture(
                caption="UA of each question, and chance across the bars of each.",
                path=folder / PICTURE,
            )
        ],
    )


def probe_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each question and a column for each representation."""
    rows = []
    for question, mine in table.groupby("question", sort=False):
        first = mine.iloc[0]
        rows.append(
            {
                "question": str(question),
                **{row["representation"]: interval(row, "ua") for row in rows_of(mine)},
                "chance": f"{first['chance']:.3f}",
                "classes": str(first["classes"]),
                "clips fitted": str(first["fitted"]),
                "clips scored": str(first["scored"]),
                "held apart": f"{first['clusters']} {first['apart']}s",
            }
        )
    return pd.DataFrame(rows).fillna("")
