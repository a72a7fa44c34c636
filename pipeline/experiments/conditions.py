"""What a training is made to cope with: wrong labels, few speakers, a class that it never heard.

Who is changed is a function of the training seed and of names alone, so a run that is made again is
the same, and what is changed at one level is changed at every higher one. Dev and test stay as they
are, but that a class which is left out is left out of dev too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipeline.chance import seed_of, share_of
from pipeline.errors import ManifestError, ParamsError
from pipeline.manifests.labels import LabelMap, class_names, train_classes
from pipeline.manifests.manifest import Manifest, speaker_names
from pipeline.manifests.numbers import as_numbers

TRAIN, DEV = "train", "dev"
LABEL_NOISE, TRAIN_SPEAKERS, NEW_CLASS = "label_noise", "train_speakers", "new_class"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing, or nothing.

    Attributes:
        label_noise: Share of the training labels that are replaced by another class, or by the
            number of another training clip; below 1.
        train_speakers: How many speakers are trained on; 0 is all.
        new_class: A class that is left out of training and dev; "" is none.
        shots: Clips of it that are shown afterwards, at least 1 where there is one.
    """

    label_noise: float = 0.0
    train_speakers: int = 0
    new_class: str = ""
    shots: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.label_noise < 1:
            raise ParamsError(f"label noise: {self.label_noise} is not from 0 to below 1.")
        if self.train_speakers < 0:
            raise ParamsError(f"training speakers: {self.train_speakers} is below 1.")
        if (self.shots < 1) if self.new_class else self.shots:
            raise ParamsError(
                f"shots: found {self.shots} of a new class {self.new_class!r}, wanted at least 1 "
                "of a class."
            )

    @property
    def kind(self) -> str:
        """Which of the three it is, "" for nothing."""
        kinds = (LABEL_NOISE, TRAIN_SPEAKERS, NEW_CLASS)
        return next((kind for kind in kinds if getattr(self, kind)), "")

    @property
    def level(self) -> str:
        """How much of it, for a name and a person."""
        return {
            "": "",
            LABEL_NOISE: f"{self.label_noise:g}",
            TRAIN_SPEAKERS: str(self.train_speakers),
            NEW_CLASS: f"{self.shots}",
        }[self.kind]

    def named(self, system: str) -> str:
        """Return the name of a system under it."""
        short = {LABEL_NOISE: "noise", TRAIN_SPEAKERS: "speakers", NEW_CLASS: "new"}
        return f"{system}-{short[self.kind]}{self.level}" if self.kind else system

    @property
    def in_training(self) -> "Condition":
        """What of it a training knows; how many clips are shown afterwards it does not."""
        return replace(self, shots=1) if self.new_class else self


def under(
    condition: Condition,
    manifest: Manifest,
    *,
    task: str,
    label_map: LabelMap | None,
    seed: int,
) -> Manifest:
    """Return a manifest as a training under a condition sees it.

    Args:
        condition: What is changed.
        manifest: With the split of a fold.
        task: Label column.
        label_map: Of the task.
        seed: Of the training.

    Raises:
        ManifestError: If there are too few speakers, or no such class.
    """
    if not condition.kind:
        return manifest
    if condition.kind == TRAIN_SPEAKERS:
        return _of_few_speakers(manifest, condition.train_speakers, seed)
    of_numbers = label_map is not None and label_map.numbers
    if of_numbers and condition.kind == NEW_CLASS:
        raise ManifestError(
            f"{manifest.path}: labels of {task!r} are numbers, and --new-class is for classes; "
            "leave it out."
        )
    names = class_names(manifest, task, label_map)
    trained = ((manifest.table["split"] == TRAIN) & (names != "")).to_numpy()
    labels = manifest.table[task].copy()
    if condition.kind == LABEL_NOISE:
        ids = manifest.table["utterance_id"][trained].tolist()
        told, share = labels[trained].tolist(), condition.label_noise
        if of_numbers:
            numbers = as_numbers(names[trained])
            noisy = _with_exchanged(ids, numbers, told, share=share, seed=seed)
        else:
            classes = train_classes(names[trained], label_map)
            mine = names[trained].tolist()
            noisy = _with_noise(ids, mine, told, classes, share=share, seed=seed)
        labels.loc[trained] = noisy
    else:
        known = train_classes(names[trained], label_map)
        if condition.new_class not in known:
            raise ManifestError(
                f"{manifest.path}: the training rows have no class {condition.new_class!r} of "
                f"{task!r}, only {list(known)}; name one of these."
            )
        hidden = (names == condition.new_class) & manifest.table["split"].isin((TRAIN, DEV))
        labels = labels.where(~hidden, "")
    return replace(manifest, table=manifest.table.assign(**{task: labels}))


def shown_rows(
    condition: Condition, manifest: Manifest, usable: np.ndarray, names: Sequence[str], seed: int
) -> np.ndarray:
    """Return the training clips of the new class that are shown afterwards.

    Args:
        condition: With a new class.
        manifest: With the split of a fold and every label.
        usable: Whether a row has features, shape (N,).
        names: The class of each row.
        seed: Of the training.

    Raises:
        ManifestError: If there are too few.
    """
    mine = np.asarray(names) == condition.new_class
    rows = np.flatnonzero(mine & usable & (manifest.table["split"] == TRAIN).to_numpy())
    if len(rows) < condition.shots:
        raise ManifestError(
            f"{manifest.path}: {len(rows)} training rows of class {condition.new_class!r} have "
            f"features, wanted {condition.shots} to show; show fewer."
        )
    ids = manifest.table["utterance_id"].to_numpy()
    ranked = sorted(rows, key=lambda row: share_of(NEW_CLASS, seed, str(ids[row])))
    return np.array(ranked[: condition.shots])


def conditions_of(
    label_noise: Sequence[float],
    train_speakers: Sequence[int],
    new_class: str,
    shots: Sequence[int],
) -> list[Condition]:
    """Return a condition for each level of each thing, nothing first.

    Raises:
        ParamsError: If a level is out of range, or not above the one before.
    """
    for name, levels in (
        ("label noise", label_noise),
        ("training speakers", train_speakers),
        ("shots", shots),
    ):
        if any(low >= high for low, high in pairwise(levels)) or (levels and levels[0] <= 0):
            raise ParamsError(f"{name}: found {list(levels)}, wanted rising levels above 0.")
    return [
        Condition(),
        *(Condition(label_noise=level) for level in label_noise),
        *(Condition(train_speakers=level) for level in train_speakers),
        *(Condition(new_class=new_class, shots=level) for level in (shots if new_class else ())),
    ]


def _of_few_speakers(manifest: Manifest, wanted: int, seed: int) -> Manifest:
    trained = manifest.table["split"] == TRAIN
    speakers = speaker_names(manifest.table)
    found = sorted(set(speakers[trained]))
    if len(found) < wanted:
        raise ManifestError(
            f"{manifest.path}: has {len(found)} training speakers, wanted {wanted}; take fewer."
        )
    ranked = sorted(found, key=lambda name: share_of(TRAIN_SPEAKERS, seed, str(name)))
    left = trained & ~speakers.isin(ranked[:wanted])
    return replace(
        manifest, table=manifest.table.assign(split=manifest.table["split"].where(~left, ""))
    )


def _with_noise(
    ids: Sequence[str],
    names: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    *,
    share: float,
    seed: int,
) -> list[str]:
    """Return labels of which a share are another class, by its own name, which needs no map."""
    noisy = list(labels)
    for row in _wrong_rows(ids, share, seed):
        others = [name for name in classes if name != names[row]]
        if others:
            noisy[row] = others[seed_of(LABEL_NOISE, "class", seed, ids[row]) % len(others)]
    return noisy


def _with_exchanged(
    ids: Sequence[str], numbers: np.ndarray, labels: Sequence[str], *, share: float, seed: int
) -> list[str]:
    """Return labels of which a share are that of another clip, one with another number."""
    noisy, num = list(labels), len(ids)
    by_name = sorted(range(num), key=lambda row: ids[row])
    for row in _wrong_rows(ids, share, seed):
        first = seed_of(LABEL_NOISE, "clip", seed, ids[row])
        others = (by_name[(first + step) % num] for step in range(num))
        noisy[row] = next((labels[i] for i in others if numbers[i] != numbers[row]), labels[row])
    return noisy


def _wrong_rows(ids: Sequence[str], share: float, seed: int) -> list[int]:
    """Return which rows are told wrongly; those of a share are among those of a greater one."""
    ranked = sorted(range(len(ids)), key=lambda row: share_of(LABEL_NOISE, seed, ids[row]))
    return ranked[: round(share * len(ids))]
