"""`genser train`: stored features into a head."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.costs import training_memory
from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    by_corpus,
    claim,
    device_option,
    dry_run_option,
    fold_option,
    label_map_option,
    manifest_argument,
    overlap_option,
    params_of,
    store_option,
    task_option,
    torch_device,
)
from stages.progress import Progress


@click.command("train")
@manifest_argument
@store_option
@task_option
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="HEAD",
    help="Folder for the head.",
)
@label_map_option
@fold_option
@overlap_option
@device_option
@click.option(
    "--memory-gb",
    type=click.FloatRange(min=0),
    help="Most memory for layers of training clips, and of dev clips; larger ones are read at each "
    "step, to the same head  [default: half of the machine's]",
)
@dry_run_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    stores: Sequence[str],
    task: str,
    out: Path,
    label_map: Path | None,
    fold: str | None,
    allow_speaker_overlap: bool,
    device: str,
    memory_gb: float | None,
    dry_run: bool,
) -> None:
    """Train a head on the rows of split train, select it on dev, and save it.

    Stopped at any moment, it goes on from one of its last looks at dev and ends with the same
    weights.

    \b
    Example:
      genser train data_manifests/demo.csv --store features/demo --task emotion --out models/demo
    """
    from pipeline.heads.catalogue import head_needs
    from pipeline.manifests.manifest import read_manifest
    from pipeline.sources.opening import (
        bytes_in_memory,
        half_of_memory,
        shapes_of,
        views_of,
    )
    from pipeline.training.config import TrainConfig
    from pipeline.training.copies import num_copies, with_copies
    from pipeline.training.rows import choose_rows, labels_told
    from pipeline.training.train import features_for, train_manifest

    config = params_of(context).section("train", TrainConfig)
    if fold is not None:
        config = config.of_fold(fold)
    read = read_manifest(manifest, fold)
    folders = by_corpus(stores, "--store")
    classes = read_label_map(find_label_map(manifest, task, label_map))
    held = half_of_memory() if memory_gb is None else memory_gb * 1e9
    if dry_run:
        features = features_for(config, read, folders)
        rows = choose_rows(
            read,
            features,
            task=task,
            label_map=classes,
            allow_overlap=allow_speaker_overlap,
        )
        needs = head_needs(config.head, config.head_config)
        features = features.only(views_of(needs))
        seen, more = with_copies(features, rows, num_copies(features, config.copies))
        num_more = len(more.train) - len(rows.train)
        beside = f" and {num_more} augmented copies" if num_more else ""
        memory = bytes_in_memory(
            seen,
            more.train,
            needs,
            frames_in=config.frames_in,
            pool_shards=config.pool_shards,
            held_bytes=held,
            batch_size=config.batch_size,
        )
        told = training_memory(config, shapes_of(features, needs), len(rows.classes))
        model = f"{told}; " if told else ""
        click.echo(
            f"{out}: {config.num_steps} steps of {config.batch_size} clips on {len(rows.train)} "
            f"training clips{beside}, {len(rows.dev)} dev clips, {labels_told(rows)}; features "
            f"take at most {memory / 1e6:.1f} MB of memory at once; {model}nothing was done."
        )
        return
    claim(out, is_folder=True)
    with Progress("steps") as progress:
        selection = train_manifest(
            read,
            folders,
            task=task,
            label_map=classes,
            config=config,
            out=out,
            allow_overlap=allow_speaker_overlap,
            device=torch_device(device, train=config),
            reporter=progress,
            held_bytes=held,
        )
    values = ", ".join(f"{name.upper()} {value:.3f}" for name, value in selection.dev.items())
    click.echo(f"{out}: step {selection.best_step} is kept; on dev: {values}")
