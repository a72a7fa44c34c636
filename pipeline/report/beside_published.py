"""Our systems under what others have published, with what differs."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pipeline.evaluation.standings import Standing
from pipeline.report.page import Section, Table
from pipeline.report.published import PUBLISHED, SCORED_ON
from pipeline.scoring.predictions import HEAD_CORPORA, Predictions

UNTOLD = "not told"


def published_section(
    standings: Sequence[Standing],
    predictions: Mapping[str, Predictions],
    *,
    scored_on: str,
    encoder: str,
) -> Section:
    """Return what others have published, and ours under it.

    Args:
        standings: Ours.
        predictions: What they are of, by name; foreign ones are absent.
        scored_on: Which rows of which corpora ours were scored on.
        encoder: What ours hear with.
    """
    ours = [f"{one.system} (ours)" for one in standings]
    rows = [
        {
            "system": name,
            **_scores(*(one.scores[score].value for score in ("wa", "ua", "wf1"))),
            "encoder": encoder,
            "trained on": _trained_on(predictions.get(one.system)),
            "scored on": scored_on,
            "source": "this report",
        }
        for name, one in zip(ours, standings, strict=True)
    ]
    tables = []
    for name, theirs in SCORED_ON.items():
        published = [
            {
                "system": row.system,
                **_scores(row.wa, row.ua, row.wf1),
                "encoder": row.encoder,
                "trained on": row.trained_on,
                "scored on": theirs,
                "source": row.source,
            }
            for row in PUBLISHED
            if row.table == name
        ]
        tables.append(Table(caption=name, frame=pd.DataFrame([*published, *rows]), strong=ours))
    return Section(
        title="Beside published numbers",
        texts=[
            "Others are on their data with their encoders, and ours on ours: only rows with the "
            "same encoder, data and split can be compared."
        ],
        tables=tables,
    )


def _trained_on(predictions: Predictions | None) -> str:
    """Return the corpora that a system's head was trained on, as its predictions say."""
    told = None if predictions is None else predictions.metadata.get(HEAD_CORPORA)
    if not isinstance(told, list | tuple) or not told:
        return UNTOLD
    return ", ".join(str(name) or "a corpus without a name" for name in told)


def _scores(*values: float | None) -> dict[str, str]:
    cells = ("" if value is None else f"{value:.3f}" for value in values)
    return dict(zip(("WA", "UA", "WF1"), cells, strict=True))
