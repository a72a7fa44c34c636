"""The study of discrete tokens on a page: its tables as CSV, its pictures, and published rows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.columns import class_order
from pipeline.experiments.compared import num_folds, split_words
from pipeline.experiments.system_files import SYSTEMS, read_systems
from pipeline.experiments.tables import DEV_SCORES, PREDICTIONS, STANDINGS
from pipeline.experiments.token_study import CODEC, TokenStudy, has_tokens, study_tokens
from pipeline.manifests.tables import read_csv, write_csv
from pipeline.report.apart import tables_beside
from pipeline.report.page import Picture, Section, Table
from pipeline.report.published import PUBLISHED_TOKENS, TOKENS_CLASSES, TOKENS_CORPUS
from pipeline.report.tables import few_note
from pipeline.report.token_cells import (
    attention_cells,
    codecs_cells,
    fusion_cells,
    layers_cells,
    span,
    systems_cells,
)
from pipeline.report.token_pictures import draw_study


def token_sections(out: Path, name: str, folder: Path, *, cluster: str) -> list[Section]:
    """Return the study of a cross-validation that has systems of tokens; nothing of another one.

    Args:
        out: The report's folder; tables and pictures get there as `<name>_tokens_<what>`.
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
    if not has_tokens(systems):
        return []
    try:
        predictions = pd.read_parquet(folder / PREDICTIONS)
        dev = read_csv(folder / DEV_SCORES)
        known: dict[str, float] = {}
        if "dev_macro_f1" in dev:
            known = {
                str(k): float(v) for k, v in dev.groupby("system")["dev_macro_f1"].mean().items()
            }
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{folder}: lacks what the study of tokens is made of ({error}); run 'genser crossval' "
            "again."
        ) from error
    study = study_tokens(predictions, systems, known, cluster=cluster)
    for what, table in study.tables().items():
        write_csv(out / f"{name}_tokens_{what}.csv", table)
    note = (
        f" In brackets 95 % intervals that resample {study.num_clusters} {cluster}s, the same ones "
        f"for all systems.{few_note(study.num_clusters)}"
    )
    pictures = draw_study(out, f"{name}_tokens", study)
    sections = [
        _layers_section(study, pictures["layers"], note, predictions),
        _fusion_section(study, pictures["fusion"], note),
        _rates_section(study, pictures["rates"], note),
        _attention_section(study, pictures["attention"], note),
        Section(
            title="every system",
            texts=["What each reads, what that takes, and how it does on test."],
            tables=[Table(caption=f"All systems.{note}", frame=systems_cells(study.systems))],
        ),
    ]
    return [
        replace(section, title=f"{name}: {section.title}")
        for section in sections
        if section.tables or section.pictures
    ]


def _layers_section(
    study: TokenStudy, pictures: Sequence[Picture], note: str, predictions: pd.DataFrame
) -> Section:
    chosen = _chosen(study)
    mark = (
        "In bold: the system of the table that is best on dev."
        if chosen
        else "What is best on dev is not known, so no layer is marked as chosen."
    )
    tables = []
    # Systems that all have acoustics beside their codes are in no row of it.
    if len(study.layers):
        caption = f"Codes beside frames of the same layers, macro F1.{note}"
        shown = Table(caption=caption, frame=layers_cells(study.layers), strong=chosen)
        tables = [shown, *published_tables(study, predictions)]
    return Section(
        title="tokens by layer and size",
        texts=[
            "Each system reads the codes of some layers, by k-means with K centroids, or the "
            "frames themselves in their place; all else is the same, so the relative drop, "
            f"100 (frames - codes) / frames, is what quantisation costs. {mark}"
        ],
        tables=tables,
        pictures=pictures,
    )


def _fusion_section(study: TokenStudy, pictures: Sequence[Picture], note: str) -> Section:
    tables = []
    if len(study.fusion):
        strong = study.fusion.loc[study.fusion["is_reference"], "system"].tolist()
        caption = (
            "Macro F1, the paired difference to the reference, and the part of the gap that is "
            f"closed.{note}"
        )
        tables = [Table(caption=caption, frame=fusion_cells(study.fusion), strong=strong)]
    chosen = (
        "Beside the best single layer of codes, chosen by dev, for each size of codebook."
        if len(study.fusion) and (study.fusion["reference"] != "").any()
        else "What single layer is best on dev is not known, so there is none to compare with."
    )
    return Section(
        title="fusion and acoustics",
        texts=[
            f"{chosen} The gap is what the frames of that layer have more; closed is the part of "
            "it that a system wins back, which may be above 100 %. Where the gap is not above 0 "
            "there is no part of it; where its interval reaches 0 the part has no ends."
        ],
        tables=tables,
        pictures=pictures,
    )


def _rates_section(study: TokenStudy, pictures: Sequence[Picture], note: str) -> Section:
    tables = []
    if len(study.codecs):
        caption = f"Tokens alone and with acoustics, macro F1; the gain is paired.{note}"
        tables = [Table(caption=caption, frame=codecs_cells(study.codecs))]
    absent = " There is no codec among the systems." * bool(
        (study.systems["family"] != CODEC).all()
    )
    return Section(
        title="kinds of tokens, bit rate and storage",
        texts=[
            "A code of K centroids is log2 K bits; what else is read counts with all its bits. "
            f"Bytes are what the store keeps of a second of speech, two for a code.{absent}"
        ],
        tables=tables,
        pictures=pictures,
    )


def _attention_section(study: TokenStudy, pictures: Sequence[Picture], note: str) -> Section:
    tables = []
    if len(study.attention):
        caption = f"How much each layer counts, mean over clips and seeds.{note}"
        tables = [Table(caption=caption, frame=attention_cells(study.attention))]
    return Section(title="attention over layers", tables=tables, pictures=pictures)


def published_tables(study: TokenStudy, predictions: pd.DataFrame) -> list[Table]:
    """Return what others have published of discrete tokens, and ours in short, with what differs.

    Args:
        study: Ours.
        predictions: Which it is of.
    """
    corpora, num_classes = sorted(set(predictions["corpus"])), len(class_order(predictions))
    scored_on = f"{', '.join(corpora)}, {num_classes} classes, {split_words(predictions)}"
    published = [
        {
            "system": row.system,
            "macro F1": row.macro_f1,
            "relative drop, %": row.drop,
            "encoder": row.encoder,
            "scored on": row.data,
            "source": row.source,
        }
        for row in PUBLISHED_TOKENS
    ]
    ours = []
    for encoder, mine in study.layers.groupby("encoder", sort=False):
        is_single = ~mine["layers"].str.contains(" ")
        for what, part in (("a single layer", mine[is_single]), ("several", mine[~is_single])):
            if part.empty:
                continue
            ours.append(
                {
                    "system": f"discrete tokens of {what}, k-means (ours)",
                    "macro F1": span(part["codes_macro_f1"], 3),
                    "relative drop, %": span(part["drop"].dropna(), 1),
                    "encoder": str(encoder) or "?",
                    "scored on": scored_on,
                    "source": "this report",
                }
            )
    is_same = corpora == [TOKENS_CORPUS] and num_classes == TOKENS_CLASSES
    is_same &= num_folds(predictions) is None
    return tables_beside(
        ours,
        published if is_same else [],
        [] if is_same else published,
        title="In short: the least and the most of each kind of tokens"
        + ", with what others have published of the same clips" * is_same,
        other_title="discrete tokens on MSP-Podcast, eight classes, WavLM-large, fine-tuned",
        scored_on=scored_on,
        note=" Others are trained with their encoder, and ours with ours." * is_same,
    )


def _chosen(study: TokenStudy) -> list[str]:
    """Return the system of T1 that is best on dev; nothing where dev is not known of all."""
    if study.layers.empty or not np.isfinite(study.layers["dev_macro_f1"]).all():
        return []
    return [str(study.layers["codes"].iloc[int(study.layers["dev_macro_f1"].argmax())])]
