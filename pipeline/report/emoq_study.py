"""EmoQ on a page: Tables 1 to 6 of the paper beside ours, and what each system takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.standings import Standing
from pipeline.experiments.compared import MEASURES
from pipeline.experiments.emoq_study import HEAD, EmoQStudy, has_emoq, study_emoq
from pipeline.experiments.system_files import SYSTEMS, read_systems
from pipeline.experiments.tables import PREDICTIONS, STANDINGS
from pipeline.experiments.token_study import rows_of
from pipeline.manifests.tables import write_csv
from pipeline.report.apart import tables_beside
from pipeline.report.costs import cost_section, read_seconds
from pipeline.report.emoq_cells import our_cells, published_cells
from pipeline.report.page import Section, Table
from pipeline.report.published_emoq import (
    HUBERT,
    INPUT,
    LOSSES,
    MAIN,
    OFFICIAL,
    QWEN,
    STAGE1,
    TABLES,
    PublishedTable,
)
from pipeline.report.tables import few_note
from pipeline.report.variants import draw_variants
from pipeline.scoring.predictions import Predictions

WHAT = {INPUT: "what it reads", LOSSES: "losses of stage 1", STAGE1: "stage 1"}
OTHERS = (
    "Others are on their data with their encoders and texts, and ours on ours: only rows with the "
    "same encoder, language model, texts, data and split can be compared."
)


def emoq_sections(out: Path, name: str, folder: Path, *, cluster: str) -> list[Section]:
    """Return the study of a cross-validation that has systems of EmoQ; nothing of another one.

    Args:
        out: The report's folder; tables and pictures get there as `<name>_emoq_<what>`.
        name: Of the cross-validation.
        folder: What 'genser crossval' wrote.
        cluster: What intervals resample.

    Raises:
        PredictionsError: If its files are damaged or of another version, or systems were not scored
            on the same clips.
        OutputError: If something cannot be written.
    """
    if not ((folder / SYSTEMS).is_file() and (folder / STANDINGS).is_file()):
        return []
    systems = read_systems(folder / SYSTEMS)
    if not has_emoq(systems):
        return []
    try:
        predictions = pd.read_parquet(folder / PREDICTIONS)
        seconds, devices = read_seconds(folder)
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{folder}: lacks what the study of EmoQ is made of ({error}); run 'genser crossval' "
            "again."
        ) from error
    study = study_emoq(predictions, systems, seconds, cluster=cluster)
    for what, table in study.tables().items():
        write_csv(out / f"{name}_emoq_{what}.csv", table)
    note = (
        f" In brackets 95 % intervals that resample {study.num_clusters} {cluster}s, the same ones "
        f"for all systems.{few_note(study.num_clusters)}"
    )
    pictures = draw_variants(out, f"{name}_emoq", study.variants, WHAT)
    return [
        Section(
            title=f"{name}: the tables of EmoQ",
            texts=[
                f"{OTHERS} The whole system hears and reads, has queries, and a stage 1 with both "
                "losses; what a row has more than it is paired on the same clips."
            ],
            tables=[one for table in TABLES for one in _tables(study, table, note)],
            pictures=pictures,
        ),
        cost_section(out, name, study.systems, study.reference, devices=devices, note=note),
    ]


def emoq_standings_sections(
    standings: Sequence[Standing],
    predictions: Mapping[str, Predictions],
    *,
    corpora: Sequence[str],
    split: str,
    encoder: str,
    language: str,
) -> list[Section]:
    """Return the main tables of the paper that single heads of EmoQ belong to, with these.

    Args:
        standings: Ours.
        predictions: What they are of, by name.
        corpora: That were scored; empty where that is not known.
        split: Which rows.
        encoder: What they hear with.
        language: Their language model.
    """
    names = {n for n, one in predictions.items() if one.metadata.get("head_kind") == HEAD}
    ours = [one for one in standings if one.system in names]
    if not ours:
        return []
    scored_on = f"{', '.join(corpora) or '?'}, {ours[0].num_classes} classes, {split}"
    rows = [
        our_cells(
            _facts(one, predictions[one.system], encoder, language),
            name=f"{one.system} (ours)",
            scored_on=scored_on,
            is_whole=True,
        )
        for one in ours
    ]
    tables = [
        one
        for table in TABLES
        if table.what == MAIN
        and table.is_of(corpora, ours[0].num_classes)
        and (table.split != OFFICIAL or split == "test")
        for one in tables_beside(
            rows,
            published_cells(table),
            title=table.title,
            other_title="",
            scored_on=scored_on,
        )
    ]
    if not tables:
        return []
    return [Section(title="Beside the tables of EmoQ", texts=[OTHERS], tables=tables)]


def _facts(
    one: Standing, predictions: Predictions, encoder: str, language: str
) -> dict[str, object]:
    scores = {
        key: value
        for score in MEASURES
        for key, value in (
            (score, one.scores[score].value),
            (f"{score}_low", one.scores[score].low),
            (f"{score}_high", one.scores[score].high),
        )
    }
    told, known = (
        " ".join(map(str, found)) if isinstance(found, list | tuple) else ""
        for found in map(predictions.metadata.get, ("text_sources", "head_text_sources"))
    )
    told += f" (trained on {known})" * (known not in ("", told))
    facts = {"head": HEAD, "encoder": encoder, "language": language, "text_sources": told}
    return {**facts, "input": "", **scores}


def _tables(study: EmoQStudy, table: PublishedTable, note: str) -> list[Table]:
    """Return a table of the paper and the systems of the study that belong to it."""
    scored_on = f"{', '.join(study.corpora)}, {study.num_classes} classes, {study.split}"
    is_same = table.is_of(study.corpora, study.num_classes) and table.is_in_folds(study.num_folds)
    if table.what == MAIN:
        mine = study.systems[study.systems["head"] == HEAD].assign(whole=study.reference)
        # A main table varies nothing: what it says are levels.
        mine = mine if is_same else mine[:0]
    else:
        mine = study.variants
        mine = mine[mine["table"] == table.what] if len(mine) else mine
    several = len(mine) and mine["whole"].nunique() > 1
    rows = [
        our_cells(
            row,
            name=" ".join(
                [
                    f"{row['variant']}: {row['system']}" if "variant" in row else row["system"],
                    f"(ours, whole is {row['whole']})" if several else "(ours)",
                ]
            ),
            scored_on=scored_on,
            # Without a whole system there is nothing that a row of a main table could have more.
            is_whole=row["system"] == row["whole"] or not study.has_whole,
        )
        for row in rows_of(mine)
    ]
    published = published_cells(table)
    return tables_beside(
        rows,
        published if is_same else [],
        [] if is_same else published,
        title=table.title if is_same else f"As Table {table.number}, {WHAT.get(table.what)}",
        other_title=f"EmoQ, {table.title}, {table.split}, {HUBERT}, {QWEN}",
        scored_on=scored_on,
        note=note,
    )
