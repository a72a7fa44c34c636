"""`genser crossval`: heads, folds and seeds from one store, pooled and compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.names import require_names
from stages.conditions import condition_options, read_conditions
from stages.engines import engine_of, engine_options
from stages.grammars import read_grammar
from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    by_corpus,
    claim,
    device_option,
    label_map_option,
    manifest_argument,
    overlap_option,
    params_of,
    seeds_option,
    store_option,
    task_option,
    torch_device,
)
from stages.progress import Progress
from stages.systems import chosen_heads, systems_of, variant_option

if TYPE_CHECKING:
    from pipeline.manifests.labels import LabelMap
    from pipeline.manifests.manifest import Manifest
    from stages.params import Params

PROTOCOLS = ("folds", "split", "cross-corpus")


@click.command("crossval")
@manifest_argument
@store_option
@click.option(
    "--heads",
    default="genser,linear,mlp,twin,logreg",
    show_default=True,
    help='Kinds of head, "" for variants alone; the first system is compared with the others.',
)
@variant_option
@click.option(
    "--late-fusion",
    "late_fusions",
    multiple=True,
    metavar="NAME=SYSTEM+SYSTEM",
    help="A system that is the mean of the calibrated log-probabilities of others, or of the "
    "numbers that they say.",
)
@condition_options
@click.option("--folds", type=click.IntRange(2), help="Folds by speaker  [default: MANIFEST's own]")
@seeds_option
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="folds",
    show_default=True,
    help="Folds within, the manifest's own split once, or training on each corpus and testing on "
    "each other.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for the runs and the tables.",
)
@task_option
@label_map_option
@overlap_option
@device_option
@engine_options
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    stores: Sequence[str],
    heads: str,
    variants: Sequence[str],
    late_fusions: Sequence[str],
    label_noise: str | None,
    train_speakers: str | None,
    new_class: str | None,
    shots: str,
    folds: int | None,
    seeds: str,
    protocol: str,
    out: Path,
    task: str,
    label_map: Path | None,
    allow_speaker_overlap: bool,
    device: str,
    engine: str,
    num_workers: int | None,
    address: str | None,
) -> None:
    """Cross-validate heads on MANIFEST; what is finished is kept when it is run again.

    FOLDER gets runs/, predictions.parquet with every tested row of every run, and as CSV what
    each system reads and takes, its scores on dev, what heads that show it know within, how near
    what heads write comes to what is given, the standings, the comparisons, and for a cross-corpus
    one a matrix. --label-noise, --train-speakers and --new-class train every system again under
    each condition, and conditions.csv has how they cope. A view whose name has {fold} is another
    one for each fold.

    \b
    Example:
      genser crossval data_manifests/demo.csv --store features/demo --heads genser,logreg \\
        --variant paper=params/paper.yaml --variant soft=train.genser.sigma=20 \\
        --folds 3 --out crossval/demo
      genser crossval folds.csv --store features/demo --heads genser,twin --label-noise 0.2,0.4 \
        --train-speakers 2,4 --new-class sad --out crossval/cope
    """
    import pandas as pd

    from pipeline.descriptions.config import DescribeConfig
    from pipeline.engines.base import SERIAL
    from pipeline.errors import ParamsError
    from pipeline.evaluation.cluster_draws import draws_taken
    from pipeline.experiments.condition_tables import under_conditions
    from pipeline.experiments.costs import COSTS, costs_table
    from pipeline.experiments.crossval import cross_validate, open_features
    from pipeline.experiments.late_fusion import fused_runs, read_fusions
    from pipeline.experiments.plan import Plan
    from pipeline.experiments.probe_files import PROBES, probes_table
    from pipeline.experiments.said_texts import (
        SLOTS,
        TEXT_SCORES,
        known_descriptors,
        rows_of_runs,
        slots_table,
        text_scores,
    )
    from pipeline.experiments.system_files import SYSTEMS
    from pipeline.experiments.systems import fusions_table, systems_table
    from pipeline.experiments.tables import write_tables
    from pipeline.manifests.manifest import read_manifest
    from pipeline.manifests.tables import write_csv
    from pipeline.report.report import ReportConfig
    from stages.params import numbers

    params = params_of(context)
    read = read_manifest(manifest)
    report = params.section("report", ReportConfig)
    grammar = read_grammar(params.section("describe", DescribeConfig).grammar)
    if not heads and not variants:
        raise ParamsError("--heads: names none, and there is no --variant; give one of them.")
    conditions = read_conditions(label_noise, train_speakers, new_class, shots)
    if len(conditions) > 1 and protocol == "cross-corpus":
        raise ParamsError("--protocol cross-corpus: takes no conditions; leave one of them out.")
    systems = systems_of(chosen_heads(heads, "--heads") if heads else (), variants, params)
    plan = Plan(
        systems=under_conditions(systems, conditions),
        seeds=numbers("--seeds", seeds),
        task=task,
        label_map=read_label_map(find_label_map(manifest, task, label_map)),
        allow_overlap=allow_speaker_overlap,
        device=torch_device(device, train=[one.train for one in systems.values()]),
        probes=True,
    )
    fusions = read_fusions(late_fusions, list(plan.systems))
    require_names("--late-fusion", [*plan.systems, *(fusion.name for fusion in fusions)])
    parts = _parts(read, plan.task, plan.label_map, params, folds, protocol)
    roots = by_corpus(stores, "--store")
    features = open_features(parts, roots, plan)
    crew = engine_of(engine, num_workers, address, plan.device)
    claim(out, is_folder=True)
    with Progress("runs") as progress:
        runs = cross_validate(parts, roots, plan, out, reporter=progress, engine=crew or SERIAL)
    told = systems_table(plan.systems, features, next(iter(parts)), runs)
    if fusions:
        told = pd.concat([told, fusions_table(fusions, told)], ignore_index=True)
    write_csv(out / SYSTEMS, told)
    runs += fused_runs(runs, fusions, out)
    write_csv(out / COSTS, costs_table([(run.system, run.cost) for run in runs]))
    # From here on: runs are kept, and must not depend on how they are reported.
    context.with_resource(draws_taken(report.draws))
    said = rows_of_runs(runs, parts)
    known = {fold: known_descriptors(part) for fold, part in parts.items()}
    for file, table in (
        (PROBES, probes_table([(run.system, run.fold, run.seed, run.probes) for run in runs])),
        (
            TEXT_SCORES,
            text_scores(said, cluster=report.cluster, java_seconds=report.java_seconds),
        ),
        (SLOTS, slots_table(said, grammar, known)),
    ):
        if len(table):
            write_csv(out / file, table)
    for line in write_tables(
        out,
        runs,
        read,
        plan.label_map,
        cluster=report.cluster,
        margin=report.margin,
        is_matrix=protocol == "cross-corpus",
        conditions=conditions,
        names=list(systems),
    ):
        click.echo(line)


def _parts(
    read: "Manifest",
    task: str,
    label_map: "LabelMap | None",
    params: "Params",
    folds: int | None,
    protocol: str,
) -> dict[str, "Manifest"]:
    """Return the manifest once for each fold, or each pair of corpora, or as it is."""
    from dataclasses import replace

    from pipeline.corpora.preparation import PrepareConfig
    from pipeline.errors import ManifestError, ParamsError
    from pipeline.experiments.parts import corpus_pairs, corpus_ranges, own_split, pair_name
    from pipeline.manifests.labels import class_names, countable
    from pipeline.manifests.splits import make_folds, with_splits

    if protocol != "folds" and folds is not None:
        raise ParamsError(f"--folds {folds}: is for --protocol folds, found {protocol}.")
    if protocol == "split":
        return own_split(read)
    names = class_names(read, task, label_map)
    if protocol == "cross-corpus":
        of_numbers = label_map is not None and label_map.numbers
        pairs = corpus_pairs(read, names, read.table["split"], task=task, of_numbers=of_numbers)
        crossed = {pair_name(source, target): manifest for source, target, manifest in pairs}
        if of_numbers:
            ranges = corpus_ranges(read, names, task=task)
            told = (f"of {one} from {low:g} to {high:g}" for one, (low, high) in ranges.items())
            click.echo(f"{task} {', '.join(told)}; scores take these for one scale")
        return crossed
    if folds is not None:
        config = params.section("prepare", PrepareConfig)
        labelled = (names != "").to_numpy()
        try:
            made = make_folds(
                read.table[labelled],
                countable(names, label_map)[labelled],
                by="speaker",
                num_folds=folds,
                dev_fraction=config.dev_fraction,
                seed=config.seed,
            )
        except ManifestError as error:
            raise ManifestError(f"{read.path}: {error}") from error
        columns = made.columns.reindex(read.table.index, fill_value="")
        read = replace(read, table=with_splits(read.table, columns))
    if not read.folds:
        raise ManifestError(
            f"{read.path}: has no folds; give --folds K, or make them with 'genser split'."
        )
    return {fold: read.of_fold(fold) for fold in read.folds}
