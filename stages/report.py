"""`genser report`: predictions into metrics, pictures and one page."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.names import require_names
from stages.grammars import read_grammar
from stages.head_path import HEAD
from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    COMMAND_LINE,
    by_corpus,
    claim,
    device_option,
    fold_option,
    label_map_option,
    params_of,
    torch_device,
)
from stages.progress import Progress
from stages.systems import chosen_heads, systems_of, variant_option

if TYPE_CHECKING:
    from pipeline.report.making import Making
    from pipeline.report.page import Section
    from pipeline.scoring.predictions import Predictions


@click.command("report")
@click.argument(
    "predictions",
    nargs=-1,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="[PREDICTIONS.parquet ...]",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for report.html, report.md, metrics.json, tables and pictures.",
)
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The manifest that was scored: its speakers are resampled, and it is audited.",
)
@fold_option
@click.option(
    "--head",
    type=HEAD,
    help="The head that scored the first predictions: its learning curves.",
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="[CORPUS=]STORE",
    help="With --head and --manifest: layers, steps, solvers and readouts, and a clip on its way.",
)
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="NAME=FILE",
    help="Another system's predictions, Parquet or CSV with utterance_id and predicted.",
)
@click.option(
    "--crossval",
    "crossvals",
    multiple=True,
    metavar="NAME=FOLDER",
    help="What 'genser crossval' wrote; may be repeated.",
)
@click.option(
    "--against",
    default="",
    metavar="HEAD,...",
    help="Train these kinds of head on the same rows, score them, and compare; needs --store.",
)
@click.option(
    "--split",
    help="Which rows are measured: train, dev, test, unsplit, or all of a corpus that the head was "
    "not trained on  [default: report.split]",
)
@variant_option
@label_map_option
@device_option
@click.pass_context
def command(
    context: click.Context,
    predictions: Sequence[Path],
    out: Path,
    manifest: Path | None,
    fold: str | None,
    head: Path | None,
    stores: Sequence[str],
    others: Sequence[str],
    crossvals: Sequence[str],
    against: str,
    split: str | None,
    variants: Sequence[str],
    label_map: Path | None,
    device: str,
) -> None:
    """Measure predictions, compare them, and show everything on one page.

    Without PREDICTIONS it is a page of the cross-validations alone.

    What --against and --variant train is kept in OUT/runs and not trained again while it is wanted.

    \b
    Example:
      genser report predictions/demo.parquet --manifest data_manifests/demo.csv \\
        --head models/demo --store features/demo --out reports/demo
    """
    from pipeline.descriptions.config import DescribeConfig
    from pipeline.errors import ParamsError
    from pipeline.evaluation.cluster_draws import draws_taken
    from pipeline.evaluation.concordance import CCC
    from pipeline.manifests.manifest import SPLITS, read_manifest
    from pipeline.report.crossval import crossval_sections, write_crossval_page
    from pipeline.report.descriptions import description_sections
    from pipeline.report.measures import lacking_texts
    from pipeline.report.page import HTML
    from pipeline.report.report import METRICS, ReportConfig, Sources, write_report
    from pipeline.report.sections import manifest_section
    from pipeline.scoring.predictions import read_predictions
    from pipeline.scoring.stamps import task_of

    params = params_of(context)
    config = params.section("report", ReportConfig)
    context.with_resource(draws_taken(config.draws))
    if split is not None:
        config = replace(config, split=split)
    folders, foreign = _named(crossvals, "--crossval"), _named(others, "--with")
    if not predictions:
        needing = (manifest, fold, head, stores, others, against, split, variants, label_map)
        if any(needing) or not folders:
            raise ParamsError(
                "PREDICTIONS: none is given, wanted some, or --crossval with no other option than "
                "--out."
            )
        claim(out, is_folder=True)
        write_crossval_page(out, folders, cluster=config.cluster, making=_making(context, None))
        click.echo(f"page:        {out / HTML}")
        return
    names = [path.stem for path in predictions]
    if len(set(names)) < len(names):
        raise ParamsError(f"PREDICTIONS: {names} are not all different; rename a file.")
    require_names("PREDICTIONS", names)
    if stores and (head is None or manifest is None):
        raise ParamsError("--store: needs --head and --manifest too.")
    read = {path.stem: read_predictions(path) for path in predictions}
    claim(out, is_folder=True)
    rows = None if manifest is None else read_manifest(manifest, fold)
    task = task_of(predictions[0], read[names[0]].metadata)
    sections: list[Section] = []
    encoder = language = "?"
    if head is not None:
        from pipeline.report.head import encoder_of, head_sections, language_of
        from pipeline.scoring.score import ScoreConfig

        encoder, language = encoder_of(head), language_of(head)
        with Progress("layers") as progress:
            sections += head_sections(
                out,
                head,
                rows,
                by_corpus(stores, "--store"),
                split=config.split,
                cluster=config.cluster,
                score=params.section("score", ScoreConfig),
                device=torch_device(device),
                reporter=progress,
                label_map=read_label_map(label_map),
            )
    if folders:
        sections += crossval_sections(out, folders, cluster=config.cluster)
    given = None
    if rows is not None and manifest is not None:
        given = read_label_map(find_label_map(manifest, task, label_map))
        sections += description_sections(
            out,
            read,
            rows,
            read_grammar(params.section("describe", DescribeConfig).grammar),
            split=config.split,
            cluster=config.cluster,
            java_seconds=config.java_seconds,
        )
        sections.append(manifest_section(out, rows, task=task, label_map=given))
    baselines: dict[str, Predictions] = {}
    if against or variants:
        from pipeline.experiments.baselines import train_baselines
        from pipeline.experiments.plan import Plan
        from pipeline.training.config import TrainConfig

        if config.split not in SPLITS:
            raise ParamsError(
                f"--against and --variant: found --split {config.split}, wanted {list(SPLITS)}."
            )
        if not stores or rows is None:
            raise ParamsError("--against and --variant: need --store, --head and --manifest too.")
        heads = chosen_heads(against, "--against") if against else ()
        systems = systems_of(heads, variants, params)
        if taken := sorted(set(systems) & set(names)):
            raise ParamsError(f"--against: {taken[0]!r} is a predictions file too; rename that.")
        plan = Plan(
            systems=systems,
            seeds=(params.section("train", TrainConfig).seed,),
            task=task,
            label_map=given,
            allow_overlap=True,
            device=torch_device(device),
            part=config.split,
        )
        with Progress("baselines") as progress:
            baselines = train_baselines(
                rows, by_corpus(stores, "--store"), plan, out, reporter=progress
            )
    sources = Sources(
        predictions=read,
        manifest=rows,
        label_map=given,
        baselines=baselines,
        others=foreign,
        encoder=encoder,
        language=language,
        making=_making(context, head),
        sections=sections,
    )
    metrics = write_report(out, sources, config)
    for name in (*names, *baselines):
        found = metrics[name][config.split]
        if CCC in found:
            low, high = found["interval"][CCC]
            click.echo(
                f"{name}, {config.split}, {found['num_clips']} clips: CCC {found[CCC]:.3f} "
                f"[{low:.3f}, {high:.3f}], Pearson {found['pearson']:.3f}, "
                f"RMSE {found['rmse']:.3f} (always the mean {found['label_sd']:.3f})"
            )
            continue
        low, high = found["interval"]["ua"]
        click.echo(
            f"{name}, {config.split}, {found['num_clips']} clips: WA {found['wa']:.3f}, "
            f"UA {found['ua']:.3f} [{low:.3f}, {high:.3f}], WF1 {found['wf1']:.3f}, "
            f"macro F1 {found['macro_f1']:.3f} (majority class {found['majority_rate']:.3f})"
        )
    for line in lacking_texts(metrics, config.split):
        click.echo(line, err=True)
    click.echo(f"predictions: {', '.join(str(path) for path in predictions)}")
    click.echo(f"metrics:     {out / METRICS}")
    click.echo(f"page:        {out / HTML}")


def _making(context: click.Context, head: Path | None) -> "Making":
    """Say what was typed, today's date (UTC), and which packages there are."""
    from pipeline.provenance import package_versions
    from pipeline.report.making import Making

    record = None
    if head is not None:
        from pipeline.heads.folder import read_head_record

        record = read_head_record(head)
    return Making(
        command=str(context.meta.get(COMMAND_LINE, "")),
        date=datetime.now(UTC).date().isoformat(),
        versions=package_versions(),
        record=record,
    )


def _named(values: Sequence[str], option: str) -> dict[str, Path]:
    """Read repeated NAME=PATH options."""
    from pipeline.errors import ParamsError

    found: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not name or not path or name in found:
            raise ParamsError(f"{option} {value}: wanted NAME=PATH, each name once.")
        require_names(option, [name])
        found[name] = Path(path)
    return found
