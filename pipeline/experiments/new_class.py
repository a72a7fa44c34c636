"""A run of a cross-validation whose head is asked about a class that it never heard."""

from dataclasses import dataclass

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.experiments.conditions import DEV, TRAIN, Condition, shown_rows
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.labels import (
    UNLABELLED,
    LabelMap,
    class_indices,
    class_names,
    train_classes,
)
from pipeline.scoring.new_class import probabilities_with_new_class, scores_with_new_class
from pipeline.scoring.predictions import Predictions
from pipeline.scoring.score import ScoreConfig
from pipeline.scoring.stored import Scored, stored_predictions


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is told apart.

    Attributes:
        column: Of the labels.
        label_map: From labels to classes.
        part: The split that is scored.
    """

    column: str
    label_map: LabelMap | None
    part: str


def score_new_class(
    features: StoredFeatures,
    trained: TrainedHead,
    config: ScoreConfig,
    condition: Condition,
    task: Task,
    *,
    device: str,
) -> Predictions:
    """Score the tested rows on the classes of a head and on one that it was not trained with.

    Args:
        features: Of the manifest with the split of the fold and every label.
        trained: The head.
        config: How to score.
        condition: Which class is new, and how many of its clips are shown.
        task: What is told apart.
        device: A torch device.

    Raises:
        ManifestError: If there are too few clips to show, or a label is unknown.
        FeatureStoreError: If a store is damaged.
    """
    manifest, usable = features.manifest, features.has_features
    names = class_names(manifest, task.column, task.label_map)
    split = manifest.table["split"].to_numpy()
    tested = split == task.part
    old = [*trained.classes, condition.new_class]
    classes = train_classes(names[names.isin(old)], task.label_map)
    order = [old.index(name) for name in classes]
    labels = class_indices(manifest, names.where(tested, ""), classes, task.column)
    shown = shown_rows(condition, manifest, usable, names.tolist(), trained.record.seed)
    of_train = (split == TRAIN) & usable
    known = [np.flatnonzero(of_train & (names == name).to_numpy()) for name in trained.classes]
    is_dev = (split == DEV) & usable & names.isin(trained.classes).to_numpy()
    rows, dev = np.flatnonzero(tested), np.flatnonzero(is_dev)
    scored = rows[usable[rows]]
    every = scores_with_new_class(
        features,
        trained,
        config,
        np.concatenate([scored, dev]),
        known=known,
        shown=shown,
        device=device,
    )
    scores, of_dev = every[: len(scored)], every[len(scored) :]
    places = names.iloc[dev].map(trained.classes.index).to_numpy(dtype=np.int64)
    probabilities = probabilities_with_new_class(scores, of_dev, places)
    found = Scored(scores=scores[:, order], probabilities=probabilities[:, order], extras={})
    return stored_predictions(
        features,
        rows,
        found if len(scored) else None,
        trained,
        config.stamps(trained.record.kind),
        classes=classes,
        labels=[classes[i] if i != UNLABELLED else None for i in labels[rows]],
    )
