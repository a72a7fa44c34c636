"""`genser extract`: manifest and audio into a feature store."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.engines import engine_of, engine_options
from stages.options import (
    audio_root_option,
    batch_seconds_option,
    by_corpus,
    device_option,
    dry_run_option,
    manifest_argument,
    one_store_option,
    params_of,
    torch_device,
    workers_option,
)
from stages.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.encoders.base import Outline
    from pipeline.extraction.settings import ViewSettings


@click.command("extract")
@manifest_argument
@audio_root_option
@one_store_option
@click.option(
    "--view",
    "names",
    multiple=True,
    metavar="NAME",
    help="A view of extract.views; repeat for several  [default: all].",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Forget clips that the manifest does not name; without --replace also kept editions.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Where the store was made with other parameters, make the features anew beside the old "
    "ones, put them in place when all are done, and keep the old ones for a change back.",
)
@click.option(
    "--keep-gb",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0),
    help="With --replace: disk for kept editions of a view; the one kept longest goes first.",
)
@click.option(
    "--max-failed",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Exit with 3 if a larger part of the clips has no features.",
)
@device_option
@workers_option
@batch_seconds_option
@click.option(
    "--num-jobs",
    "--num-shards",
    "num_jobs",
    default=1,
    show_default=True,
    envvar=["SLURM_ARRAY_TASK_COUNT", "WORLD_SIZE"],
    show_envvar=True,
    help="Jobs that share the work; the index is written by a run without them.",
)
@click.option(
    "--job-index",
    "--shard-index",
    "job_index",
    default=0,
    show_default=True,
    envvar=["SLURM_ARRAY_TASK_ID", "RANK"],
    show_envvar=True,
    help="Which of them this is, from 0.",
)
@engine_options
@dry_run_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    audio_roots: Sequence[str],
    store: Path,
    names: Sequence[str],
    prune: bool,
    replace: bool,
    keep_gb: float,
    max_failed: float,
    device: str,
    workers: int,
    batch_seconds: float,
    num_jobs: int,
    job_index: int,
    engine: str,
    num_workers: int | None,
    address: str | None,
    dry_run: bool,
) -> None:
    """Run the frozen encoder over a manifest's clips and keep what it says in a store.

    What is kept is named by extract.views: every layer averaged over time, frames of some layers,
    codes of a codec.
    Stopped at any moment, it goes on where it was; only new and changed clips are computed.

    \b
    Example:
      genser extract data_manifests/demo.csv --audio-root demo/audio --store features/demo
    """
    from pipeline.audio.roots import found_requests
    from pipeline.encoders.catalogue import outline_of
    from pipeline.errors import ParamsError
    from pipeline.extraction.agreement import check_settings
    from pipeline.extraction.extract import extract
    from pipeline.extraction.settings import ExtractConfig
    from pipeline.extraction.views import open_views
    from pipeline.manifests.manifest import TRAINED_ON, read_manifest
    from pipeline.store.turns import Job

    config = params_of(context).section("extract", ExtractConfig)
    job = Job(num_jobs=num_jobs, index=job_index)
    if engine != "serial" and not job.is_whole:
        raise ParamsError(
            f"--engine {engine}: shares the work already, found --num-jobs {num_jobs}; leave one "
            "of them out (in an array: --num-jobs 1 --job-index 0)."
        )
    is_remote = engine == "ray" and device.startswith("cuda")  # this machine may have none
    device = device if is_remote else torch_device(device, extract=config)
    crew = engine_of(engine, num_workers, address, device)
    rows = found_requests(read_manifest(manifest), by_corpus(audio_roots, "--audio-root"))
    outlines = {name: outline_of(name) for name in _encoders(config.view_settings(names))}
    views = [check_settings(outlines[v.encoder], v) for v in config.view_settings(names)]
    if not rows[TRAINED_ON].any() and config.copies:
        click.echo(f"{manifest}: no row is of split train, so no copies are made", err=True)
        views = [view for view in views if not view.copy]
    if dry_run:
        for view in views:
            mine = rows[rows[TRAINED_ON]] if view.copy else rows
            _say_cost(store, view, outlines[view.encoder], mine)
        click.echo("nothing was done")
        return
    with Progress("clips") as progress:
        summaries = extract(
            rows,
            store,
            # Of workers, this process wants the recipes alone.
            open_views(views, "cpu" if crew else device),
            reporter=progress,
            engine=crew,
            device=device,
            job=job,
            workers=workers,
            batch_seconds=batch_seconds,
            prune=prune,
            replace=replace,
            kept_bytes=keep_gb * 1e9 if replace else 0 if prune else None,
        )
    if not all(summary.is_committed for summary in summaries.values()):
        click.echo(
            f"{store}: job {job_index} of {num_jobs} is done; when all are, the same command "
            "without --num-jobs and --job-index writes the index."
        )
        return
    for name, summary in summaries.items():
        counts = ", ".join(f"{n} {outcome}" for outcome, n in summary.outcomes.items())
        click.echo(f"{store}: view {name}: {counts}")
    # A clip whose copy cannot be made is trained on without.
    num_failed = max(one.num_failed for one in summaries.values() if not one.of_copies)
    if num_failed > max_failed * len(rows):
        click.echo(
            f"{store}: {num_failed} of {len(rows)} clips have no features, more than "
            f"--max-failed {max_failed:g} allows; 'genser inspect {store}' says which and why.",
            err=True,
        )
        sys.exit(3)


def _encoders(views: Sequence["ViewSettings"]) -> list[str]:
    return list(dict.fromkeys(view.encoder for view in views))


def _say_cost(store: Path, view: "ViewSettings", outline: "Outline", rows: "pd.DataFrame") -> None:
    from pipeline.extraction.cost import cost_of
    from pipeline.store.contents import CONTENTS
    from pipeline.store.reader import FeatureStore

    opened = FeatureStore.open(store) if (store / CONTENTS).exists() else None
    click.echo(f"{store}: view {view.name}: {cost_of(view, outline, rows, opened)}")
