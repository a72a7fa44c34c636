"""Label maps: YAML files that turn the raw labels of a task into classes."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ParamsError
from pipeline.names import is_name
from stages.params import read_yaml

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


def read_label_map(path: Path | None) -> "LabelMap | None":
    """Read a label map; None where there is none.

    Raises:
        ParamsError: If the file is not one.
    """
    from pipeline.manifests.labels import LabelMap

    if path is None:
        return None
    content = read_yaml(path)
    known = {"classes", "map", "drop"}
    if not isinstance(content, dict) or not set(content) <= known or "classes" not in content:
        raise ParamsError(f"{path}: wanted the keys classes, map and drop; see the README beside.")
    mapping = content.get("map") or {}
    texts = [*content["classes"], *mapping, *mapping.values(), *(content.get("drop") or ())]
    for text in texts:
        if not isinstance(text, str):
            raise ParamsError(f"{path}: {text!r} is not text; put it in quotes.")
    return LabelMap(
        classes=tuple(content["classes"]),
        mapping=mapping,
        drop=tuple(content.get("drop") or ()),
    )
