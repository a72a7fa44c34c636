"""`genser export`: a trained head as ONNX, alone or behind its encoder."""

from pathlib import Path

import click

from stages.head_path import HEAD
from stages.options import claim, params_of

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("export")
@click.argument("head", type=HEAD, metavar="HEAD")
@click.option("--onnx", type=FILE, help="File to write: stored features to probabilities.")
@click.option("--onnx-waveform", type=FILE, help="File to write: one clip's samples to them.")
@click.option(
    "--encoder",
    help="Of --onnx-waveform: folder or owner/name@commit  [default: the head's own]",
)
@click.pass_context
def command(
    context: click.Context,
    head: Path,
    onnx: Path | None,
    onnx_waveform: Path | None,
    encoder: str | None,
) -> None:
    """Write HEAD as ONNX, with its standardisers, sampling steps and link to probabilities.

    A file is written only when onnxruntime gives with it what torch does. Needs the extra `onnx`.

    \b
    Example:
      genser export models/demo --onnx demo.onnx --onnx-waveform demo_waveform.onnx
    """
    from pipeline.errors import ParamsError
    from pipeline.exporting.export import export_scorer, export_waveform
    from pipeline.exporting.onnx_files import NUMBERS, PROBABILITIES
    from pipeline.heads.saved import load_head
    from pipeline.scoring.score import ScoreConfig

    if onnx is None and onnx_waveform is None:
        raise ParamsError("export: names no file; give --onnx FILE, --onnx-waveform FILE or both.")
    score = params_of(context).section("score", ScoreConfig)
    trained = load_head(head)
    answers = PROBABILITIES if trained.record.scale is None else NUMBERS
    if trained.record.precision != "float32":
        click.echo(
            f"note: the head scores in {trained.record.precision}, the file in float32.", err=True
        )
    if onnx is not None:
        claim(onnx, is_folder=False)
        off = export_scorer(onnx, trained, score)
        click.echo(f"{onnx}: layers to {answers}, {off:.0e} off torch")
    if onnx_waveform is not None:
        claim(onnx_waveform, is_folder=False)
        off = export_waveform(onnx_waveform, trained, score, encoder=encoder)
        click.echo(f"{onnx_waveform}: a waveform to {answers}, {off:.0e} off torch")
