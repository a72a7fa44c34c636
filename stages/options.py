"""Options and small habits that several commands share."""

from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.errors import ParamsError
from stages.params import Params

manifest_argument = click.argument(
    "manifest", type=click.Path(dir_okay=False, path_type=Path), metavar="MANIFEST"
)
audio_root_option = click.option(
    "--audio-root",
    "audio_roots",
    multiple=True,
    required=True,
    metavar="[CORPUS=]DIR",
    help="Folder that the manifest's paths start from; repeat as CORPUS=DIR for several corpora.",
)
store_option = click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="[CORPUS=]STORE",
    help="Folder of the feature store; repeat as CORPUS=STORE for several corpora; none for a "
    "head that reads texts alone.",
)
one_store_option = click.option(
    "--store",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the feature store.",
)
task_option = click.option(
    "--task", default="emotion", show_default=True, help="Label column of the manifest."
)
seeds_option = click.option(
    "--seeds", default="0", show_default=True, help="Training seeds, between commas."
)
fold_option = click.option(
    "--fold", metavar="K", help="Take the manifest's column split.K for its split."
)
out_manifest_option = click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Manifest to write (.csv, .jsonl or .parquet).",
)
overlap_option = click.option(
    "--allow-speaker-overlap",
    is_flag=True,
    help="Accept speakers or audio that are in more than one split; the result is stamped.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; auto takes the GPU where there is one.",
)
label_map_option = click.option(
    "--label-map",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML that turns raw labels into classes  [default: label_maps/TASK.yaml beside MANIFEST]",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done and what it takes, then stop."
)


def claim(out: Path, *, is_folder: bool) -> None:
    """Be the only run that writes an output until the command has ended.

    Raises:
        OutputError: If another one writes it.
    """
    from pipeline.locks import claimed

    click.get_current_context().with_resource(claimed(out, is_folder=is_folder))


def params_of(context: click.Context) -> Params:
    """Return the parameters of this call of `genser`."""
    return context.find_object(Params) or Params(None, ())


def by_corpus(values: Sequence[str], option: str) -> dict[str, Path]:
    """Read repeated `CORPUS=DIR` options; a plain `DIR` stands under "" and serves the rest.

    Raises:
        ParamsError: If a corpus, or the plain one, is named twice.
    """
    folders: dict[str, Path] = {}
    for value in values:
        corpus, equals, folder = value.partition("=")
        key, path = (corpus, folder) if equals else ("", value)
        if key in folders:
            raise ParamsError(f"{option} {value}: {key or 'the default'!r} is given twice.")
        folders[key] = Path(path)
    return folders


def torch_device(name: str) -> str:
    """Return the device that `--device` means on this machine.

    Raises:
        ParamsError: If it is a GPU that is not there.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in ("cpu", "cuda") or not (index or "0").isdigit() or int(index or 0) >= count:
        raise ParamsError(
            f"--device {name}: wanted auto, cpu, or cuda:N with N below the {count} GPUs here."
        )
    return name
