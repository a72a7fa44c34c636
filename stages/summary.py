"""What a manifest that was just written holds, for a person."""

from pathlib import Path

import click

SHOWN = 6  # folds


def echo_splits(path: Path) -> None:
    """Read a manifest and say how many clips and speakers each part of it has."""
    from pipeline.manifests.manifest import SPLITS, read_manifest

    read = read_manifest(path)
    click.echo(f"{path}: {len(read.table)} clips")
    has_split = bool((read.table["split"] != "").any())
    folds = [None] * has_split + list(read.folds)
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
