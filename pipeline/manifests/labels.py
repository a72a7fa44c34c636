"""From raw labels to classes or numbers: the label map of a task and the order of its classes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.faults import Problems
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.numbers import ENDS, is_number

UNLABELLED = -1


@dataclass(frozen=True, kw_only=True)
class LabelMap:
    """How the raw labels of one task become classes, or numbers.

    Attributes:
        classes: All classes, in the order that heads and predictions use; of numbers the two ends
            of their scale, `pipeline.manifests.numbers.ENDS`.
        mapping: Raw label to class; a class's own name needs no entry. Of numbers, raw label to a
            number in digits; a number needs no entry.
        drop: Raw labels whose rows count as unlabelled.
        numbers: Whether labels are numbers, such as arousal from 1 to 7.
    """

    classes: tuple[str, ...] = ENDS
    mapping: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    numbers: bool = False

    def __post_init__(self) -> None:
        if self.numbers:
            strange = sorted(value for value in self.mapping.values() if not is_number(value))
            if strange or self.classes != ENDS:
                found = f"{strange[0]!r}, mapped to," if strange else f"classes {self.classes}"
                raise ManifestError(
                    f"label map: found {found} beside numbers: true, wanted numbers in digits and "
                    "no classes; mend it."
                )
            return
        repeated = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if repeated:
            raise ManifestError(f"label map: class {repeated[0]!r} is named twice; name it once.")
        strange = sorted(set(self.mapping.values()) - set(self.classes))
        if strange:
            raise ManifestError(
                f"label map: {strange[0]!r} is mapped to but not one of {list(self.classes)}; "
                "add it to classes."
            )
        both = sorted(set(self.drop) & ({*self.mapping} | set(self.classes)))
        if both:
            raise ManifestError(f"label map: {both[0]!r} is both dropped and used; choose one.")

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it; of classes, as it was before there were numbers."""
        value = asdict(self)
        if not self.numbers:
            del value["numbers"]
        return value


def class_names(manifest: Manifest, task: str, label_map: LabelMap | None) -> pd.Series:
    """Return each row's class, "" where it is unlabelled or its label is dropped.

    Of a map of numbers it is the number in digits.

    Raises:
        ManifestError: If the manifest has no such column, or a row's label is not in the map.
    """
    if task not in manifest.table.columns:
        raise ManifestError(
            f"{manifest.path}: has no label column {task!r}, only {manifest.tasks}; "
            "choose one of them with --task."
        )
    raw = manifest.table[task]
    if label_map is None:
        return raw
    problems = Problems(manifest.path, manifest.first_row)
    if label_map.numbers:
        told = raw.replace({**label_map.mapping, **dict.fromkeys(label_map.drop, "")})
        problems.add(
            (told != "") & ~told.map(is_number), lambda i: f"{task} {raw[i]!r} is not a number"
        )
        problems.raise_if_any("mend the label, or map or drop it in the label map")
        return told.astype("str")
    table = {c: c for c in label_map.classes} | dict(label_map.mapping)
    table |= {label: "" for label in label_map.drop} | {"": ""}
    named = raw.map(table)
    wanted = sorted(set(table) - {""})
    problems.add(named.isna(), lambda i: f"{task} {raw[i]!r} is not one of {wanted}")
    problems.raise_if_any("mend the label, or map or drop it in the label map")
    return named.astype("str")


def train_classes(names: pd.Series, label_map: LabelMap | None) -> tuple[str, ...]:
    """Return the classes that occur among the training rows, in the map's order or sorted."""
    present = set(names) - {""}
    if label_map is None:
        return tuple(sorted(present))
    return tuple(c for c in label_map.classes if c in present)


def class_indices(
    manifest: Manifest, names: pd.Series, classes: Sequence[str], task: str
) -> np.ndarray:
    """Return each row's class index, `UNLABELLED` where it has none, int64 of shape (N,).

    Raises:
        ManifestError: If a row's class is not among `classes`.
    """
    positions = {name: i for i, name in enumerate(classes)} | {"": UNLABELLED}
    indices = names.map(positions)
    problems = Problems(manifest.path, manifest.first_row)
    problems.add(
        indices.isna(), lambda i: f"{task} {names[i]!r} is not a class of the head: {list(classes)}"
    )
    problems.raise_if_any("mend the label, or drop it in the label map and train again")
    return indices.to_numpy(dtype=np.int64)
