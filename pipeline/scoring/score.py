"""From a manifest, its stores and a trained head to a table of predictions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.audio.outcomes import OK
from pipeline.dataset import StoredFeatures
from pipeline.errors import ParamsError
from pipeline.files import fingerprint
from pipeline.heads.catalogue import head_kinds, scoring_options, stamp
from pipeline.heads.saved import TrainedHead
from pipeline.heads.standardiser import CORPUS
from pipeline.manifests.labels import UNLABELLED, class_indices, class_names
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import Manifest
from pipeline.scoring.class_priors import classes_lacking, masked, with_prior
from pipeline.scoring.predictions import CONTAMINATED, Predictions, assemble_predictions
from pipeline.sources.inference import Extras, score_source
from pipeline.sources.opening import open_source, views_of, with_groups
from pipeline.sources.source import Source
from pipeline.store.recipe import trained_on

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

    def options(self, kind: str) -> Any:
        """Return the section of a kind of head; None where it has no options."""
        return scoring_options(kind, self.heads)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a head says of some clips.

    Attributes:
        scores: Shape (N, C), float32.
        probabilities: Calibrated, shape (N, C), float64.
        extras: What it says besides, by column.
    """

    scores: np.ndarray
    probabilities: np.ndarray
    extras: Extras


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
    features: StoredFeatures, rows: np.ndarray, trained: TrainedHead, *, device: str
) -> Clips:
    """Open rows that have features for a head.

    Args:
        features: Of the manifest.
        rows: Which rows, in this order.
        trained: The head.
        device: A torch device.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    needs = trained.record.needs
    source = open_source(features, rows, needs, trained.head.columns, device=device)
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
) -> Predictions:
    """Score every row of a manifest; a row without features keeps its row and its reason.

    Raises:
        ManifestError: If a label is unknown to the head, or rows were never extracted.
        FeatureStoreError: If the features were made otherwise than the head's, or are damaged.
    """
    features = features_of(trained, manifest, stores)
    return score_stored(features, trained, config, device=device)


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
) -> Predictions:
    """Score rows of a manifest from their features; a row without features keeps its reason.

    Args:
        features: Of the manifest.
        trained: The head.
        config: How to score.
        device: A torch device.
        rows: Which rows, in this order; None takes all.

    Raises:
        ManifestError: If a label is unknown to the head.
        FeatureStoreError: If a store is damaged.
    """
    manifest = features.manifest
    labels = label_indices(manifest, trained)
    wanted = np.arange(len(labels)) if rows is None else rows
    scores = np.full((len(wanted), len(trained.classes)), np.nan, np.float32)
    probabilities = scores.astype(np.float64)
    usable = features.has_features[wanted]
    extras: dict[str, pa.Array] = {}
    if usable.any():
        clips = open_clips(features, wanted[usable], trained, device=device)
        found = score_clips(clips, trained, config, device=device)
        scores[usable], probabilities[usable] = found.scores, found.probabilities
        extras = {name: _column(values, usable) for name, values in found.extras.items()}
    table = manifest.table.iloc[wanted]
    outcomes, messages = features.outcomes.iloc[wanted], features.messages.iloc[wanted]
    leaks = find_leaks(manifest.table, features.audio_digests)
    return assemble_predictions(
        utterance_ids=table["utterance_id"].tolist(),
        splits=table["split"].where(table["split"] != "", None).tolist(),
        labels=[trained.classes[i] if i != UNLABELLED else None for i in labels[wanted]],
        scores=scores,
        probabilities=probabilities,
        errors=[
            None if outcome == OK else f"{outcome}: {message}"
            for outcome, message in zip(outcomes, messages, strict=True)
        ],
        classes=trained.classes,
        metadata={
            "task": trained.task,
            "head": trained.digest,
            "head_kind": trained.record.kind,
            "recipes": {view: fingerprint(recipe) for view, recipe in features.recipes.items()},
            **stamp(config.options(trained.record.kind)),
            "prior": config.prior,
            "mask_classes": config.mask_classes,
            "transductive": is_transductive(features, trained),
            "seed": trained.record.seed,
            "head_leaks": dict(trained.record.leaks),
            "leaks": leaks.counts(),
            **_texts_read(features, trained, wanted),
            **_contaminated(features, wanted),
        },
        extras=extras,
    )


def _texts_read(
    features: StoredFeatures, trained: TrainedHead, rows: np.ndarray
) -> dict[str, object]:
    """Return who wrote the texts that are scored and those of training; nothing without texts."""
    found = features.text_sources(trained.head.columns, rows)
    if not found:
        return {}
    known = list(trained.record.text_sources)
    return {"text_sources": list(found), "head_text_sources": known}


def _contaminated(features: StoredFeatures, rows: np.ndarray) -> dict[str, object]:
    """Return the scored corpora that the model behind the features was trained on, if any."""
    known = frozenset[str]().union(*map(trained_on, features.recipes.values()))
    found = sorted(known & set(features.manifest.table["corpus"].iloc[rows]))
    return {CONTAMINATED: found} if found else {}


def _column(values: list[str] | np.ndarray, usable: np.ndarray) -> pa.Array:
    """Return an extra column of all rows, null where a row has no features."""
    places = np.cumsum(usable) - 1
    if isinstance(values, np.ndarray):
        return pa.array(values[np.maximum(places, 0)], pa.float32(), mask=~usable)
    texts = [values[place] if has else None for place, has in zip(places, usable, strict=True)]
    return pa.array(texts, pa.string())


def is_transductive(features: StoredFeatures, trained: TrainedHead) -> bool:
    """Say whether rows of this manifest are standardised by what the manifest itself holds."""
    return any(
        not set(features.groups(one.over)) <= set(one.groups)
        for one in trained.standardisers.values()
        if one.is_grouped
    )


def label_indices(manifest: Manifest, trained: TrainedHead) -> np.ndarray:
    """Return a head's class index of each row, `UNLABELLED` where it has none, shape (N,).

    Raises:
        ManifestError: If a label is unknown to the head.
    """
    if trained.task not in manifest.table.columns:
        names = pd.Series("", index=manifest.table.index, dtype="str")
    else:
        names = class_names(manifest, trained.task, trained.record.label_map)
    return class_indices(manifest, names, trained.classes, trained.task)
