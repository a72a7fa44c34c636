"""What a head writes of clips, on a page: examples, how near it comes, and which slots it gets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.descriptions.grammar import Grammar
from pipeline.evaluation.columns import rows_of_split
from pipeline.evaluation.java_scores import METEOR, SPICE
from pipeline.evaluation.text_scores import BLEU4, CIDER_D, ROUGE_L
from pipeline.evaluation.word_errors import NORMALISATION
from pipeline.experiments.said_texts import (
    GIVEN,
    SAID,
    SLOTS,
    TEXT_SCORES,
    TRANSCRIPT,
    WER,
    known_descriptors,
    said_rows,
    slots_table,
    text_scores,
)
from pipeline.experiments.token_study import rows_of
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.tables import write_csv
from pipeline.report.besides import EXAMPLES, shortened
from pipeline.report.page import Section, Table
from pipeline.report.token_cells import interval
from pipeline.scoring.predictions import Predictions

HEADINGS = {
    WER: "WER",
    BLEU4: "BLEU@4",
    METEOR: "METEOR",
    ROUGE_L: "ROUGE-L",
    CIDER_D: "CIDEr-D",
    SPICE: "SPICE",
}
PERCENT = tuple(name for name in HEADINGS if name != CIDER_D)
SHOWN_AS = {
    DESCRIPTORS: ("description given", "description said"),
    TRANSCRIPT: ("text given", "text heard"),
}
HOW = (
    f"Texts are compared in {NORMALISATION}. All but CIDEr-D, whose best is 10, in percent. "
    "Descriptions of few templates are alike: which slots are right says more than these scores."
)


def description_sections(
    folder: Path,
    predictions: Mapping[str, Predictions],
    manifest: Manifest,
    grammar: Grammar,
    *,
    split: str,
    cluster: str,
    java_seconds: float,
) -> list[Section]:
    """Return what heads wrote of a split's clips beside what is given; nothing where they are mute.

    Args:
        folder: Of the report; `text_scores.csv` and `slots.csv` get there.
        predictions: By name.
        manifest: That was scored.
        grammar: In whose words descriptions are read.
        split: Whose rows are shown.
        cluster: What intervals resample.
        java_seconds: The most that METEOR and SPICE may take each.

    Raises:
        OutputError: If a table cannot be written.
    """
    rows = {}
    for name, one in predictions.items():
        if set(SAID) & set(one.extras):
            frame = one.frame
            mine = said_rows(rows_of_split(frame, split), manifest)
            rows[name] = mine.assign(fold="")
    if not rows:
        return []
    examples = [_examples(name, mine, predictions[name].classes) for name, mine in rows.items()]
    scores = text_scores(rows, cluster=cluster, java_seconds=java_seconds)
    slots = slots_table(rows, grammar, {"": known_descriptors(manifest)})
    for file, table in ((TEXT_SCORES, scores), (SLOTS, slots)):
        if len(table):
            write_csv(folder / file, table)
    return [
        Section(
            title="What the head writes",
            texts=[HOW, *missing_scores(scores)],
            tables=[*examples, *score_tables(scores, cluster), *slot_tables(slots)],
        )
    ]


def _examples(name: str, rows: pd.DataFrame, classes: tuple[str, ...]) -> Table:
    """Return the first clips of each class that were recognised, and the first that were not."""
    told = [text for text in SAID if text in rows.columns]
    shown = []
    for label in classes:
        mine = rows[rows["label"] == label]
        is_right = mine["predicted"] == label
        for part in (mine[is_right], mine[~is_right]):
            for row in rows_of(part.head(EXAMPLES)):
                cells = {"class": label, "taken for": row["predicted"], "clip": row["utterance_id"]}
                for text in told:
                    given, said = SHOWN_AS[text]
                    cells[given] = shortened(row[GIVEN[text]])
                    cells[said] = shortened(row[text] or "")
                shown.append(cells)
    return Table(
        caption=f"{name}: what it wrote of the first {EXAMPLES} clips of each class that were "
        f"recognised, and of the first {EXAMPLES} that were not.",
        frame=pd.DataFrame(shown),
    )


def score_tables(scores: pd.DataFrame, cluster: str) -> list[Table]:
    """Return a row for each system, with the scores of what it writes; nothing of no scores."""
    if scores.empty:
        return []
    note = f"In brackets 95 % intervals that resample {scores['clusters'].max()} {cluster}s."
    return [
        Table(
            caption=f"How near what is written comes to what is given. {note}",
            frame=score_cells(scores),
        )
    ]


def score_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each system of a table of `text_scores`, a column for each score."""
    rows = []
    for system, mine in scores.groupby("system", sort=False):
        found = {row["score"]: row for row in rows_of(mine)}
        cells = {HEADINGS[name]: score_text(found[name]) for name in HEADINGS if name in found}
        rows.append({"system": str(system), **cells, "clips": str(mine["clips"].max())})
    table = pd.DataFrame(rows).fillna("")
    return table.loc[:, (table != "").any()]


def score_text(row: Mapping[str, Any]) -> str:
    """Return a score with its ends, in percent but for CIDEr-D; "" where there is none."""
    is_percent = row["score"] in PERCENT
    factor = 100 if is_percent else 1
    told = {
        "value": factor * row["value"],
        "value_low": factor * row["low"],
        "value_high": factor * row["high"],
    }
    return interval(told, "value", places=1 if is_percent else 2)


def missing_scores(scores: pd.DataFrame) -> list[str]:
    """Return why a score is absent, once for each reason."""
    lacking = scores[scores["reason"].fillna("") != ""]
    told = [f"{HEADINGS[row['score']]} is absent: {row['reason']}." for row in rows_of(lacking)]
    return list(dict.fromkeys(told))


def slot_tables(slots: pd.DataFrame) -> list[Table]:
    """Return which slots systems get right, a row for each; nothing of no slots."""
    if slots.empty:
        return []
    tables = []
    for measure, what in (
        ("accuracy", "clips whose description says the level that was measured, of all"),
        ("macro_f1", "F1 of the levels, each level alike"),
    ):
        shown = slots.pivot_table(
            index="system", columns="slot", values=measure, sort=False
        ).reset_index()
        cells = shown.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float) else str(cell))
        tables.append(
            Table(
                caption=f"Slots: {what}. A description that is silent about a slot is wrong there.",
                frame=cells.replace("nan", ""),
            )
        )
    return tables
