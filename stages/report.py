"""`genser report`: predictions into metrics and pictures."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.options import params_of


@click.command("report")
@click.argument(
    "predictions",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PREDICTIONS.parquet ...",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for metrics.json, confusion pictures and tables.",
)
@click.pass_context
def command(context: click.Context, predictions: Sequence[Path], out: Path) -> None:
    """Measure predictions: WA, UA, WF1, macro F1, recalls, confusions.

    \b
    Example:
      genser report predictions/demo.parquet --out reports/demo
    """
    from pipeline.errors import ParamsError
    from pipeline.predictions import read_predictions
    from pipeline.reports import METRICS, ReportConfig, write_report

    config = params_of(context).section("report", ReportConfig)
    names = [path.stem for path in predictions]
    if len(set(names)) < len(names):
        raise ParamsError(f"PREDICTIONS: {names} are not all different; rename a file.")
    read = {path.stem: read_predictions(path) for path in predictions}
    metrics = write_report(read, out, config)
    for name in names:
        found = metrics[name][config.split]
        click.echo(
            f"{name}, {config.split}, {found['num_clips']} clips: WA {found['wa']:.3f}, "
            f"UA {found['ua']:.3f}, WF1 {found['wf1']:.3f}, macro F1 {found['macro_f1']:.3f} "
            f"(majority class {found['majority_rate']:.3f})"
        )
    click.echo(f"predictions: {', '.join(str(path) for path in predictions)}")
    click.echo(f"metrics:     {out / METRICS}")
    click.echo(f"pictures:    {', '.join(str(out / f'confusion_{name}.png') for name in names)}")
