"""`genser ingest`: features computed elsewhere into a feature store."""

from pathlib import Path

import click

from stages.options import dry_run_option, one_store_option, params_of
from stages.progress import Progress


@click.command("ingest")
@click.argument("table", type=click.Path(path_type=Path), metavar="TABLE")
@one_store_option
@click.option(
    "--replace",
    is_flag=True,
    help="Where the view has another recipe, put this one in its place and keep that one beside.",
)
@dry_run_option
@click.pass_context
def command(context: click.Context, table: Path, store: Path, replace: bool, dry_run: bool) -> None:
    """Take in features of another program: an .npz, a .parquet, or a folder of .npy files.

    One vector or one stack of layers per utterance, and ingest.last_layer says which is x1; or
    frames: an .npz with lengths or offsets, the others with ingest.kind=frames.

    \b
    Example:
      genser -S ingest.last_layer=7 ingest features.npz --store features/mine
    """
    from pipeline.extraction.feature_tables import read_feature_table
    from pipeline.extraction.ingest import IngestConfig, ingest, make_recipe

    config = params_of(context).section("ingest", IngestConfig)
    read = read_feature_table(table, config.kind)
    recipe = make_recipe(read, config)
    shape = f"view {config.view_of(read)}: {len(read.utterance_ids)} clips"
    layers = f"{recipe['num_layers']} layers of {recipe['dim']}"
    if read.offsets is None:
        layers += f", x1 is layer {recipe['last_layer']}"
    else:
        layers = f"{len(read.features)} frames of {layers}"
    if dry_run:
        size = read.features.size * (2 if config.stored_dtype == "float16" else 4) / 1e6
        click.echo(f"{store}: {shape}, {layers}, {size:.1f} MB of disk; nothing was done")
        return
    with Progress("clips") as progress:
        written = ingest(read, store, config, progress, replace=replace)
    click.echo(f"{store}: {shape}, {written} of them written; {layers}")
