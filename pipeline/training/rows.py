"""Which rows of a manifest a head is trained on and selected by."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import ManifestError, ParamsError
from pipeline.evaluation.concordance import NUMBER_SCORES
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.phase import LAST
from pipeline.manifests.labels import LabelMap, class_indices, class_names, train_classes
from pipeline.manifests.leaks import Leaks, find_leaks, require_no_leaks
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.numbers import ENDS, Numbers, Scale, as_numbers


class Usable(Protocol):
    """What is known of a manifest's rows before they are chosen: their features, or their audio."""

    @property
    def audio_digests(self) -> pd.Series:
        """Digest of each row's decoded samples, "" where unknown."""

    @property
    def has_features(self) -> np.ndarray:
        """Whether there is something to read of each row, shape (N,)."""


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Which rows of a manifest a head is trained on and selected by.

    Attributes:
        classes: In score order; of numbers the ends of their scale.
        labels: Class index of every row, `UNLABELLED` where it has none; of numbers the nearer end.
        numbers: The label of every row where labels are numbers, else None.
        train: Rows of the training split with label and features.
        dev: The same of dev.
        num_skipped: Labelled rows of both splits without features.
        leaks: What the splits share.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    train: np.ndarray
    dev: np.ndarray
    num_skipped: int
    leaks: Leaks
    numbers: Numbers | None = None

    def require_unfitted(self, features: StoredFeatures) -> None:
        """Refuse derived features that were fitted on clips of dev or test.

        Raises:
            ManifestError: Naming the first such clip.
        """
        table = features.manifest.table
        judged = table["split"].isin(("dev", "test")).to_numpy()
        bad = np.flatnonzero(judged & features.was_fitted_on)
        if len(bad):
            first = table.iloc[bad[0]]
            raise ManifestError(
                f"{features.manifest.path}: {len(bad)} clips of dev and test were among those that "
                f"the views {list(features.views)} were fitted on, the first "
                f"{first['utterance_id']!r} of {first['split']}, wanted none; derive the view "
                "anew from the training clips of this split."
            )


def require_selector(name: str, label_map: LabelMap | None, section: str = "train") -> None:
    """Refuse to select by a measure that the labels do not have.

    Args:
        name: Of the measure.
        label_map: Of the task.
        section: Of the parameters that name the measure.

    Raises:
        ParamsError: Naming those that they have.
    """
    mine, right, others, wrong = "classes", [*SELECTORS], "numbers", [*NUMBER_SCORES]
    if label_map is not None and label_map.numbers:
        mine, right, others, wrong = others, wrong, mine, right
    if name in wrong:
        raise ParamsError(
            f"{section}.select_by: {name!r} is for {others}, and the labels are {mine}; set it to "
            f"one of {[*right, LAST]}."
        )


def choose_rows(
    manifest: Manifest,
    features: Usable,
    *,
    task: str,
    label_map: LabelMap | None,
    allow_overlap: bool,
    read: str = "features",
) -> TrainingRows:
    """Decide which rows are trained on.

    Args:
        manifest: The manifest.
        features: What is known of its rows.
        task: Label column.
        label_map: Of the task.
        allow_overlap: Whether splits may share speakers or audio.
        read: What a row must have to be used, for messages.

    Raises:
        ManifestError: If a split is empty, there are fewer than two classes, a label is unknown,
            or splits share speakers or audio.
    """
    leaks = find_leaks(manifest.table, features.audio_digests)
    require_no_leaks(manifest.path, leaks, allowed=allow_overlap)
    names = class_names(manifest, task, label_map)
    split = manifest.table["split"]
    labelled = (names != "").to_numpy()
    parts = {part: labelled & (split == part).to_numpy() for part in ("train", "dev")}
    usable = {part: np.flatnonzero(rows & features.has_features) for part, rows in parts.items()}
    _require_split(manifest)
    for part, rows in usable.items():
        if not len(rows):
            raise ManifestError(
                f"{manifest.path}: no row of split {part!r} has a label of {task!r} and {read}, "
                f"wanted some (of {int((split == part).sum())} rows {int(parts[part].sum())} are "
                f"labelled); {_cure(manifest)}."
            )
    numbers = None
    if label_map is not None and label_map.numbers:
        numbers = _numbers(manifest, as_numbers(names), usable["train"], task)
        classes: tuple[str, ...] = ENDS
    else:
        classes = train_classes(names.iloc[usable["train"]], label_map)
    if len(classes) < 2:
        raise ManifestError(
            f"{manifest.path}: the training rows have only the class {classes[0]!r} of {task!r}, "
            "wanted at least two; add rows of another."
        )
    # Only rows that are used must have a class of the head; scoring looks at the others.
    used = names.where(split.isin(list(parts)), "")
    if numbers is None:
        labels = class_indices(manifest, used, classes, task)
    else:
        labels = numbers.nearer_ends
    return TrainingRows(
        classes=classes,
        labels=labels,
        train=usable["train"],
        dev=usable["dev"],
        num_skipped=int(sum(rows.sum() for rows in parts.values()))
        - sum(len(rows) for rows in usable.values()),
        leaks=leaks,
        numbers=numbers,
    )


def _numbers(manifest: Manifest, values: np.ndarray, train: np.ndarray, task: str) -> Numbers:
    """Return the numbers of all rows on the scale of the training rows."""
    low, high = float(values[train].min()), float(values[train].max())
    if low == high:
        raise ManifestError(
            f"{manifest.path}: the training rows have only the number {low:g} of {task!r}, wanted "
            "at least two; add rows of another."
        )
    return Numbers(scale=Scale(low=low, high=high), values=values)


def describe_rows(rows: TrainingRows, features: StoredFeatures) -> str:
    """Return one line that says what is trained on, and what is left out and why."""
    counts = features.outcomes[~features.has_features].value_counts().sort_index()
    why = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    skipped = f"; {rows.num_skipped} without features are skipped ({why})" * bool(rows.num_skipped)
    return f"{len(rows.train)} training and {len(rows.dev)} dev clips, {labels_told(rows)}{skipped}"


def labels_told(rows: TrainingRows) -> str:
    """Return what the labels are, for a line of words."""
    if rows.numbers is not None:
        scale = rows.numbers.scale
        return f"numbers from {scale.low:g} to {scale.high:g}"
    return f"{len(rows.classes)} classes: {', '.join(rows.classes)}"


def _require_split(manifest: Manifest) -> None:
    """Refuse a manifest whose rows have no part at all."""
    if (manifest.table["split"] == "").all():
        raise ManifestError(
            f"{manifest.path}: the column 'split' is absent or empty, found {manifest.told}, "
            f"wanted train, dev or test in each row; {_cure(manifest)}."
        )


def _cure(manifest: Manifest) -> str:
    if manifest.folds:
        return f"choose one of the folds {manifest.folds} with --fold"
    return "mend the split column (genser split makes one) or extract"
