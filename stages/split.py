"""`genser split`: other splits and folds for a manifest."""

from pathlib import Path

import click

from stages.label_maps import find_label_map, read_label_map
from stages.options import (
    claim,
    label_map_option,
    manifest_argument,
    out_manifest_option,
    params_of,
    task_option,
)
from stages.summary import echo_splits


@click.command("split")
@manifest_argument
@out_manifest_option
@click.option(
    "--by",
    default="speaker",
    show_default=True,
    metavar="COLUMN",
    help="What no two parts share: speaker, session, corpus, dialogue, ...",
)
@click.option("--folds", type=click.IntRange(2), metavar="K", help="Make K folds.")
@click.option("--leave-one-out", is_flag=True, help="Make a fold for each value of the column.")
@click.option("--official", is_flag=True, help="Take the owners' split, column `official`.")
@task_option
@label_map_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    out: Path,
    by: str,
    folds: int | None,
    leave_one_out: bool,
    official: bool,
    task: str,
    label_map: Path | None,
) -> None:
    """Write MANIFEST with other splits: speakers dealt out, the owners' split, or folds.

    Folds are columns split.1, split.2, ..., balanced by class, each with a dev part that shares no
    speaker with the rest of it; train, score and audit take one with --fold. Seed and sizes are
    prepare.seed, prepare.dev_fraction and prepare.test_fraction. What 'genser describe' made of the
    old parts is left out; describe what this writes.

    \b
    Example:
      genser split data_manifests/ravdess.csv --by speaker --folds 5 -o data_manifests/ravdess5.csv
    """
    from pipeline.corpora.preparation import PrepareConfig
    from pipeline.errors import ManifestError, ParamsError
    from pipeline.manifests.labels import class_names, countable
    from pipeline.manifests.manifest import read_manifest, write_manifest
    from pipeline.manifests.splits import assign_splits, make_folds, official_split, with_splits

    if (folds is not None) + leave_one_out + official > 1:
        raise ParamsError("--folds, --leave-one-out, --official: found several, wanted one.")
    if by != "speaker" and folds is None and not leave_one_out:
        raise ParamsError(f"--by {by}: needs --folds K or --leave-one-out.")
    config = params_of(context).section("prepare", PrepareConfig)
    table = (read := read_manifest(manifest)).table
    given = read_label_map(find_label_map(manifest, task, label_map))
    labels = countable(class_names(read, task, given), given)
    seed, dev = config.seed, config.dev_fraction
    try:
        if folds or leave_one_out:
            made = make_folds(table, labels, by=by, num_folds=folds, dev_fraction=dev, seed=seed)
            new = made.columns
        elif official:
            new = official_split(table, labels, dev_fraction=dev, seed=seed).to_frame("split")
        else:
            new = assign_splits(
                table, labels, dev_fraction=dev, test_fraction=config.test_fraction, seed=seed
            ).to_frame("split")
    except ManifestError as error:
        raise ManifestError(f"{manifest}: {error}") from error
    claim(out, is_folder=False)
    write_manifest(out, with_splits(table, new))
    echo_splits(out, task, given)
