"""The numbers of EmoQ's tables as texts: published rows, and ours under them."""

from collections.abc import Mapping
from typing import Any

from pipeline.experiments.compared import MEASURES
from pipeline.experiments.emoq_study import AUDIO, HEAD, TEXT
from pipeline.report.published_emoq import EMOQ, PublishedRow, PublishedTable, rows_of_table
from pipeline.report.tables import NAMES
from pipeline.report.token_cells import interval

Cells = dict[str, str]
NOT_PRINTED, NONE, UNKNOWN = "-", "none", "?"
LEFT_TO_RIGHT = ("system", *(NAMES[score] for score in MEASURES))


def published_cells(table: PublishedTable) -> list[Cells]:
    """Return a table of the paper, each row with what it has more than the whole system."""
    rows = rows_of_table(table.number)
    whole = next(row for row in rows if row.is_whole)
    return [_published(table, row, whole) for row in rows]


def _published(table: PublishedTable, row: PublishedRow, whole: PublishedRow) -> Cells:
    note = f"; {row.note}" * bool(row.note)
    return {
        "system": row.system,
        **{NAMES[score]: _printed(getattr(row, score)) for score in MEASURES},
        **{
            _gain(score): "" if row.is_whole else _less(getattr(row, score), getattr(whole, score))
            for score in MEASURES
        },
        "encoder": row.encoder,
        "language model": row.language,
        "text": row.text,
        "scored on": f"{table.corpus}, {table.num_classes} classes, {table.split}",
        "source": f"{EMOQ}, Table {row.table}{note}",
    }


def our_cells(row: Mapping[str, Any], *, name: str, scored_on: str, is_whole: bool) -> Cells:
    """Return one of ours as a row under published ones.

    Args:
        row: Facts of `systems.csv`, and scores and differences with their ends.
        name: What it is called there.
        scored_on: Corpora, classes and split.
        is_whole: Whether differences are to itself.
    """
    gains = {_gain(score): "" for score in MEASURES}
    if not is_whole:
        gains = {_gain(s): interval(row, f"{s}_difference", signed=True) for s in MEASURES}
    return {
        "system": name,
        **{NAMES[score]: interval(row, score) for score in MEASURES},
        **gains,
        **read_cells(row),
        "scored on": scored_on,
        "source": "this report",
    }


def read_cells(row: Mapping[str, Any]) -> Cells:
    """Return what a system hears with, its language model, and who wrote its texts."""
    if not row["head"]:
        return dict.fromkeys(("encoder", "language model", "text"), UNKNOWN)
    is_ours = row["head"] == HEAD
    hears, reads = not (is_ours and row["input"] == TEXT), is_ours and row["input"] != AUDIO
    return {
        "encoder": str(row["encoder"]) or (UNKNOWN if hears else NONE),
        "language model": str(row["language"]) or NONE,
        "text": str(row["text_sources"]) or (UNKNOWN if reads else NONE),
    }


def _gain(score: str) -> str:
    return f"{NAMES[score]} more than the whole"


def _printed(value: float | None) -> str:
    return NOT_PRINTED if value is None else f"{value:.3f}"


def _less(value: float | None, whole: float | None) -> str:
    return NOT_PRINTED if value is None or whole is None else f"{value - whole:+.3f}"
