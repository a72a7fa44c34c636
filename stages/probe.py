"""`genser probe`: what each layer alone knows."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    by_corpus,
    claim,
    fold_option,
    label_map_option,
    manifest_argument,
    overlap_option,
    store_option,
    task_option,
)
from stages.progress import Progress


@click.command("probe")
@manifest_argument
@store_option
@task_option
@label_map_option
@fold_option
@overlap_option
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for probe.csv and probe.png.",
)
def command(
    manifest: Path,
    stores: Sequence[str],
    task: str,
    label_map: Path | None,
    fold: str | None,
    allow_speaker_overlap: bool,
    out: Path,
) -> None:
    """Fit a logistic regression on every layer alone, and score it on dev.

    \b
    Example:
      genser probe data_manifests/demo.csv --store features/demo --out reports/demo
    """
    from pipeline.dataset import StoredFeatures
    from pipeline.experiments.probing import probe_layers
    from pipeline.manifests.manifest import read_manifest
    from pipeline.report.probe import write_probe
    from pipeline.training.rows import choose_rows

    read = read_manifest(manifest, fold)
    features = StoredFeatures(read, by_corpus(stores, "--store"))
    rows = choose_rows(
        read,
        features,
        task=task,
        label_map=read_label_map(find_label_map(manifest, task, label_map)),
        allow_overlap=allow_speaker_overlap,
    )
    claim(out, is_folder=True)
    with Progress("layers") as progress:
        table = probe_layers(features, rows, reporter=progress)
    title = f"{manifest.name}: {task}, each layer alone"
    write_probe(out, table, len(rows.classes), title=title)
    best = table.iloc[table["dev_ua"].argmax()]
    click.echo(table.to_string(index=False, float_format="%.3f"))
    click.echo(f"best on dev: layer {best['layer']:.0f}, UA {best['dev_ua']:.3f}; {out}/probe.png")
