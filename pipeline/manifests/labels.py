"""From raw labels to classes or numbers: the label map of a task and the order of its classes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError, first_ten
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.numbers import ENDS, is_number, thirds

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
    if label_map.numbers:
        told = raw.replace({**label_map.mapping, **dict.fromkeys(label_map.drop, "")})
        _refuse(
            manifest,
            task,
            raw[(told != "") & ~told.map(is_number)],
            wanted="a number",
            cure="mend the label, or map or drop it in the label map",
        )
        return told.astype("str")
    table = {c: c for c in label_map.classes} | dict(label_map.mapping)
    table |= {label: "" for label in label_map.drop} | {"": ""}
    named = raw.map(table)
    _refuse(
        manifest,
        task,
        raw[named.isna()],
        wanted=f"one of {sorted(set(table) - {''})}",
        cure="mend the label, or map or drop it in the label map, or name another with --label-map",
    )
    return named.astype("str")


def lenient_names(raw: pd.Series, label_map: LabelMap | None) -> pd.Series:
    """Return the class of each raw label, "" for what is dropped; others stand for themselves.

    Of a map of numbers it is the number in digits, and what is none counts as dropped.
    """
    if label_map is None:
        return raw
    dropped = dict.fromkeys(label_map.drop, "")
    names = raw.map(lambda label: dropped.get(label, label_map.mapping.get(label, label)))
    return names.where(names.map(is_number), "") if label_map.numbers else names


def countable(names: pd.Series, label_map: LabelMap | None) -> pd.Series:
    """Return what is counted or balanced of labels: classes themselves, of numbers their thirds."""
    return thirds(names) if label_map is not None and label_map.numbers else names


def synonyms(labels: Iterable[str], label_map: LabelMap) -> list[list[str]]:
    """Return the raw labels that a map makes one class of, for each class that has several."""
    found = sorted(set(labels))
    of_class = [
        [raw for raw in found if label_map.mapping.get(raw, raw) == name]
        for name in label_map.classes
    ]
    return [alike for alike in of_class if len(alike) > 1]


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
    _refuse(
        manifest,
        task,
        names[indices.isna()],
        wanted=f"a class of the head: {list(classes)}",
        cure="mend the label, or drop it in the label map (score --label-map, or train again)",
    )
    return indices.to_numpy(dtype=np.int64)


def _refuse(manifest: Manifest, task: str, strange: pd.Series, *, wanted: str, cure: str) -> None:
    """Refuse labels that are unknown, each of them once, with its first row.

    Raises:
        ManifestError: If there is any.
    """
    lines = []
    for label, rows in strange.groupby(strange, sort=False):
        first = f"{manifest.path}:{manifest.row_number(int(rows.index[0]))}"
        number = f" (in {len(rows)} rows)" if len(rows) > 1 else ""
        lines.append(f"{first}: {task} {label!r}{number} is not {wanted}")
    if len(lines) == 1:
        raise ManifestError(f"{lines[0]}; {cure}.")
    if lines:
        head = f"{manifest.path}: {len(lines)} labels are not {wanted}; {cure}:"
        told = (line.removesuffix(f" is not {wanted}") for line in lines)
        raise ManifestError("\n  ".join([head, *first_ten(told)]))
