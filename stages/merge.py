"""`genser merge`: the manifests of several corpora into one."""

from collections.abc import Sequence
from pathlib import Path

import click

from stages.label_maps import find_label_map, read_label_map
from stages.options import claim, label_map_option, out_manifest_option, task_option
from stages.summary import echo_splits


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

    A label that the map does not name stops it, with its corpus and count. Ids are prefixed with
    their corpus where they collide. Labels stay as they are: the map is read again by train.

    \b
    Example:
      genser merge data_manifests/ravdess.csv data_manifests/nemo.csv -o data_manifests/all.csv
    """
    from pipeline.manifests.manifest import read_manifest, write_manifest
    from pipeline.manifests.merging import merge_manifests

    given = read_label_map(find_label_map(out, task, label_map))
    table = merge_manifests([read_manifest(m) for m in manifests], task=task, label_map=given)
    claim(out, is_folder=False)
    write_manifest(out, table)
    echo_splits(out)
