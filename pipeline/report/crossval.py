"""Cross-validations on a page: the tables that were written, and the studies of systems."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.evaluation.concordance import CCC
from pipeline.experiments.condition_tables import CONDITIONS
from pipeline.experiments.system_files import SYSTEMS, read_systems
from pipeline.experiments.tables import COMPARISONS, MATRIX, STANDINGS
from pipeline.manifests.tables import read_csv
from pipeline.report.abstention import kept_abstention_sections
from pipeline.report.conditions import condition_sections
from pipeline.report.descriptors_study import descriptors_sections
from pipeline.report.emoq_study import emoq_sections
from pipeline.report.making import Making, making_section
from pipeline.report.numbers import readable_comparisons, readable_standings
from pipeline.report.page import Page, Section, Table, write_page
from pipeline.report.tables import ERROR_AT_80, few_note
from pipeline.report.token_study import token_sections
from pipeline.report.verdict import crossval_verdict_of
from pipeline.scoring.predictions import CONTAMINATED

# Of a manifest's own split nothing is said of who speaks: MELD's friends are in all parts.
TESTED = "Every clip is tested once, by heads that were trained on other folds or parts."


def crossval_sections(out: Path, folders: Mapping[str, Path], *, cluster: str) -> list[Section]:
    """Return what `genser crossval` wrote, and the studies of its systems.

    Args:
        out: The report's folder, for the tables and pictures of studies.
        folders: That `genser crossval` wrote, by name.
        cluster: What a study's intervals resample.

    Raises:
        PredictionsError: If a folder has no tables, or those of another version.
        OutputError: If something cannot be written.
    """
    shown = _tables_section(folders)
    studies = [
        section
        for name, folder in folders.items()
        for sections_of in (token_sections, emoq_sections, descriptors_sections)
        for section in sections_of(out, name, folder, cluster=cluster)
    ]
    left = [
        section
        for name, folder in folders.items()
        for section in (
            *condition_sections(name, folder),
            *kept_abstention_sections(out, name, folder),
        )
    ]
    return [*studies, shown, *left]


def write_crossval_page(
    out: Path, folders: Mapping[str, Path], *, cluster: str, making: Making | None = None
) -> None:
    """Write a page of cross-validations alone.

    Args:
        out: The report's folder.
        folders: That `genser crossval` wrote, by name.
        cluster: What a study's intervals resample.
        making: Who makes the page, and with what; None does not say it.

    Raises:
        PredictionsError: As `crossval_sections`.
        OutputError: If it cannot be written.
    """
    sections = crossval_sections(out, folders, cluster=cluster)
    sections += [] if making is None else [making_section({}, making, [])]
    title = f"Cross-validation: {', '.join(folders)}"
    lead = TESTED
    found = [one for name, folder in folders.items() if (one := _found(name, folder))]
    verdict = " ".join(said for said, _ in found)
    facts = [fact for _, fact in found]
    write_page(out, Page(title=title, verdict=verdict, lead=lead, facts=facts, sections=sections))


def _found(name: str, folder: Path) -> tuple[str, tuple[str, str]] | None:
    """Return the verdict on a cross-validation, and what it is of; None of a matrix of corpora."""
    path = folder / STANDINGS
    if not path.is_file():
        return None
    compared = folder / COMPARISONS
    try:
        standings = read_csv(path)
        comparisons = read_csv(compared) if compared.is_file() else None
        if (folder / CONDITIONS).is_file():
            # What was trained under a condition is set beside its like further down.
            told = read_csv(folder / CONDITIONS)
            alike = told["system"][told["kind"].isna()]
            standings = standings[standings["system"].isin(alike)]
            if comparisons is not None:
                comparisons = comparisons[comparisons["second"].isin(alike)]
        verdict = crossval_verdict_of(standings, comparisons, where=name)
        first, *others = dict.fromkeys(standings["system"])
        clips, clusters = standings[["clips", "clusters"]].iloc[0]
        beside = f", compared with {', '.join(map(str, others))}" * bool(others)
        return verdict, (name, f"{first}{beside}; {clips} clips of {clusters} speakers")
    except (OSError, ValueError, LookupError) as error:
        raise PredictionsError(
            f"{path}: is not what 'genser crossval' writes now ({error}); run it again."
        ) from error


def _tables_section(folders: Mapping[str, Path]) -> Section:
    """Return the tables that `genser crossval` wrote, as they are."""
    tables = []
    for name, folder in folders.items():
        kinds = ((STANDINGS, "standings"), (COMPARISONS, "comparisons"), (MATRIX, "matrix"))
        there = [(folder / file, kind) for file, kind in kinds if (folder / file).is_file()]
        if not there:
            raise PredictionsError(f"{folder}: holds no cross-validation; run 'genser crossval'.")
        for path, kind in there:
            try:
                frame = read_csv(path)
                note = few_note(int(frame["clusters"].min()))
                readable = _readable(frame, kind)
            except (OSError, ValueError, KeyError, AttributeError) as error:
                raise PredictionsError(
                    f"{path}: is not what 'genser crossval' writes now ({error}); run it again."
                ) from error
            tables.append(Table(caption=f"{name}: {kind}.{note}", frame=readable))
    return Section(
        title="Cross-validation",
        texts=[
            *_contaminated(folders),
            f"{TESTED} Scores are pooled over folds, in brackets with 95 % intervals that resample "
            "speakers; ± is the standard deviation over folds and seeds.",
        ],
        tables=tables,
    )


def _contaminated(folders: Mapping[str, Path]) -> list[str]:
    """Say which systems' features come from a model that was trained on what is tested."""
    texts = []
    for name, folder in folders.items():
        if not (folder / SYSTEMS).is_file():
            continue
        systems = read_systems(folder / SYSTEMS)
        texts += [
            f"{name}, {system}: contaminated, the model behind its features was trained on "
            f"{known}, which is tested here."
            for system, known in zip(systems["system"], systems[CONTAMINATED], strict=True)
            if known
        ]
    return texts


def _readable(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    if kind == "standings" and CCC in frame.columns:
        return readable_standings(frame)
    if kind == "comparisons" and f"{CCC}_difference" in frame.columns:
        return readable_comparisons(frame)
    if kind == "matrix":
        return frame.map(lambda cell: f"{cell:.3f}" if isinstance(cell, float) else str(cell))
    if kind == "comparisons":
        return pd.DataFrame(
            {
                "systems": frame["first"] + " against " + frame["second"],
                "UA difference": [
                    f"{row.ua_difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
                    for row in frame.itertuples(index=False)
                ],
                "verdict": frame["verdict"],
                "McNemar p, first seed": frame["mcnemar_p"].map("{:.3f}".format),
            }
        )
    rows = []
    for row in frame.to_dict("records"):
        cells = {"system": row["system"]}
        if isinstance(row["corpus"], str):
            cells["system"] += f", {row['corpus']}"
        for name, label in (("ua", "UA"), ("wa", "WA"), ("wf1", "WF1"), ("macro_f1", "macro F1")):
            ends = f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            cells[label] = f"{row[name]:.3f} {ends}"
        for name, label in (("ua", "UA over folds"), ("wa", "WA over folds")):
            if f"{name}_fold_mean" in row:
                mean, deviation = row[f"{name}_fold_mean"], row[f"{name}_fold_sd"]
                cells[label] = f"{mean:.3f} ± {deviation:.3f}"
        if np.isfinite(row["ua_seed_sd"]):
            cells["UA sd over seeds"] = f"{row['ua_seed_sd']:.3f}"
        for name, label in (("ece", "ECE"), ("brier", "Brier"), ("nll", "NLL")):
            if name in row:
                cells[label] = f"{row[name]:.3f}"
        if np.isfinite(row.get("error_at_80", np.nan)):
            ends = f"[{row['error_at_80_low']:.3f}, {row['error_at_80_high']:.3f}]"
            cells[ERROR_AT_80] = f"{row['error_at_80']:.3f} {ends}"
        cells["clips"] = str(row["clips"])
        cells["speakers"] = str(row["clusters"])
        rows.append(cells)
    return pd.DataFrame(rows).fillna("")
