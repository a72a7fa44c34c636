"""`genser predict`: a head on loose recordings."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import ParamsError
from stages.options import (
    batch_seconds_option,
    claim,
    device_option,
    params_of,
    torch_device,
    workers_option,
)
from stages.progress import Progress
from stages.score import head_option

if TYPE_CHECKING:
    from pipeline.scoring.loose_clips import LoosePrediction
    from pipeline.segmentation.stretches import Segmentation

BAR_CELLS = 30


@click.command("predict")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE-OR-FOLDER ...",
)
@head_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="TABLE.csv or FOLDER",
    help="Write a row for each file as it is done, or with --segments a folder of timelines; run "
    "again, it goes on where it was stopped.",
)
@click.option(
    "--segments",
    type=click.Choice(["speech", "windows"]),
    help="Score stretches of long recordings: speech that silero-vad finds, or windows of one "
    "length. The section segments has the numbers.",
)
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
@workers_option
@batch_seconds_option
@device_option
@click.pass_context
def command(
    context: click.Context,
    paths: Sequence[Path],
    head_folder: Path,
    out: Path | None,
    segments: str | None,
    encoder: str | None,
    recogniser: str | None,
    text: str | None,
    as_json: bool,
    workers: int,
    batch_seconds: float,
    device: str,
) -> None:
    """Say which class each recording is, with a calibrated probability of every class.

    A head of numbers, such as arousal, says the number.

    Of a folder, all recordings in it and below. With --segments, each of their stretches, and what
    follows of them: timelines as JSON, CSV, RTTM (of classes), TextGrid and picture. A head that
    reads text reads what a recogniser hears, or --text.

    \b
    Example:
      genser predict hello.wav --head models/demo
      genser predict calls --head models/demo --segments speech --out timelines
    """
    from pipeline.heads.saved import load_head
    from pipeline.scoring.long_recordings import predict_recordings
    from pipeline.scoring.loose_files import views_of_head
    from pipeline.scoring.loose_tables import predict_files, predict_into, recordings_of
    from pipeline.scoring.loose_texts import texts_for_head
    from pipeline.scoring.predictor import Predictor
    from pipeline.scoring.score import ScoreConfig
    from pipeline.transcription.transcribe import TranscribeConfig

    _check_out(out, segments, as_json=as_json)
    if segments is not None and text is not None:
        raise ParamsError("--text: is of a whole recording, found --segments too; leave one out.")
    segmentation = None if segments is None else _segmentation(context, segments)
    if out is not None:
        claim(out, is_folder=segments is not None)
    score = params_of(context).section("score", ScoreConfig)
    where = torch_device(device)
    files = recordings_of(paths)
    trained = load_head(head_folder, where)
    texts = texts_for_head(
        trained,
        params_of(context).section("transcribe", TranscribeConfig),
        num_files=len(files),
        text=text,
        recogniser=recogniser,
        device=where,
    )
    predictor = Predictor(
        trained=trained,
        views=views_of_head(trained, encoder, where),
        score=score,
        device=where,
        texts=texts,
        batch_seconds=batch_seconds,
    )
    if out is not None and segmentation is not None:
        with Progress("seconds") as progress:
            failed = predict_recordings(
                out, files, predictor, segmentation, workers=workers, reporter=progress
            )
        click.echo(f"{out}: {len(files)} recordings, {failed} of them could not be used")
    elif out is not None:
        with Progress("files") as progress:
            failed = predict_into(out, files, predictor, workers=workers, reporter=progress)
        click.echo(f"{out}: {len(files)} files, {failed} of them with an error")
    else:
        results = []
        for piece in predict_files(files, predictor, workers=workers):
            results += piece
            for result in [] if as_json else piece:
                _show(result)
        if as_json:
            click.echo(json.dumps([_as_json(result) for result in results], ensure_ascii=False))
        failed = sum(result.error != "" for result in results)
    if failed:
        sys.exit(3)


def _check_out(out: Path | None, segments: str | None, *, as_json: bool) -> None:
    """Refuse outputs that do not fit one another."""
    if segments is not None and out is None:
        raise ParamsError("--segments: found no --out, wanted a folder for the timelines; name it.")
    if out is not None and as_json:
        raise ParamsError("--json: is printed, found --out too; leave one out.")
    if out is not None and segments is None and out.suffix.lower() != ".csv":
        raise ParamsError(
            f"--out {out}: wanted a table that ends in .csv, which grows row by row (a Parquet "
            "file cannot); name it so."
        )


def _segmentation(context: click.Context, kind: str) -> "Segmentation":
    from pipeline.segmentation.config import SPEECH, SegmentsConfig
    from pipeline.segmentation.silero import SileroDetector
    from pipeline.segmentation.stretches import Segmentation

    config = params_of(context).section("segments", SegmentsConfig)
    detector = SileroDetector() if kind == SPEECH else None
    return Segmentation(config=config, detector=detector)


def _as_json(result: "LoosePrediction") -> dict[str, object]:
    return {
        "path": str(result.path),
        "predicted": result.predicted,
        "probabilities": result.probabilities,
        **result.extras,
        **({} if result.text is None else {"text": result.text}),
        "error": result.error or None,
    }


def _show(result: "LoosePrediction") -> None:
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
