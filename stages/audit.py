"""`genser audit`: what each part of a manifest holds, and whether parts share anything."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import ParamsError, first_ten
from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    by_corpus,
    claim,
    fold_option,
    label_map_option,
    manifest_argument,
    overlap_option,
    task_option,
)
from stages.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.manifests.audit import Audit
    from pipeline.manifests.manifest import Manifest


@click.command("audit")
@manifest_argument
@task_option
@label_map_option
@fold_option
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="[CORPUS=]STORE",
    help="Feature store that knows each clip's contents and length.",
)
@click.option(
    "--audio-root",
    "audio_roots",
    multiple=True,
    metavar="[CORPUS=]DIR",
    help="Without a store: decode every clip, to compare contents.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Decoders.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the table and the picture.",
)
@overlap_option
def command(
    manifest: Path,
    task: str,
    label_map: Path | None,
    fold: str | None,
    stores: Sequence[str],
    audio_roots: Sequence[str],
    workers: int,
    out: Path | None,
    allow_speaker_overlap: bool,
) -> None:
    """Count clips, hours, speakers and classes of each part, and find what parts share.

    Exit code 1 if parts share speakers, recordings or audio; the overlap of an owners' split that
    its importer declares passes. What texts give away (a dialogue in two parts, a text of test in
    train, names, words for a class) is counted, and fails nothing.

    \b
    Example:
      genser audit data_manifests/demo.csv --store features/demo --out reports/demo
    """
    from pipeline.manifests.audit import audit_manifest
    from pipeline.manifests.manifest import read_manifest
    from pipeline.report.audit import write_audit

    if stores and audio_roots:
        raise ParamsError("--store, --audio-root: found both, wanted one of them.")
    read = read_manifest(manifest, fold)
    audio = None
    if stores:
        audio = _stored(read, stores)
    elif audio_roots:
        audio = _decoded(read, audio_roots, workers)
    found = audit_manifest(
        read,
        task=task,
        label_map=read_label_map(find_label_map(manifest, task, label_map)),
        audio=audio,
        folds=fold is None,
    )
    _echo(found, manifest)
    if out is not None:
        claim(out, is_folder=True)
        write_audit(out, found, title=f"{manifest.name}: {task}")
        click.echo(f"table and picture: {out}")
    if any(found.leaks.values()) and not allow_speaker_overlap:
        sys.exit(1)


def _stored(read: "Manifest", stores: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    from pipeline.dataset import StoredFeatures

    found = StoredFeatures(read, by_corpus(stores, "--store"))
    return pd.DataFrame({"audio_digest": found.audio_digests, "duration": found.durations})


def _decoded(read: "Manifest", audio_roots: Sequence[str], workers: int) -> "pd.DataFrame":
    from pipeline.audio.validation import decode_all

    with Progress("clips") as progress:
        return decode_all(
            read, by_corpus(audio_roots, "--audio-root"), workers=workers, reporter=progress
        )


def _echo(found: "Audit", manifest: Path) -> None:
    shown = found.table.to_string(index=False, float_format="%.2f", na_rep="?")
    click.echo(shown)
    for fold, leaks in found.leaks.items():
        where = f"fold {fold}" if fold else "split"
        for line in leaks.sentences():
            click.echo(f"{where}: {line}")
    for fold, texts in found.texts.items():
        where = f"fold {fold}, texts" if fold else "texts"
        for one in texts:
            if one.rows:
                click.echo(f"{where}: {one.sentence()}")
    for line in first_ten(found.lacking):
        click.echo(f"classes: {line}")
    for line in first_ten(found.hints):
        click.echo(f"hint: {line}")
    verdict = "LEAK" if any(found.leaks.values()) else "no leak found"
    unknown = f"; {found.num_nameless} rows without a speaker cannot be checked"
    click.echo(f"{manifest}: {verdict}{unknown * bool(found.num_nameless)}")
