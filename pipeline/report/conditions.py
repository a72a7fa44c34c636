"""What systems cope with, as a part of the page of a cross-validation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.concordance import CCC
from pipeline.experiments.condition_tables import CONDITIONS
from pipeline.experiments.conditions import LABEL_NOISE, NEW_CLASS, TRAIN_SPEAKERS
from pipeline.manifests.tables import read_csv
from pipeline.report.page import Section, Table
from pipeline.report.tables import few_note

WHAT = {
    LABEL_NOISE: "a share of the training labels is another {label}",
    TRAIN_SPEAKERS: "so many speakers are trained on",
    NEW_CLASS: "a class is left out of training, and so many clips of it are shown afterwards",
}


def condition_sections(name: str, folder: Path) -> list[Section]:
    """Return the tables of what `genser crossval` made its systems cope with; nothing of nothing.

    Raises:
        PredictionsError: If the table is another version's.
    """
    path = folder / CONDITIONS
    if not path.is_file():
        return []
    try:
        found = read_csv(path, dtype={"level": "str"}, keep_default_na=False, na_values=[""])
        tables = [
            _table(name, kind, found, part)
            for kind, part in found.groupby("kind", sort=False)
            if kind in WHAT
        ]
        score = "CCC" if CCC in found else "UA"
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{path}: is not what 'genser crossval' writes now ({error}); run it again."
        ) from error
    return [
        Section(
            title=f"What they cope with: {name}",
            texts=[
                "Each system trained once as it is and once under each condition, on the same "
                f"folds and seeds; dev and test are untouched. {score} with 95 % intervals that "
                f"resample speakers; in parentheses the first system's {score} less this one's "
                "under the same condition, paired."
            ],
            tables=tables,
        )
    ]


def _table(name: str, kind: object, whole: pd.DataFrame, part: pd.DataFrame) -> Table:
    plain = whole[whole["kind"].isna()]
    score, label = (CCC, "clip's number") if CCC in whole else ("ua", "class")
    rows = []
    for system, mine in part.groupby("name", sort=False):
        cells = {"system": str(system)}
        for row in plain[plain["name"] == system].to_dict("records"):
            cells["as it is"] = _cell(row, score, with_difference=True)
        for row in mine.to_dict("records"):
            cells[str(row["level"])] = _cell(row, score, with_difference=True)
            if kind == NEW_CLASS:
                cells[f"{row['level']}: new, known"] = (
                    f"{_cell(row, 'new_recall')}, {row['known_recall']:.3f}"
                )
        for row in mine.to_dict("records"):
            if np.isfinite(row.get("error_at_80", np.nan)):
                cells[f"{row['level']}: error at 80 %"] = _cell(row, "error_at_80")
        rows.append(cells)
    about = f" ({part['new_class'].iloc[0]})" if kind == NEW_CLASS else ""
    return Table(
        caption=f"{name}: {WHAT[str(kind)].format(label=label)}{about}."
        f"{few_note(int(part['clusters'].min()))}",
        frame=pd.DataFrame(rows).fillna(""),
        strong=[rows[0]["system"]],
    )


def _cell(row: Mapping[Any, Any], score: str, *, with_difference: bool = False) -> str:
    text = f"{row[score]:.3f} [{row[f'{score}_low']:.3f}, {row[f'{score}_high']:.3f}]"
    if with_difference and np.isfinite(row["difference"]):
        text += (
            f" ({row['difference']:+.3f} [{row['difference_low']:+.3f}, "
            f"{row['difference_high']:+.3f}])"
        )
    return text
