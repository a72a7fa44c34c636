"""`genser transcribe`: what is said in the recordings of a manifest, by a recogniser."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import first_ten
from stages.options import (
    audio_root_option,
    by_corpus,
    claim,
    device_option,
    manifest_argument,
    out_manifest_option,
    params_of,
    torch_device,
)
from stages.progress import Progress

if TYPE_CHECKING:
    from pipeline.transcription.transcribe import Summary


@click.command("transcribe")
@manifest_argument
@audio_root_option
@out_manifest_option
@click.option(
    "--model", help="Folder or owner/name@commit of the recogniser  [default: transcribe.model]"
)
@device_option
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Decoders.")
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    audio_roots: Sequence[str],
    out: Path,
    model: str | None,
    device: str,
    workers: int,
) -> None:
    """Write a manifest whose `text` is what a recogniser hears.

    The old text becomes `text_given`, `text_source` names the recogniser and its digest. Where
    there is a given text, the word error rate is said. Finished texts are kept in OUT.texts:
    stopped at any moment it goes on where it was, and only new and changed clips are transcribed.

    \b
    Example:
      genser transcribe ravdess.csv --audio-root ~/ravdess --model whisper-tiny.en --out heard.csv
    """
    from dataclasses import replace

    from pipeline.errors import ParamsError
    from pipeline.manifests.manifest import read_manifest, write_manifest
    from pipeline.manifests.tables import require_known_suffix
    from pipeline.transcription.recogniser import load_recogniser
    from pipeline.transcription.transcribe import TranscribeConfig, transcribe

    config = params_of(context).section("transcribe", TranscribeConfig)
    if model is not None:
        config = replace(config, model=model)
    if not config.model:
        raise ParamsError(
            "transcribe.model: names no recogniser, wanted a folder or a model of the hub; "
            "give --model."
        )
    if out.resolve() == manifest.resolve():
        raise ParamsError(f"--out {out}: is the manifest itself, wanted another file; name one.")
    read = read_manifest(manifest)
    require_known_suffix(out)
    claim(out, is_folder=False)
    where = torch_device(device, transcribe=config)
    recogniser = load_recogniser(
        config.model,
        compute_dtype=config.compute_dtype,
        device=where,
        max_new_tokens=config.max_new_tokens,
    )
    with Progress("clips") as progress:
        table, summary = transcribe(
            read,
            by_corpus(audio_roots, "--audio-root"),
            recogniser,
            config,
            kept_in=out.with_name(f"{out.name}.texts"),
            workers=workers,
            reporter=progress,
        )
    write_manifest(out, table)
    _show(out, recogniser.source, summary)


def _show(out: Path, source: str, summary: "Summary") -> None:
    from pipeline.evaluation.word_errors import NORMALISATION

    for line in first_ten(summary.failures):
        click.echo(line, err=True)
    counts = ", ".join(f"{n} {outcome}" for outcome, n in summary.outcomes.items())
    click.echo(f"{out}: {counts}; {summary.audio_s:.1f} s of audio, transcribed by {source}")
    for name, (rate, num) in summary.word_errors.items():
        click.echo(f"{out}: {name}: WER {rate:.2%} over {num} given texts ({NORMALISATION})")
