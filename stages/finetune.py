"""`genser finetune`: recordings into an encoder that has learnt from them."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    audio_root_option,
    by_corpus,
    claim,
    device_option,
    dry_run_option,
    fold_option,
    label_map_option,
    manifest_argument,
    overlap_option,
    params_of,
    task_option,
    torch_device,
)
from stages.progress import Progress


@click.command("finetune")
@manifest_argument
@audio_root_option
@task_option
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for the encoder; extract.encoder takes it.",
)
@label_map_option
@fold_option
@overlap_option
@device_option
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Decoders.")
@dry_run_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    audio_roots: Sequence[str],
    task: str,
    out: Path,
    label_map: Path | None,
    fold: str | None,
    allow_speaker_overlap: bool,
    device: str,
    workers: int,
    dry_run: bool,
) -> None:
    """Fine-tune a speech encoder on the rows of split train, select it on dev, and save it.

    Its last blocks are trained, or adapters (LoRA) on them. Features made with the result are
    refused where they would be judged on clips that it was trained on. Stopped at any moment, it
    goes on from one of its last looks at dev and ends with the same weights.

    \b
    Example:
      genser -S finetune.num_blocks=2 finetune data_manifests/demo.csv --audio-root demo/audio --out models/tuned
    """  # noqa: E501
    from pipeline.finetuning.config import FinetuneConfig
    from pipeline.finetuning.finetune import Task, finetune
    from pipeline.manifests.manifest import read_manifest

    config = params_of(context).section("finetune", FinetuneConfig)
    given = Task(
        manifest=read_manifest(manifest, fold),
        audio_roots=by_corpus(audio_roots, "--audio-root"),
        name=task,
        label_map=read_label_map(find_label_map(manifest, task, label_map)),
        allow_overlap=allow_speaker_overlap,
    )
    if dry_run:
        from pipeline.finetuning.cost import reckon

        num_train, num_classes = given.size
        epochs = config.num_steps * config.batch_size / max(num_train, 1)
        is_number = given.label_map is not None and given.label_map.numbers
        told = "numbers" if is_number else f"{num_classes} classes"
        click.echo(
            f"{out}: {config.num_steps} steps of {config.batch_size} clips, {epochs:.1f} times "
            f"through {num_train} training clips, {told}; "
            f"{reckon(config, num_classes)}; nothing was done."
        )
        return
    claim(out, is_folder=True)
    with Progress("steps") as progress:
        selection = finetune(
            given,
            config,
            out,
            device=torch_device(device, finetune=config),
            workers=workers,
            reporter=progress,
        )
    values = ", ".join(f"{name.upper()} {value:.3f}" for name, value in selection.dev.items())
    click.echo(f"{out}: step {selection.best_step} is kept; on dev: {values}")
