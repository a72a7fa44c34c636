"""Leaving the least sure clips to a person, as a part of a report."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.abstention import COVERAGE
from pipeline.experiments.tables import ABSTENTION
from pipeline.figures.lines import MOST_LINES, draw_scores
from pipeline.manifests.tables import read_csv, write_csv
from pipeline.report.page import Picture, Section, Table
from pipeline.report.tables import few_note

SHOWN = (1.0, 0.9, COVERAGE, 0.7, 0.5)


def abstention_sections(folder: Path, found: pd.DataFrame, name: str = "") -> list[Section]:
    """Write the table and the picture of error rates by coverage, and return their section.

    Args:
        folder: Of the report.
        found: As `pipeline.evaluation.abstention.abstention_table` returns it; empty where no
            system says how sure it is, and then there is no section.
        name: Of what it is about, where a page has several.

    Raises:
        OutputError: If something cannot be written.
    """
    if found.empty:
        return []
    stem = f"abstention_{name}" if name else "abstention"
    write_csv(folder / f"{stem}.csv", found)
    picture = folder / f"{stem}.png"
    draw_scores(
        picture,
        {
            f"{system}, by {by}": part.assign(x=_percent(1 - part["coverage"])).rename(
                columns={"error": "value", "error_low": "low", "error_high": "high"}
            )
            for (system, by), part in _drawn(found)
        },
        title="Errors among the clips that are answered",
        xlabel="percent of the clips, the least sure, that are left to a person",
        ylabel="error rate",
    )
    first = found["system"].iloc[0]
    return [
        Section(
            title=f"Unsure clips left to a person{f': {name}' if name else ''}",
            texts=[
                "Error rates when only the surest clips are answered. Confidence is the "
                "probability of the predicted class; uncertainty is what a head says of itself."
            ],
            tables=[
                Table(
                    caption="Error rate by the share of clips that is answered. The last column "
                    f"is the difference to {first} by its confidence at {COVERAGE:.0%}, paired. In "
                    f"brackets 95 % intervals.{few_note(int(found['clusters'].min()))}",
                    frame=_readable(found),
                    strong=[first],
                    is_folded=True,
                )
            ],
            pictures=[
                Picture(
                    caption="The error rate among the clips that are still answered, over the "
                    "share that is left to a person; bars are 95 % intervals. At most "
                    f"{MOST_LINES} lines: of {first}, and those of fewest errors where "
                    f"{COVERAGE:.0%} are answered.",
                    path=picture,
                )
            ],
        )
    ]


def kept_abstention_sections(out: Path, name: str, folder: Path) -> list[Section]:
    """Return the section of what `genser crossval` wrote; nothing of a matrix of corpora.

    Raises:
        PredictionsError: If the table is another version's.
        OutputError: If something cannot be written.
    """
    path = folder / ABSTENTION
    if not path.is_file():
        return []
    try:
        return abstention_sections(out, read_csv(path), name)
    except (ValueError, KeyError) as error:
        raise PredictionsError(
            f"{path}: is not what 'genser crossval' writes now ({error}); run it again."
        ) from error


def _drawn(found: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """Return the lines that are drawn, the first system's and the lowest, in their order."""
    lines = list(found.groupby(["system", "by"], sort=False))
    at = [part.loc[part["coverage"] == COVERAGE, "error"].iloc[0] for _, part in lines]
    is_other = [system != found["system"].iloc[0] for (system, _), _ in lines]
    chosen = np.lexsort((at, is_other))[:MOST_LINES]
    return [lines[i] for i in sorted(chosen)]


def _readable(found: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (system, by), part in found.groupby(["system", "by"], sort=False):
        at = part.set_index("coverage")
        cells = {"system": system, "by": by}
        for coverage in SHOWN:
            row = at.loc[coverage]
            cells[f"{coverage:.0%}"] = (
                f"{row['error']:.3f} [{row['error_low']:.3f}, {row['error_high']:.3f}]"
            )
        row = at.loc[COVERAGE]
        cells["difference"] = (
            f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, "
            f"{row['difference_high']:+.3f}]"
            if np.isfinite(row["difference"])
            else ""
        )
        rows.append(cells)
    return pd.DataFrame(rows)


def _percent(shares: pd.Series) -> list[str]:
    return [f"{share:.0%}" for share in shares]
