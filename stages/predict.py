"""`genser predict`: a head on loose recordings."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.options import device_option, params_of, torch_device
from stages.score import head_option

if TYPE_CHECKING:
    from pipeline.scoring.loose_files import FilePrediction

BAR_CELLS = 30


@click.command("predict")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE ..."
)
@head_option
@click.option(
    "--encoder", help="Folder or owner/name@commit of the encoder  [default: the head's own]"
)
@click.option(
    "--recogniser",
    help="Of a head that reads text: folder or owner/name@commit of who hears it  [default: the "
    "one that wrote the head's training texts]",
)
@click.option("--text", help="Of a head that reads text: what is said in the one recording.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@device_option
@click.pass_context
def command(
    context: click.Context,
    files: Sequence[Path],
    head_folder: Path,
    encoder: str | None,
    recogniser: str | None,
    text: str | None,
    as_json: bool,
    device: str,
) -> None:
    """Say which class each recording is, with a calibrated probability of every class.

    A head of numbers, such as arousal, says the number.

    A head that reads text reads what a recogniser hears, or --text.

    \b
    Example:
      genser predict hello.wav --head models/demo
    """
    from pipeline.heads.saved import load_head
    from pipeline.scoring.loose_files import predict_files, views_of_head
    from pipeline.scoring.loose_texts import texts_for_head
    from pipeline.scoring.score import ScoreConfig
    from pipeline.transcription.transcribe import TranscribeConfig

    sampler = params_of(context).section("score", ScoreConfig)
    where = torch_device(device)
    trained = load_head(head_folder, where)
    texts = texts_for_head(
        trained,
        params_of(context).section("transcribe", TranscribeConfig),
        num_files=len(files),
        text=text,
        recogniser=recogniser,
        device=where,
    )
    views = views_of_head(trained, encoder, where)
    results = predict_files(files, trained, views, sampler, device=where, texts=texts)
    if as_json:
        click.echo(json.dumps([_as_json(result) for result in results], ensure_ascii=False))
    else:
        for result in results:
            _show(result)
    if any(result.error for result in results):
        sys.exit(3)


def _as_json(result: "FilePrediction") -> dict[str, object]:
    return {
        "path": str(result.path),
        "predicted": result.predicted,
        "probabilities": result.probabilities,
        **result.extras,
        **({} if result.text is None else {"text": result.text}),
        "error": result.error or None,
    }


def _show(result: "FilePrediction") -> None:
    if result.error:
        click.echo(f"{result.path}: {result.error}", err=True)
        return
    if isinstance(result.predicted, str):
        best = result.probabilities[result.predicted]
        click.echo(f"{result.path}: {result.predicted} ({best:.0%})")
    else:
        click.echo(f"{result.path}: {result.predicted:.3f}")
    width = max((len(name) for name in result.probabilities), default=0)
    for name, value in result.probabilities.items():
        bar = "█" * round(value * BAR_CELLS)
        click.echo(f"  {name:<{width}}  {value:6.1%}  {bar}")
    if result.text is not None:
        click.echo(f"  text: {result.text!r}")
    for name, told in result.extras.items():
        click.echo(f"  {name}: {told}")
