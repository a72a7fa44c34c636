"""The part of a report that needs a manifest: its audit."""

from pathlib import Path

import numpy as np

from pipeline.manifests.audit import Audit, audit_manifest
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.text_leaks import texts_table
from pipeline.report.audit import PICTURE as AUDIT_PICTURE
from pipeline.report.audit import write_audit
from pipeline.report.page import Picture, Section, Table


def manifest_section(
    folder: Path, manifest: Manifest, *, task: str, label_map: LabelMap | None
) -> Section:
    """Audit the manifest that was scored, and return what each part of it holds."""
    audit = audit_manifest(manifest, task=task, label_map=label_map, folds=False)
    return audit_section(folder, audit, title=f"{manifest.path.name}: {task}")


def audit_section(folder: Path, audit: Audit, *, title: str) -> Section:
    """Return what each part of the manifest holds, and what its texts give away."""
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
        texts=[
            *(leaks or ["No speaker and no recording is known to be in two parts."]),
            *(f"Classes: {sentence}." for sentence in audit.lacking),
        ],
        tables=[
            Table(caption=f"{title}: what each part holds.", frame=shown.astype("str")),
            *_texts(audit),
        ],
        pictures=[
            Picture(
                caption="How many clips of each class each part has.", path=folder / AUDIT_PICTURE
            )
        ],
    )


def _texts(audit: Audit) -> list[Table]:
    """Return what texts give away, nothing of a corpus without texts and dialogues."""
    found = texts_table(audit.texts)
    if found.empty:
        return []
    shown = found.assign(
        same_label=[f"{v:.0f}" if np.isfinite(v) else "" for v in found["same_label"]]
    ).rename(columns={"same_label": "same label"})
    if (shown["fold"] == "").all():
        shown = shown.drop(columns="fold")
    caption = (
        "What texts give away to a head that reads them: counted, not refused. Names are found "
        "as they are written, so one that is a word as well counts too."
    )
    return [Table(caption=caption, frame=shown.astype("str"), is_folded=True)]
