"""`genser merge`: the manifests of several corpora into one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.label_maps import find_label_map, own_label_map, read_label_map
from stages.options import claim, label_map_option, out_manifest_option, task_option
from stages.shipped import shipped
from stages.summary import echo_splits

if TYPE_CHECKING:
    import pandas as pd


@click.command("merge")
@click.argument(
    "manifests",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="MANIFEST...",
)
@out_manifest_option
@task_option
@label_map_option
def command(manifests: Sequence[Path], out: Path, task: str, label_map: Path | None) -> None:
    """Put several manifests into one, under one label map.

    A label that the map does not name stops it, with its corpus and count; without a map, labels
    that mean one class are told. Ids are prefixed with their corpus where they collide. Labels stay
    as they are: the map is read again by train.

    \b
    Example:
      genser merge data_manifests/ravdess.csv data_manifests/nemo.csv -o data_manifests/all.csv
    """
    from pipeline.manifests.manifest import read_manifest, write_manifest
    from pipeline.manifests.merging import merge_manifests

    named = find_label_map(out, task, label_map)
    given = read_label_map(named)
    table = merge_manifests([read_manifest(m) for m in manifests], task=task, label_map=given)
    claim(out, is_folder=False)
    write_manifest(out, table)
    echo_splits(out, task, given)
    if named is None:
        _say_apart(out, table[task], task)
    else:
        again = "; give it to train too" if label_map else ""
        click.echo(f"  labels: {named} names all of them{again}")


def _say_apart(out: Path, labels: "pd.Series", task: str) -> None:
    """Say that no map was used, and which labels genser's own map would make one class of."""
    from pipeline.manifests.labels import synonyms

    own = own_label_map(task)
    known = read_label_map(own and shipped(own))
    apart = [] if known is None else synonyms(labels, known)
    told = "; ".join(" and ".join(map(repr, alike)) for alike in apart)
    click.echo(
        f"{out}: no label map is beside it (label_maps/{task}.yaml): every label is a class"
        + (f", {told} stay apart; give --label-map {own}, here and to train." if apart else "."),
        err=True,
    )
