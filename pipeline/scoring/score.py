"""From a manifest, its stores and a trained head to a table of predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.errors import ManifestError, ParamsError
from pipeline.heads.catalogue import head_kinds, scoring_options, stamp
from pipeline.heads.saved import TrainedHead
from pipeline.heads.standardiser import CORPUS
from pipeline.manifests.labels import UNLABELLED, LabelMap, class_indices, class_names
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.numbers import as_numbers
from pipeline.scoring.class_priors import classes_lacking, masked, with_prior
from pipeline.scoring.predictions import Predictions
from pipeline.scoring.stored import Scored, stored_predictions
from pipeline.sources.inference import score_source
from pipeline.sources.opening import open_source, views_of, with_groups
from pipeline.sources.passing import Passing
from pipeline.sources.source import Source
from pipeline.store.views import LAYERS

PRIORS = ("train", "uniform")


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """How clips are scored, whatever the head.

    Beside these, `score` has a section for each head that has options: `heads` holds those given.
    """

    prior: str = "train"  # of the classes: as they were learnt, or uniform, divided out
    mask_classes: bool = True  # whether a clip cannot be of a class that its corpus's train lacks
    heads: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.prior not in PRIORS:
            raise ParamsError(f"score.prior: {self.prior!r} is not one of {list(PRIORS)}.")

    @classmethod
    def subsections(cls) -> dict[str, type]:
        """Return the dataclass of each head's section, by its name."""
        return {name: kind.scoring for name, kind in head_kinds().items() if kind.scoring}

    def as_json(self, kind: str) -> dict[str, Any]:
        """Return what the scores of a kind of head depend on."""
        own = {"prior": self.prior, "mask_classes": self.mask_classes}
        return {**own, "options": stamp(self.options(kind))}

    def stamps(self, kind: str) -> dict[str, Any]:
        """Return what predictions of a kind of head say of how they were scored."""
        own = {"prior": self.prior, "mask_classes": self.mask_classes}
        return {**stamp(self.options(kind)), **own}

    def options(self, kind: str) -> Any:
        """Return the section of a kind of head; None where it has no options."""
        return scoring_options(kind, self.heads)


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Rows of a manifest, opened for a head; they may be scored in several ways.

    Attributes:
        source: What the head sees of them.
        corpora: The corpus of each, shape (N,).
    """

    source: Source
    corpora: np.ndarray


def open_clips(
    features: StoredFeatures,
    rows: np.ndarray,
    trained: TrainedHead,
    *,
    device: str,
    once: bool = False,
) -> Clips:
    """Open rows that have features for a head.

    Args:
        features: Of the manifest.
        rows: Which rows, in this order.
        trained: The head.
        device: A torch device.
        once: Whether they are scored once, and need not all be in memory.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    needs, columns = trained.record.needs, trained.head.columns
    is_dense = bool(needs) and not columns and all(need.kind == LAYERS for need in needs)
    source = (
        Passing(features, rows, needs, device=device)
        if once and is_dense
        else open_source(features, rows, needs, columns, device=device)
    )
    source.use(with_groups(trained.standardisers, features, rows, needs))
    return Clips(source=source, corpora=features.groups(CORPUS)[rows])


def score_clips(clips: Clips, trained: TrainedHead, config: ScoreConfig, *, device: str) -> Scored:
    """Score clips with the head that they were opened for.

    Raises:
        HeadError: If priors are to be divided out of a head that does not know its own.
    """
    said = score_source(
        trained.head,
        clips.source,
        config.options(trained.record.kind),
        device=device,
        precision=trained.record.precision,
        with_extras=True,
    )
    scores = with_prior(trained, said.scores, config.prior)
    lacking = classes_lacking(trained, clips.corpora) & config.mask_classes
    scores = masked(scores, lacking)
    kept = np.where(lacking, 0.0, trained.probabilities(scores))
    probabilities = kept / kept.sum(1, keepdims=True)
    return Scored(scores=scores, probabilities=probabilities, extras=said.extras)


def score_manifest(
    manifest: Manifest,
    stores: Mapping[str, Path],
    trained: TrainedHead,
    config: ScoreConfig,
    *,
    device: str,
    label_map: LabelMap | None = None,
    splits: Sequence[str] = (),
) -> Predictions:
    """Score the rows of a manifest; a row without features keeps its row and its reason.

    The manifest's labels are read by `label_map`, by the head's own where it is None. Of `splits`
    each is scored, of none every row.

    Raises:
        ManifestError: If a label is unknown to the head, rows were never extracted, or no row is
            of a split.
        FeatureStoreError: If the features were made otherwise than the head's, or are damaged.
    """
    rows = rows_of_splits(manifest, splits) if splits else None
    features = features_of(trained, manifest, stores)
    return score_stored(features, trained, config, device=device, rows=rows, label_map=label_map)


def rows_of_splits(manifest: Manifest, splits: Sequence[str]) -> np.ndarray:
    """Return which rows are of one of some splits, in order.

    Raises:
        ManifestError: If one of them has none.
    """
    own = manifest.table["split"]
    known = sorted(set(own) - {""})
    for split in splits:
        if split not in known:
            raise ManifestError(
                f"{manifest.path}: no row is of split {split!r}, only of {known}; name one of "
                "these, or none for every row."
            )
    return np.flatnonzero(own.isin(splits))


def features_of(
    trained: TrainedHead, manifest: Manifest, stores: Mapping[str, Path]
) -> StoredFeatures:
    """Open the features of a manifest that a head reads.

    Raises:
        ManifestError: If rows were never extracted.
        FeatureStoreError: If the features were made otherwise than the head's, or are damaged.
    """
    features = StoredFeatures(manifest, stores, views_of(trained.record.needs))
    where = ", ".join(str(path) for path in stores.values())
    trained.require_recipes(where, features.recipes)
    return features


def score_stored(
    features: StoredFeatures,
    trained: TrainedHead,
    config: ScoreConfig,
    *,
    device: str,
    rows: np.ndarray | None = None,
    label_map: LabelMap | None = None,
) -> Predictions:
    """Score rows of a manifest from their features; a row without features keeps its reason.

    Args:
        features: Of the manifest.
        trained: The head.
        config: How to score.
        device: A torch device.
        rows: Which rows, in this order; None takes all.
        label_map: Of the manifest's labels; None takes the head's own.

    Raises:
        ManifestError: If a label is unknown to the head.
        FeatureStoreError: If a store is damaged.
    """
    labels = labels_of(features.manifest, trained, label_map or trained.record.label_map)
    wanted = np.arange(len(labels)) if rows is None else rows
    usable = features.has_features[wanted]
    found = None
    if usable.any():
        clips = open_clips(features, wanted[usable], trained, device=device, once=True)
        found = score_clips(clips, trained, config, device=device)
    return stored_predictions(
        features,
        wanted,
        found,
        trained,
        config.stamps(trained.record.kind),
        classes=trained.classes,
        labels=labels[wanted]
        if trained.record.scale is not None
        else [trained.classes[i] if i != UNLABELLED else None for i in labels[wanted]],
    )


def labels_of(manifest: Manifest, trained: TrainedHead, label_map: LabelMap | None) -> np.ndarray:
    """Return the label of each row for a head: as `label_indices`, or its number, NaN for none.

    Raises:
        ManifestError: If a label is unknown to the head, or no number.
    """
    if trained.record.scale is None:
        return label_indices(manifest, trained, label_map)
    return as_numbers(_names(manifest, trained, label_map))


def label_indices(
    manifest: Manifest, trained: TrainedHead, label_map: LabelMap | None
) -> np.ndarray:
    """Return a head's class index of each row, `UNLABELLED` where it has none, shape (N,).

    Raises:
        ManifestError: If a label is unknown to the head.
    """
    return class_indices(
        manifest, _names(manifest, trained, label_map), trained.classes, trained.task
    )


def _names(manifest: Manifest, trained: TrainedHead, label_map: LabelMap | None) -> pd.Series:
    if trained.task not in manifest.table.columns:
        return pd.Series("", index=manifest.table.index, dtype="str")
    of_numbers = label_map is not None and label_map.numbers
    if of_numbers != (trained.record.scale is not None):
        kinds = ("numbers", "classes") if of_numbers else ("classes", "numbers")
        raise ManifestError(
            f"{manifest.path}: the label map makes {kinds[0]} of {trained.task!r}, and this head "
            f"says {kinds[1]}; name another with --label-map."
        )
    return class_names(manifest, trained.task, label_map)
