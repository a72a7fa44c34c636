"""Options and small habits that several commands share."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from pipeline.errors import ParamsError
from stages import precisions
from stages.params import Params

COMMAND_LINE = "genser.command_line"  # in a context's meta: what was typed

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
workers_option = click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1), help="Decoders."
)
batch_seconds_option = click.option(
    "--batch-seconds",
    default=32.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Audio per batch, padding included; a GPU likes more.",
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


def torch_device(name: str, **sections: Any) -> str:
    """Return the device that `--device` means on this machine.

    Where that is a CPU without the instructions for it, what a section sets to bfloat16 is told on
    stderr: torch then computes it in software, about a hundred times slower than float32.

    Args:
        name: What the option says.
        sections: Those that the command computes by, by name.

    Raises:
        ParamsError: If it is a GPU that is not there.
    """
    device = _device(name)
    if device == "cpu" and not precisions.has_bfloat16():
        slow = [found for key, section in sections.items() for found in _in_bfloat16(key, section)]
        for key in dict.fromkeys(slow):
            click.echo(
                f"note: {key} is bfloat16, which this CPU has no instructions for: about a hundred "
                f"times slower than -S {key}=float32, or auto.",
                err=True,
            )
    return device


def _in_bfloat16(key: str, value: Any) -> list[str]:
    """Return the keys below one of a section that say bfloat16; `key` for values that do."""
    if value == "bfloat16":
        return [key]
    if isinstance(value, list):  # of one section in several systems
        return [found for one in value for found in _in_bfloat16(key, one)]
    inner = dict(value) if isinstance(value, Mapping) else {}
    if is_dataclass(value):
        inner = {f.name: getattr(value, f.name) for f in fields(value)}
        if chosen := getattr(value, "head_config", None):  # of the heads' sections, only its own
            inner |= {"heads": None, inner["head"]: chosen}
    return [found for name, one in inner.items() for found in _in_bfloat16(f"{key}.{name}", one)]


def _device(name: str) -> str:
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
