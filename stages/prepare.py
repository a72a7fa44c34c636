"""`genser prepare`: a corpus as its owners ship it into a manifest."""

from pathlib import Path

import click

from stages.options import params_of


@click.command("prepare")
@click.argument("corpus", metavar="CORPUS")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER")
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Manifest to write (.csv, .jsonl or .parquet).",
)
@click.pass_context
def command(context: click.Context, corpus: str, folder: Path, out: Path) -> None:
    """Write the manifest of CORPUS (demo, ravdess, nemo), found in FOLDER, with its splits.

    The demo corpus is made: recordings in FOLDER/audio and a tiny encoder in FOLDER/encoder.

    \b
    Example:
      genser prepare ravdess ~/corpora/ravdess -o data_manifests/ravdess.csv
    """
    from pipeline.corpora.preparation import CORPORA, PrepareConfig, prepare_corpus
    from pipeline.errors import ParamsError
    from pipeline.manifests import SPLITS, write_manifest

    if corpus not in CORPORA:
        raise ParamsError(f"CORPUS: {corpus!r} is not one of {list(CORPORA)}.")
    prepared = prepare_corpus(corpus, folder, params_of(context).section("prepare", PrepareConfig))
    write_manifest(out, prepared.table)
    for note in prepared.notes:
        click.echo(f"{folder}: {note}", err=True)
    table = prepared.table
    parts = [
        f"{part} {(rows := table[table['split'] == part]).shape[0]} clips of "
        f"{rows['speaker'].nunique()} speakers"
        for part in SPLITS
    ]
    click.echo(f"{out}: {len(table)} clips; {', '.join(parts)}")
