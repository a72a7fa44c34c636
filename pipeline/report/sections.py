"""Parts of a report that need more than predictions: head, features, cross-validations, papers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import PredictionsError
from pipeline.evaluation.columns import clusters_of
from pipeline.experiments.path_study import STEPS, sampling_table, trace_clip
from pipeline.experiments.probing import probe_layers
from pipeline.experiments.tables import COMPARISONS, MATRIX, STANDINGS
from pipeline.figures.curves import draw_learning_curve
from pipeline.figures.lines import draw_scores
from pipeline.figures.transport import draw_transport
from pipeline.heads.genser import GenSER
from pipeline.heads.phase import LAST
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.audit import Audit
from pipeline.manifests.labels import UNLABELLED
from pipeline.manifests.tables import write_csv
from pipeline.progress import Reporter
from pipeline.report.audit import PICTURE as AUDIT_PICTURE
from pipeline.report.audit import write_audit
from pipeline.report.page import Picture, Section, Table
from pipeline.report.probe import PICTURE as PROBE_PICTURE
from pipeline.report.probe import write_probe
from pipeline.report.tables import NAMES, few_note, sampling_tables
from pipeline.scoring.score import ScoreConfig, open_clips, score_clips
from pipeline.training.rows import TrainingRows
from pipeline.training.train import CURVES


def learning_section(folder: Path, head: Path, trained: TrainedHead) -> Section:
    """Return the learning curves of a head's folder.

    Raises:
        PredictionsError: If the folder has lost them.
    """
    try:
        curves = pd.read_csv(head / CURVES, sep="\t")
    except (OSError, ValueError) as error:
        raise PredictionsError(f"{head / CURVES}: not readable ({error}); train again.") from error
    path = folder / "learning.png"
    draw_learning_curve(path, curves, title=f"{trained.record.kind} on {trained.task}")
    best = trained.record.best_step
    by = trained.record.train["select_by"]
    chosen = "the last one" if by == LAST else f"the best on dev by {NAMES[by]}"
    return Section(
        title="Learning",
        texts=[
            f"{trained.record.num_train} clips were trained on; step {best} is kept and "
            f"scored ({chosen}). Dev has {trained.record.num_dev} clips."
        ],
        pictures=[Picture(caption="Training loss, and scores on dev.", path=path)],
    )


def layer_section(
    folder: Path, features: StoredFeatures, rows: TrainingRows, reporter: Reporter
) -> Section:
    """Probe every layer on dev, and show which know the task."""
    table = probe_layers(features, rows, reporter=reporter)
    write_probe(folder, table, len(rows.classes), title="Each layer alone")
    best = table.loc[table["dev_ua"].idxmax()]
    return Section(
        title="Layers",
        texts=[
            f"A logistic regression on one layer at a time, trained on train, scored on dev: layer "
            f"{best['layer']:.0f} alone reaches {best['dev_ua']:.3f}."
        ],
        pictures=[
            Picture(caption="UA on dev of each layer of the features.", path=folder / PROBE_PICTURE)
        ],
    )


def sampling_sections(
    folder: Path,
    trained: TrainedHead,
    features: StoredFeatures,
    labels: np.ndarray,
    *,
    split: str,
    cluster: str,
    options: Any,
    device: str,
) -> list[Section]:
    """Return Gen-SER's Table 3 and Fig. 1 for a head that transports; nothing for others.

    Args:
        folder: Of the report.
        trained: The head.
        features: Of the manifest.
        labels: Class index of every row, `UNLABELLED` where it has none.
        split: Whose rows are scored.
        cluster: What intervals resample.
        options: The head's own section of `score`; its solver is the figure's.
        device: A torch device.
    """
    if not isinstance(trained.head, GenSER):
        return []
    solver = options.solver
    table = features.manifest.table
    usable = (table["split"] == split).to_numpy() & features.has_features
    rows = np.flatnonzero(usable & (labels != UNLABELLED))
    clusters = clusters_of(table.iloc[rows], cluster).tolist()
    found = sampling_table(trained, features, rows, labels[rows], clusters, device=device)
    write_csv(folder / "steps.csv", found)
    path = folder / "steps.png"
    estimates = found[found["readout"] == "estimate"]
    draw_scores(
        path,
        {
            str(name): part.rename(
                columns={"num_steps": "x", "ua": "value", "ua_low": "low", "ua_high": "high"}
            )
            for name, part in estimates.groupby("solver", sort=False)
        },
        title=f"UA on {split} over the number of steps, readout estimate",
        xlabel="N",
        ylabel=f"UA on {split}",
    )
    sections = [
        Section(
            title="Steps, solvers and readouts",
            texts=[
                "Gen-SER's Table 3 for every solver and readout. At N = 1 the estimate does not "
                "depend on the solver. The state of the printed and of Euler's steps still lies "
                "near the embedding after one step."
            ],
            tables=sampling_tables(found),
            pictures=[Picture(caption="Bars: 95 % intervals.", path=path)],
        )
    ]
    shown = _clip_to_show(trained, features, rows[labels[rows] == 0], device)
    if shown is not None:
        row, is_right = shown
        name = table["utterance_id"].iloc[row]
        trace = trace_clip(trained, features, row, 0, solver=solver, device=device)
        path = folder / "transport.png"
        draw_transport(
            path,
            times=trace.times,
            states=trace.states,
            code=trace.code,
            cosines=trace.cosines,
            classes=trained.classes,
            label=0,
            title=f"{name} on its way to {trained.classes[0]!r}",
        )
        sections.append(
            Section(
                title="One clip on its way",
                texts=[
                    f"Gen-SER's Fig. 1: {name}, the first clip of class {trained.classes[0]!r} in "
                    f"{split}{' that is recognised' * is_right}, carried from its embedding at "
                    f"t = 1 to a code at t = 0 in {STEPS[-1]} steps ({solver})."
                ],
                pictures=[
                    Picture(
                        caption="Above: the state at six times against the code of its class. "
                        "Below: its cosine to the code of every class.",
                        path=path,
                    )
                ],
            )
        )
    return sections


def _clip_to_show(
    trained: TrainedHead, features: StoredFeatures, rows: np.ndarray, device: str
) -> tuple[int, bool] | None:
    """Return the first of some rows of class 0 that is recognised, else the first; None of none."""
    if not len(rows):
        return None
    clips = open_clips(features, rows, trained, device=device)
    scored = score_clips(clips, trained, ScoreConfig(), device=device)
    right = rows[scored.scores.argmax(1) == 0]
    return (int(right[0]), True) if len(right) else (int(rows[0]), False)


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
