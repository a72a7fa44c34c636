"""`genser probe`: what each layer alone knows, or each representation within a head."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.engines import engine_of, engine_options
from stages.head_path import HEAD
from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    by_corpus,
    claim,
    device_option,
    fold_option,
    label_map_option,
    manifest_argument,
    overlap_option,
    store_option,
    task_option,
    torch_device,
)
from stages.progress import Progress

if TYPE_CHECKING:
    from pipeline.manifests.manifest import Manifest

PART = "dev"  # where a head is probed, as layers are: what is chosen by it never looks at test


@click.command("probe")
@manifest_argument
@store_option
@task_option
@label_map_option
@fold_option
@overlap_option
@click.option(
    "--head",
    type=HEAD,
    help="A trained head that shows what it makes of a clip within, such as descriptors: that is "
    "probed, beside what it reads.",
)
@device_option
@engine_options
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for probe.csv and probe.png; of a head, representations.csv and .png.",
)
def command(
    manifest: Path,
    stores: Sequence[str],
    task: str,
    label_map: Path | None,
    fold: str | None,
    allow_speaker_overlap: bool,
    head: Path | None,
    device: str,
    engine: str,
    num_workers: int | None,
    address: str | None,
    out: Path,
) -> None:
    """Fit a regression on every layer alone, logistic or of numbers ridge, and score it on dev.

    With --head on every representation within the head instead, and on the mean of what it reads:
    its task, gender, sentence and speaker, as far as MANIFEST has them. All but the speaker are
    fitted on train and scored on dev; the speaker is asked within dev, over folds that share no
    sentence.

    \b
    Example:
      genser probe data_manifests/demo.csv --store features/demo --out reports/demo
    """
    from pipeline.dataset import StoredFeatures
    from pipeline.engines.base import SERIAL
    from pipeline.errors import ParamsError
    from pipeline.experiments.probing import probe_layers
    from pipeline.manifests.manifest import read_manifest
    from pipeline.report.probe import compared_by, write_probe
    from pipeline.training.rows import choose_rows

    read = read_manifest(manifest, fold)
    if head is not None:
        if label_map is not None:
            raise ParamsError("--label-map: a head has its own; leave it out with --head.")
        if engine != "serial":
            raise ParamsError(f"--engine {engine}: probes layers; leave it out with --head.")
        _probe_head(read, by_corpus(stores, "--store"), head, torch_device(device), out)
        return
    features = StoredFeatures(read, by_corpus(stores, "--store"))
    rows = choose_rows(
        read,
        features,
        task=task,
        label_map=read_label_map(find_label_map(manifest, task, label_map)),
        allow_overlap=allow_speaker_overlap,
    )
    crew = engine_of(engine, num_workers, address, "cpu")
    claim(out, is_folder=True)
    with Progress("layers") as progress:
        table = probe_layers(features, rows, reporter=progress, engine=crew or SERIAL)
    title = f"{manifest.name}: {task}, each layer alone"
    write_probe(out, table, len(rows.classes), title=title)
    column, name = compared_by(table)
    best = table.iloc[table[column].argmax()]
    click.echo(table.to_string(index=False, float_format="%.3f"))
    click.echo(
        f"best on dev: layer {best['layer']:.0f}, {name} {best[column]:.3f}; {out}/probe.png"
    )


def _probe_head(
    read: "Manifest", stores: Mapping[str, Path], head: Path, device: str, out: Path
) -> None:
    from pipeline.errors import ManifestError
    from pipeline.experiments.head_probes import FEWEST, probe_head
    from pipeline.heads.saved import load_head
    from pipeline.report.head_probe import PICTURE, probe_cells, write_head_probe
    from pipeline.scoring.score import features_of

    trained = load_head(head, device)
    features = features_of(trained, read, stores)
    with Progress("probes") as progress:
        table = probe_head(features, trained, PART, device=device, reporter=progress)
    if table.empty:
        raise ManifestError(
            f"{read.path}: no column can be asked for, wanted one with two values of at least "
            f"{FEWEST} clips each in train, and in {PART}."
        )
    write_head_probe(out, table, title=f"What each part of {head.name} knows, on {PART}")
    click.echo(probe_cells(table).to_string(index=False))
    click.echo(f"representations: {out / PICTURE}")
