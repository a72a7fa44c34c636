"""`genser validate`: is a manifest fit to be used?"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import ParamsError, first_ten
from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    by_corpus,
    manifest_argument,
    overlap_option,
)
from stages.progress import Progress

if TYPE_CHECKING:
    from pipeline.manifests.manifest import Manifest


@click.command("validate")
@manifest_argument
@click.option(
    "--audio-root",
    "audio_roots",
    multiple=True,
    metavar="[CORPUS=]DIR",
    help="Folder that the manifest's paths start from; with it, missing files are found.",
)
@click.option("--audio", is_flag=True, help="Decode every clip, and compare contents over splits.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Decoders.")
@overlap_option
def command(
    manifest: Path,
    audio_roots: Sequence[str],
    audio: bool,
    workers: int,
    allow_speaker_overlap: bool,
) -> None:
    """Check a manifest's rows, labels, speakers and, if asked, its recordings.

    \b
    Example:
      genser validate data_manifests/demo.csv --audio-root demo/audio --audio
    """
    from pipeline.manifests.labels import class_names
    from pipeline.manifests.leaks import find_leaks, require_no_leaks
    from pipeline.manifests.manifest import SPLITS, read_manifest

    read = read_manifest(manifest)
    table = read.table
    for task in read.tasks:
        label_map = read_label_map(find_label_map(manifest, task, None))
        class_names(read, task, label_map)
    leaks = find_leaks(table)
    require_no_leaks(manifest, leaks, allowed=allow_speaker_overlap)
    for fold in read.folds:
        of_fold = find_leaks(read.of_fold(fold).table)
        require_no_leaks(f"{manifest}, fold {fold}", of_fold, allowed=allow_speaker_overlap)
    if audio and not audio_roots:
        raise ParamsError("--audio: needs --audio-root, the folder that the paths start from.")
    if audio_roots:
        bad = _look_at_audio(
            read, audio_roots, decode=audio, workers=workers, allowed=allow_speaker_overlap
        )
        if bad:
            for line in first_ten(bad):
                click.echo(line, err=True)
            click.echo(f"{manifest}: {len(bad)} of {len(table)} clips are bad", err=True)
            sys.exit(1)
    parts = [f"{name} {int((table['split'] == name).sum())}" for name in SPLITS]
    how = "allowed" if leaks else "declared by the importer"
    shared = f"; {n} speakers in several splits ({how})" if (n := len(leaks.speakers)) else ""
    click.echo(f"{manifest}: {len(table)} rows are fine: {', '.join(parts)}{shared}")


def _look_at_audio(
    read: "Manifest", audio_roots: Sequence[str], *, decode: bool, workers: int, allowed: bool
) -> list[str]:
    """Return a line per bad clip; without decoding, only missing files are bad."""
    from pipeline.audio.outcomes import OK
    from pipeline.audio.roots import found_requests
    from pipeline.audio.validation import decode_all
    from pipeline.manifests.leaks import find_leaks, require_no_leaks

    roots = by_corpus(audio_roots, "--audio-root")
    ids = read.table["utterance_id"]

    def line(row: int, what: str) -> str:
        return f"{read.path}:{read.row_number(row)}: {ids[row]!r}: {what}"

    if not decode:
        paths = found_requests(read, roots)["source"]
        return [line(i, f"no file {p}") for i, p in enumerate(paths) if not Path(p).is_file()]
    with Progress("clips") as progress:
        found = decode_all(read, roots, workers=workers, reporter=progress)
    require_no_leaks(read.path, find_leaks(read.table, found["audio_digest"]), allowed=allowed)
    bad: list[str] = []
    complaints: list[str] = []
    for i, (outcome, message) in enumerate(zip(found["outcome"], found["message"], strict=True)):
        if message:
            (complaints if outcome == OK else bad).append(line(i, f"{outcome}: {message}"))
    for told in first_ten(complaints):
        click.echo(told, err=True)
    return bad
