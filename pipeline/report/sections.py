"""Parts of a report that need more than predictions: cross-validations, and a manifest's audit."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.experiments.tables import COMPARISONS, MATRIX, STANDINGS
from pipeline.manifests.audit import Audit, audit_manifest
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.report.audit import PICTURE as AUDIT_PICTURE
from pipeline.report.audit import write_audit
from pipeline.report.page import Picture, Section, Table
from pipeline.report.tables import few_note


def crossval_section(folders: Mapping[str, Path]) -> Section:
    """Return the tables that `genser crossval` wrote.

    Raises:
        PredictionsError: If a folder has none, or those of another version.
    """
    tables = []
    for name, folder in folders.items():
        kinds = ((STANDINGS, "standings"), (COMPARISONS, "comparisons"), (MATRIX, "matrix"))
        there = [(folder / file, kind) for file, kind in kinds if (folder / file).is_file()]
        if not there:
            raise PredictionsError(f"{folder}: holds no cross-validation; run 'genser crossval'.")
        for path, kind in there:
            try:
                frame = pd.read_csv(path)
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
            "Every clip is tested once by a head that heard nobody of its fold. Scores are pooled "
            "over folds, in brackets with 95 % intervals that resample speakers; ± is the standard "
            "deviation over folds and seeds."
        ],
        tables=tables,
    )


def manifest_section(
    folder: Path, manifest: Manifest, *, task: str, label_map: LabelMap | None
) -> Section:
    """Audit the manifest that was scored, and return what each part of it holds."""
    audit = audit_manifest(manifest, task=task, label_map=label_map, folds=False)
    return audit_section(folder, audit, title=f"{manifest.path.name}: {task}")


def audit_section(folder: Path, audit: Audit, *, title: str) -> Section:
    """Return what each part of the manifest holds."""
    write_audit(folder, audit, title=title)
    leaks = [
        f"{f'Fold {fold}' if fold else 'Split'}: {sentence}"
        for fold, found in audit.leaks.items()
        for sentence in found.sentences()
    ]
    shown = audit.table.copy()
    shown["hours"] = [f"{hours:.2f}" if np.isfinite(hours) else "?" for hours in shown["hours"]]
    if (shown["fold"] == "").all():
        shown = shown.drop(columns="fold")
    return Section(
        title="Data",
        texts=leaks or ["No speaker and no recording is known to be in two parts."],
        tables=[Table(caption=f"{title}: what each part holds.", frame=shown.astype("str"))],
        pictures=[
            Picture(caption="Clips of each class in each part.", path=folder / AUDIT_PICTURE)
        ],
    )


def _readable(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
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
        cells["clips"] = str(row["clips"])
        cells["speakers"] = str(row["clusters"])
        rows.append(cells)
    return pd.DataFrame(rows)
