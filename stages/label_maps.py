"""Label maps: YAML files that turn the raw labels of a task into classes, or numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ParamsError
from pipeline.names import is_name
from pipeline.typed import typed
from stages.params import read_yaml
from stages.shipped import shipped

if TYPE_CHECKING:
    from pipeline.manifests.labels import LabelMap


def find_label_map(manifest: Path, task: str, given: Path | None) -> Path | None:
    """Return the label map of a task: the one given, or the one beside the manifest if any.

    A column whose name cannot name a file has none beside.
    """
    if given or not is_name(task):
        return given
    beside = manifest.parent / "label_maps" / f"{task}.yaml"
    return beside if beside.exists() else None


def own_label_map(task: str) -> Path | None:
    """Return the path within the repository of genser's own label map of a task, if any."""
    path = Path("data_manifests") / "label_maps" / f"{task}.yaml"
    return path if is_name(task) and shipped(path) else None


@dataclass(frozen=True, kw_only=True)
class _File:
    """What a label map's file may say."""

    classes: tuple[str, ...] | None = None
    numbers: bool = False
    map: Mapping[str, str] | None = None
    drop: tuple[str, ...] | None = None


def read_label_map(path: Path | None) -> "LabelMap | None":
    """Read a label map; None where there is none.

    Raises:
        ParamsError: If the file is not one.
    """
    from pipeline.manifests.labels import LabelMap
    from pipeline.manifests.numbers import ENDS

    if path is None:
        return None
    told = typed(_File, read_yaml(path), path, cure="see data_manifests/README.md")
    if told.numbers == (told.classes is not None):
        raise ParamsError(
            f"{path}: wanted either classes, or numbers: true; see data_manifests/README.md."
        )
    return LabelMap(
        classes=told.classes or ENDS,
        mapping=told.map or {},
        drop=told.drop or (),
        numbers=told.numbers,
    )
