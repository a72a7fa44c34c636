"""`genser sweep`: settings side by side on dev."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.names import require_names
from stages.engines import engine_of, engine_options
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
from stages.systems import YAML_SUFFIXES, Trial, read_trials

if TYPE_CHECKING:
    from pipeline.experiments.plan import System
    from stages.params import Params


@click.command("sweep")
@manifest_argument
@click.argument("settings", metavar="SECTION.KEY=VALUE,VALUE,... | TRIALS.yaml")
@store_option
@seeds_option
@click.option(
    "--fold",
    "folds",
    multiple=True,
    metavar="K",
    help="Take the manifest's column split.K for its split; may be repeated.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the runs, the table and the picture.",
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
    settings: str,
    stores: Sequence[str],
    seeds: str,
    folds: Sequence[str],
    out: Path,
    task: str,
    label_map: Path | None,
    allow_speaker_overlap: bool,
    device: str,
    engine: str,
    num_workers: int | None,
    address: str | None,
) -> None:
    """Train and score on dev with each value of one parameter, or with each of a list of trials.

    TRIALS.yaml names trials, each a mapping of section.key to value, over the parameters in use.
    What is finished is kept when it is run again; what is under score needs no training again. Test
    is not looked at.

    \b
    Example:
      genser sweep data_manifests/demo.csv train.genser.sigma=0.5,1,5 --store features/demo \\
        --out sweeps/demo
      genser sweep folds.csv params/trials.yaml --fold 1 --fold 2 --store features/demo \\
        --out sweeps/demo
    """
    from pipeline.engines.base import SERIAL
    from pipeline.experiments.crossval import cross_validate
    from pipeline.experiments.plan import Plan
    from pipeline.experiments.sweeping import score_of_sweep, summarise_sweep, sweep_table
    from pipeline.figures.lines import draw_scores
    from pipeline.manifests.manifest import read_manifest
    from pipeline.manifests.tables import write_csv
    from stages.params import numbers

    name, systems = _systems(settings, params_of(context))
    read = read_manifest(manifest)
    plan = Plan(
        systems=systems,
        seeds=numbers("--seeds", seeds),
        task=task,
        label_map=read_label_map(find_label_map(manifest, task, label_map)),
        allow_overlap=allow_speaker_overlap,
        device=torch_device(device, train=[one.train for one in systems.values()]),
        part="dev",
    )
    parts = {fold: read.of_fold(fold) for fold in folds} if folds else {"own": read}
    crew = engine_of(engine, num_workers, address, plan.device)
    claim(out, is_folder=True)
    with Progress("trainings") as progress:
        runs = cross_validate(
            parts,
            by_corpus(stores, "--store"),
            plan,
            out / name,
            reporter=progress,
            engine=crew or SERIAL,
        )
    table = sweep_table(runs)
    write_csv(out / f"{name}.csv", table)
    summary = summarise_sweep(table)
    draw_scores(
        out / f"{name}.png",
        {"mean and deviation over seeds": summary.rename(columns={"mean": "value"})},
        title=f"{manifest.name}: {name} on dev",
        xlabel=name,
        ylabel=f"{score_of_sweep(table).upper()} on dev",
    )
    click.echo(summary.to_string(index=False, float_format="%.3f"))
    click.echo(f"table and picture: {out}/{name}.csv, .png")


def _systems(settings: str, params: "Params") -> "tuple[str, Mapping[str, System]]":
    """Return a name for the sweep, and what it compares by value or by trial."""
    name, trials = _trials(settings)
    return name, {key: trial.system(params) for key, trial in trials.items()}


def _trials(settings: str) -> tuple[str, Mapping[str, Trial]]:
    """Return each trial by its name."""
    from pipeline.errors import ParamsError

    if settings.endswith(YAML_SUFFIXES):
        require_names(settings, [Path(settings).stem])
        return Path(settings).stem, read_trials(Path(settings))
    key, equals, values = settings.partition("=")
    if not equals or key.split(".")[0] not in ("train", "score") or "." not in key:
        raise ParamsError(
            f"{settings}: wanted SECTION.KEY=VALUE,VALUE,... with the section train or score, or "
            "a file of trials ending in .yaml."
        )
    trials = {value: Trial([f"{key}={value}"]) for value in values.split(",")}
    name = key.replace(".", "_")
    require_names(settings, [name, *trials])
    return name, trials
