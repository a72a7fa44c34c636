"""`genser score`: stored features and a head into predictions."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.head_path import HEAD
from stages.label_maps import read_label_map
from stages.options import (
    by_corpus,
    claim,
    device_option,
    fold_option,
    manifest_argument,
    params_of,
    store_option,
    torch_device,
)

head_option = click.option(
    "--head",
    "head_folder",
    required=True,
    type=HEAD,
    help="Folder of a trained head, or hf://OWNER/NAME@COMMIT.",
)


@click.command("score")
@manifest_argument
@store_option
@head_option
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PREDICTIONS.parquet",
    help="Parquet file to write.",
)
@fold_option
@click.option(
    "--label-map",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML that turns the manifest's labels into the head's classes  [default: the head's own]",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="NAME",
    help="Score the rows of this split alone, as test; may be repeated  [default: every row]",
)
@device_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    stores: Sequence[str],
    head_folder: Path,
    out: Path,
    fold: str | None,
    label_map: Path | None,
    splits: Sequence[str],
    device: str,
) -> None:
    """Score the rows of a manifest with a trained head, every one or those of a split.

    A label that is no class of the head is refused; --label-map may drop it, or call it otherwise.

    \b
    Example:
      genser score data_manifests/demo.csv --store features/demo --head models/demo \\
        --out predictions/demo.parquet
    """
    from pipeline.heads.saved import load_head
    from pipeline.manifests.manifest import read_manifest
    from pipeline.scoring.predictions import CONTAMINATED, write_predictions
    from pipeline.scoring.score import ScoreConfig, score_manifest

    config = params_of(context).section("score", ScoreConfig)
    where = torch_device(device)
    claim(out, is_folder=False)
    predictions = score_manifest(
        read_manifest(manifest, fold),
        by_corpus(stores, "--store"),
        load_head(head_folder, where),
        config,
        device=where,
        label_map=read_label_map(label_map),
        splits=splits,
    )
    write_predictions(out, predictions)
    if known := predictions.metadata.get(CONTAMINATED):
        click.echo(
            f"{out}: contaminated: the model behind the features was trained on {known}.", err=True
        )
    failed = predictions.table.num_rows - predictions.table["error"].null_count
    scored = predictions.table.num_rows - failed
    click.echo(f"{out}: {scored} clips scored, {failed} without features")
