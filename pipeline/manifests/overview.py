"""What a manifest holds, in a screenful."""

from typing import Any

import pandas as pd

from pipeline.manifests.audit import NO_SPLIT, UNLABELLED, told_durations
from pipeline.manifests.manifest import FOLD, SPLITS, Manifest, speaker_names

MOST_CLASSES = 40  # labels of a column that is shown as classes


def manifest_facts(manifest: Manifest) -> dict[str, Any]:
    """Return rows, hours where they are told, speakers, and the classes of each part."""
    table = manifest.table
    tasks = [name for name in manifest.tasks if table[name].nunique() <= MOST_CLASSES]
    parts = {}
    for name in ["split", *(f"{FOLD}{fold}" for fold in manifest.folds)]:
        found = {
            part or NO_SPLIT: _part(table[table[name] == part], tasks)
            for part in (*SPLITS, "")
            if (table[name] == part).any()
        }
        if list(found) != [NO_SPLIT] or name == "split":
            parts[name] = found
    return {
        "rows": len(table),
        **_size(table),
        "corpora": sorted(set(table["corpus"]) - {""}),
        "columns": manifest.told,
        **parts,
    }


def _part(rows: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    classes = {
        task: {
            str(name): int(num)
            for name, num in rows[task].replace("", UNLABELLED).value_counts().sort_index().items()
        }
        for task in tasks
    }
    return {"rows": len(rows), **_size(rows), **classes}


def _size(rows: pd.DataFrame) -> dict[str, Any]:
    """Return hours and speakers of rows, "unknown" where not every row tells its length."""
    seconds = told_durations(rows)
    hours = round(float(seconds.sum()) / 3600, 3) if seconds.notna().all() else "unknown"
    speakers = speaker_names(rows)[rows["speaker"] != ""].nunique()
    return {"hours": hours, "speakers": speakers}
