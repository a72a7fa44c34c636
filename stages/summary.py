"""What a manifest that was just written holds, for a person."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import first_ten

if TYPE_CHECKING:
    from pipeline.manifests.labels import LabelMap

SHOWN = 6  # folds


def echo_splits(path: Path, task: str, label_map: "LabelMap | None") -> None:
    """Read a manifest and say how many clips and speakers each part of it has.

    Args:
        path: Of the manifest.
        task: The label column, of which it is told where dev or test lacks a class of train.
        label_map: Of the task.
    """
    from pipeline.manifests.coverage import lacking_sentences
    from pipeline.manifests.labels import countable, lenient_names
    from pipeline.manifests.manifest import SPLITS, read_manifest

    read = read_manifest(path)
    click.echo(f"{path}: {len(read.table)} clips")
    has_split = bool((read.table["split"] != "").any())
    folds = [None] * has_split + list(read.folds)
    lacking = []
    for fold in folds if task in read.tasks else ():
        where = f"fold {fold}: " if fold else ""
        names = countable(lenient_names(read.table[task], label_map), label_map)
        split = read.of_fold(fold).table["split"]
        lacking += [where + sentence for sentence in lacking_sentences(split, names)]
    for fold in folds[:SHOWN]:
        table = read.of_fold(fold).table
        parts = []
        for part in SPLITS:
            rows = table[table["split"] == part]
            speakers = rows.loc[rows["speaker"] != "", ["corpus", "speaker"]].drop_duplicates()
            parts.append(
                f"{part} {len(rows)} clips of {len(speakers) or 'unknown'} speakers"
                if len(rows)
                else f"{part} none"
            )
        click.echo(f"  {f'fold {fold}' if fold else 'split'}: {', '.join(parts)}")
    if len(folds) > SHOWN:
        click.echo(f"  and {len(folds) - SHOWN} more folds")
    for line in first_ten(lacking):
        click.echo(f"{path}: {line}", err=True)
