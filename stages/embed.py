"""`genser embed`: a manifest's texts become a view of their vectors."""

from pathlib import Path

import click

from stages.options import (
    device_option,
    manifest_argument,
    one_store_option,
    params_of,
    torch_device,
)
from stages.progress import Progress


@click.command("embed")
@manifest_argument
@one_store_option
@click.option(
    "--out", "name", default="text", show_default=True, metavar="NAME", help="The view of vectors."
)
@click.option(
    "--replace",
    is_flag=True,
    help="Where the view was made otherwise, make it anew, put it in place when done, and keep the "
    "old one for a change back.",
)
@click.option("--prune", is_flag=True, help="Forget rows that the manifest does not name.")
@device_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    store: Path,
    name: str,
    replace: bool,
    prune: bool,
    device: str,
) -> None:
    """Turn the text of every row of MANIFEST into a vector, by a frozen encoder of text.

    No recording is needed. embed.encoder names the encoder, BERT or one of its kin, embed.column
    the manifest's column. A row whose text has changed is embedded again.

    \b
    Example:
      genser -S embed.encoder=models/minilm embed data_manifests/meld.csv --store features/meld
    """
    from pipeline.encoders.text import open_text_encoder
    from pipeline.errors import ParamsError
    from pipeline.extraction.embed import EmbedConfig, embed
    from pipeline.manifests.embedded import texts_of
    from pipeline.manifests.manifest import read_manifest

    config = params_of(context).section("embed", EmbedConfig)
    if not config.encoder:
        raise ParamsError(
            "embed.encoder: names none, wanted a folder or a model of the hub of BERT or one "
            "of its kin; give -S embed.encoder=FOLDER."
        )
    read = read_manifest(manifest)
    texts_of(read, config.column)  # a missing column is told before weights are read
    encoder = open_text_encoder(
        config.encoder,
        pooling=config.pooling,
        max_tokens=config.max_tokens,
        compute_dtype=config.compute_dtype,
        device=torch_device(device),
    )
    with Progress("texts") as progress:
        done = embed(
            read, store, name, config, encoder, replace=replace, prune=prune, reporter=progress
        )
    cut = f", {done.num_cut} of those cut to {config.max_tokens} tokens" * bool(done.num_cut)
    without = f"; {done.num_without} rows have no text" * bool(done.num_without)
    click.echo(
        f"{store}: view {name}: {done.num_rows} rows, {done.num_written} of them embedded{cut}"
        f"{without}; 1 layer of {encoder.dim}"
    )
