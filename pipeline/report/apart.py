"""Published rows and ours: in one table where both are of the same clips, else each in its own."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pipeline.report.page import Table

Cells = Mapping[str, str]


def tables_beside(
    ours: Sequence[Cells],
    same: Sequence[Cells],
    other: Sequence[Cells] = (),
    *,
    title: str,
    other_title: str,
    scored_on: str,
    note: str = "",
) -> list[Table]:
    """Return ours under published rows of the same clips, and other published rows folded, apart.

    Args:
        ours: A row each; the first column is the system.
        same: Published rows of the same corpus, classes and split as ours.
        other: Those of other clips, whose levels say nothing of ours.
        title: Of the table that ours stand in.
        other_title: Of the folded one: what it is of, its corpus, encoder and model.
        scored_on: What ours are of: corpora, classes and split.
        note: How ours are to be read.

    Returns:
        One table, two, or none where there is no row at all.
    """
    tables = []
    if ours or same:
        absent = " None of ours is of this table." * (not ours)
        tables.append(
            Table(
                caption=f"{title}.{absent}{note * bool(ours)}",
                frame=_frame(same, ours),
                strong=[row["system"] for row in ours] if same else (),
                is_folded=not ours,
            )
        )
    if other:
        tables.append(
            Table(
                caption=f"Published, not comparable in level: {other_title}. Ours are of "
                f"{scored_on}; only differences within each table can be set beside each other.",
                frame=_frame(other, ()),
                is_folded=True,
            )
        )
    return tables


def _frame(published: Sequence[Cells], ours: Sequence[Cells]) -> pd.DataFrame:
    """Return rows without the columns that say nothing, in the order of ours, which have most."""
    columns = dict.fromkeys(name for row in (*ours, *published) for name in row)
    frame = pd.DataFrame([*published, *ours], columns=list(columns)).fillna("")
    return frame.loc[:, (frame != "").any()]
