"""`genser prepare`: a corpus as its owners ship it into a manifest."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.label_maps import find_label_map, read_label_map
from stages.options import claim, out_manifest_option, params_of, task_option
from stages.summary import echo_splits


@click.command("prepare")
@click.argument("corpus", metavar="CORPUS")
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@out_manifest_option
@click.option(
    "--name", default="", help="Name of the corpus, where nothing else tells  [default: FOLDER's]"
)
@click.option(
    "--speaker",
    metavar="REGEX",
    help="For folders: its first group is the speaker in a recording's path.",
)
@click.option(
    "--map",
    "renames",
    multiple=True,
    metavar="THEIRS=OURS",
    help="For table, audformat, audiofolder: a column's name there and here; may be repeated.",
)
@task_option
@click.pass_context
def command(
    context: click.Context,
    corpus: str,
    folder: Path,
    out: Path,
    name: str,
    speaker: str | None,
    renames: Sequence[str],
    task: str,
) -> None:
    """Write the manifest of CORPUS, found in FOLDER, with splits that share no speaker.

    CORPUS is a corpus of data_manifests/README.md, or one that another package adds; or emobox, a
    folder of EmoBox's data; kaldi, a Kaldi data folder; audformat, a table or database of
    audformat; audiofolder, recordings with a metadata.csv; folders, a folder for each class; table,
    a CSV, JSONL or Parquet file with other columns; demo, which makes recordings in FOLDER/audio, a
    tiny encoder in FOLDER/encoder and a tiny language model in FOLDER/language.

    \b
    Example:
      genser prepare ravdess ~/corpora/ravdess -o data_manifests/ravdess.csv
    """
    from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
    from pipeline.manifests.manifest import write_manifest

    source = Source(
        name=corpus, path=folder, corpus=name, task=task, speaker=speaker, renames=renames
    )
    prepared = prepare_corpus(source, params_of(context).section("prepare", PrepareConfig))
    claim(out, is_folder=False)
    write_manifest(out, prepared.table)
    for note in prepared.notes:
        click.echo(f"{folder}: {note}", err=True)
    echo_splits(out, task, read_label_map(find_label_map(out, task, None)))
