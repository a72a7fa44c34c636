"""Our systems under what others have published of the same task and corpus, with what differs."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pipeline.evaluation.standings import Standing
from pipeline.experiments.emoq_study import HEAD
from pipeline.report.making import UNTOLD, trained_corpora
from pipeline.report.page import Section, Table
from pipeline.report.published import Published, PublishedScores
from pipeline.report.published_descriptors import DESCRIPTORS, HUBERT, LLAMA, UAS
from pipeline.report.published_emoq import EMOQ, INPUT, MAIN, OFFICIAL, TABLES, rows_of_table
from pipeline.report.published_genser import GENDER, MELD, MELD_ELSEWHERE
from pipeline.scoring.predictions import Predictions


def _emoq_tables(what: str) -> list[PublishedScores]:
    """Return the tables of EmoQ that vary one thing; what its losses are worth is a study's."""
    return [
        PublishedScores(
            title=f"EmoQ, {table.title}",
            task="emotion",
            corpus=table.corpus,
            num_classes=table.num_classes,
            splits=("test",) if table.split == OFFICIAL else (),
            rows=[
                Published(
                    system=f"EmoQ, {row.system}" if table.what == INPUT else row.system,
                    encoder=f"{row.encoder}, text {row.text}, {row.language}"
                    if row.variant or row.is_whole
                    else row.encoder.replace("?", UNTOLD),
                    trained_on=table.corpus.upper(),
                    wa=row.wa,
                    ua=row.ua,
                    wf1=row.wf1,
                    source=f"{EMOQ}, Table {row.table}{row.note and f', {row.note}'}",
                )
                for row in rows_of_table(table.number)
            ],
        )
        for table in TABLES
        if table.what == what
    ]


def _descriptor_tables() -> list[PublishedScores]:
    return [
        PublishedScores(
            title=f"Emotion descriptors on {corpus}",
            task="emotion",
            corpus=corpus,
            num_classes=None,
            splits=("test",) if corpus == "meld" else (),
            rows=[
                Published(
                    system=row.system,
                    encoder=f"{HUBERT}, {LLAMA}",
                    ua=row.ua,
                    source=f"{DESCRIPTORS}; {row.note}",
                )
                for row in UAS
                if row.corpus == corpus and row.ua is not None
            ],
        )
        for corpus in dict.fromkeys(row.corpus for row in UAS)
    ]


EMOQ_MAIN = tuple(_emoq_tables(MAIN))
COMPARED = (
    MELD,
    MELD_ELSEWHERE,
    GENDER,
    *EMOQ_MAIN,
    *_emoq_tables(INPUT),
    *_descriptor_tables(),
)


def published_sections(
    standings: Sequence[Standing],
    predictions: Mapping[str, Predictions],
    *,
    task: str,
    corpora: Sequence[str],
    split: str,
    encoder: str,
) -> list[Section]:
    """Return published tables with ours under them; none where task or corpus are another.

    Args:
        standings: Ours.
        predictions: What they are of, by name; foreign ones are absent.
        task: The label column.
        corpora: Whose rows were scored.
        split: Which rows.
        encoder: What ours hear with.
    """
    num_classes = standings[0].num_classes
    # Under a head of EmoQ its main tables have a section of their own, with its texts.
    is_emoq = any(one.metadata.get("head_kind") == HEAD for one in predictions.values())
    fitting = [
        one
        for one in COMPARED
        if one.is_of(task, corpora, num_classes, split) and not (is_emoq and one in EMOQ_MAIN)
    ]
    if not fitting:
        return []
    ours = [
        Published(
            system=f"{one.system} (ours)",
            encoder=encoder,
            trained_on=trained_corpora(predictions.get(one.system)),
            **{score: one.scores[score].value for score in ("wa", "ua", "wf1")},
            source="this report",
        )
        for one in standings
    ]
    return [
        Section(
            title="Beside published numbers",
            texts=[
                "Others are trained on their data with their encoders, and ours on ours: only rows "
                "with the same encoder and training data can be compared."
            ],
            tables=[
                Table(
                    caption=f"{one.title}.",
                    frame=pd.DataFrame(map(_cells, (*one.rows, *ours))),
                    strong=[row.system for row in ours],
                    is_folded=index > 0,
                )
                for index, one in enumerate(fitting)
            ],
        )
    ]


def _cells(row: Published) -> dict[str, str]:
    scores = (("WA", row.wa), ("UA", row.ua), ("WF1", row.wf1))
    return {
        "system": row.system,
        **{name: "" if value is None else f"{value:.3f}" for name, value in scores},
        "encoder": row.encoder,
        "trained on": row.trained_on,
        "source": row.source,
    }
