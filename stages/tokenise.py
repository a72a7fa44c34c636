"""`genser tokenise`: frames in a store become codes beside them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages.options import (
    device_option,
    fold_option,
    manifest_argument,
    one_store_option,
    params_of,
    torch_device,
)
from stages.progress import Progress

if TYPE_CHECKING:
    from pipeline.manifests.manifest import Manifest

FOLD, K = "{fold}", "{k}"


@click.command("tokenise")
@manifest_argument
@one_store_option
@click.option(
    "--view", "parent", default="frames", show_default=True, help="The view of frames to code."
)
@click.option(
    "--out",
    "name",
    default="codes-{k}",
    show_default=True,
    metavar="NAME",
    help="The view of codes; {k} is the number of centroids, {fold} the fold: with it there is a "
    "view for each.",
)
@fold_option
@click.option(
    "--replace",
    is_flag=True,
    help="Where a view was made otherwise, make it anew, put it in place when done, and keep the "
    "old one for a change back.",
)
@click.option("--prune", is_flag=True, help="Forget clips that the manifest does not name.")
@device_option
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    store: Path,
    parent: str,
    name: str,
    fold: str | None,
    replace: bool,
    prune: bool,
    device: str,
) -> None:
    """Fit k-means on the frames of split train, and code the frames of every row of MANIFEST.

    Each frame becomes the number of its nearest centroid, in every layer. A head refuses a view
    that was fitted on its dev or test rows, so a cross-validation wants a view for each fold.

    \b
    Example:
      genser tokenise data_manifests/demo.csv --store features/demo --out "codes-{k}"
    """
    from pipeline.errors import ParamsError
    from pipeline.extraction.codebook_fit import TokeniseConfig
    from pipeline.extraction.tokenise import tokenise

    config = params_of(context).section("tokenise", TokeniseConfig)
    if len(config.k) > 1 and K not in name:
        raise ParamsError(
            f"--out {name}: tokenise.k has {list(config.k)}, wanted a name with {K}, one view for "
            "each."
        )
    where = torch_device(device, tokenise=config)
    for of_fold, read in _folds(manifest, name, fold):
        names = {k: name.replace(K, str(k)).replace(FOLD, of_fold) for k in config.k}
        with Progress("clips") as progress:
            done = tokenise(
                read,
                store,
                config,
                parent=parent,
                names=names,
                replace=replace,
                prune=prune,
                device=where,
                reporter=progress,
            )
        for one in done:
            click.echo(f"{store}: view {one.view}: {one.num_clips} clips coded; {one.said}")


def _folds(path: Path, name: str, fold: str | None) -> "list[tuple[str, Manifest]]":
    """Return the manifest of each fold that a name asks for, or as it is."""
    from pipeline.errors import ParamsError
    from pipeline.manifests.manifest import read_manifest

    if FOLD not in name or fold is not None:
        return [(fold or "", read_manifest(path, fold))]
    read = read_manifest(path)
    if not read.folds:
        raise ParamsError(
            f"--out {name}: {path} has no folds, wanted one for each view; make them with 'genser "
            f"split', or leave {FOLD} out."
        )
    return [(one, read.of_fold(one)) for one in read.folds]
