"""From a manifest, its stores and a trained head to a table of predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.audio.outcomes import OK
from pipeline.dataset import StoredFeatures
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import ParamsError
from pipeline.heads.inference import score_features, with_groups
from pipeline.heads.saved import TrainedHead
from pipeline.heads.standardiser import CORPUS, Standardiser
from pipeline.manifests.labels import UNLABELLED, class_indices, class_names
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import Manifest
from pipeline.scoring.predictions import Predictions, assemble_predictions

PRIORS = ("train", "uniform")


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(SamplerConfig):
    """How clips are scored: the sampler's walk, and what is done with the scores after it."""

    prior: str = "train"  # of the classes: as they were learnt, or uniform, divided out
    mask_classes: bool = True  # whether a clip cannot be of a class that its corpus's train lacks

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior not in PRIORS:
            raise ParamsError(f"score.prior: {self.prior!r} is not one of {list(PRIORS)}.")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a head says of some rows.

    Attributes:
        scores: Shape (N, C), float32.
        probabilities: Calibrated, shape (N, C), float64.
    """

    scores: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Rows of a manifest, read for a head; they may be scored in several ways.

    Attributes:
        features: Shape (N, L, D).
        groups: What each is standardised with, shape (N,).
        corpora: The corpus of each, shape (N,).
        standardiser: The head's, with the groups of these rows.
    """

    features: np.ndarray
    groups: np.ndarray
    corpora: np.ndarray
    standardiser: Standardiser


def read_clips(features: StoredFeatures, rows: np.ndarray, trained: TrainedHead) -> Clips:
    """Read rows that have features for a head.

    Args:
        features: Of the manifest.
        rows: Which rows, in this order.
        trained: The head.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    return Clips(
        features=features.read(rows),
        groups=features.groups(trained.standardiser.over)[rows],
        corpora=features.groups(CORPUS)[rows],
        standardiser=with_groups(trained.standardiser, features, rows),
    )


def score_clips(clips: Clips, trained: TrainedHead, config: ScoreConfig, *, device: str) -> Scored:
    """Score clips with the head that they were read for.

    Raises:
        HeadError: If priors are to be divided out of a head that does not know its own.
    """
    scores = score_features(
        trained.head,
        clips.standardiser,
        clips.features,
        clips.groups,
        config,
        device=device,
        precision=trained.description["train"]["precision"],
    )
    scores = with_prior(trained, scores, config.prior)
    lacking = _lacking(trained, clips.corpora) & config.mask_classes
    scores = masked(scores, lacking)
    kept = np.where(lacking, 0.0, trained.probabilities(scores))
    return Scored(scores=scores, probabilities=kept / kept.sum(1, keepdims=True))


def with_prior(trained: TrainedHead, scores: np.ndarray, prior: str) -> np.ndarray:
    """Return a head's scores (N, C) under another prior of the classes, one of `PRIORS`.

    Raises:
        HeadError: If the head does not know the shares that it was trained with.
    """
    if prior == "train":
        return scores
    # A class that the loss never saw has no share to divide by.
    shares = np.where(trained.prior > 0, trained.prior, 1 / len(trained.classes))
    factors = torch.from_numpy(1 / (len(trained.classes) * shares)).to(torch.float32)
    changed = trained.head.reweighted(torch.from_numpy(scores), factors, trained.temperature)
    result: np.ndarray = changed.numpy()
    return result


def masked(scores: np.ndarray, lacking: np.ndarray) -> np.ndarray:
    """Return scores with classes ruled out: they come below all others of their clip.

    Args:
        scores: Shape (N, C), float32.
        lacking: Whether a clip cannot be of a class, never all of a row, shape (N, C).
    """
    lowest = np.where(lacking, np.inf, scores).min(1, keepdims=True).astype(np.float32)
    below = np.nextafter(lowest, np.float32(-np.inf))
    return np.where(lacking, np.minimum(scores, below), scores)


def _lacking(trained: TrainedHead, corpora: np.ndarray) -> np.ndarray:
    """Return whether a row's corpus had no training row of a class, shape (N, C)."""
    lacking = np.zeros((len(corpora), len(trained.classes)), dtype=bool)
    for name, present in trained.corpora.items():
        lacking[corpora == name] = [label not in present for label in trained.classes]
    return lacking


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
    features = StoredFeatures(manifest, stores)
    where = ", ".join(str(path) for path in stores.values())
    trained.require_recipe(where, features.recipe)
    return score_stored(features, trained, config, device=device)


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
        config: Of the sampler.
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
    if usable.any():
        clips = read_clips(features, wanted[usable], trained)
        found = score_clips(clips, trained, config, device=device)
        scores[usable], probabilities[usable] = found.scores, found.probabilities
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
            "head_kind": trained.description["kind"],
            "recipe": features.fingerprint,
            "solver": config.solver,
            "num_steps": config.num_steps,
            "readout": config.readout,
            "prior": config.prior,
            "mask_classes": config.mask_classes,
            "transductive": is_transductive(features, trained),
            "seed": trained.description["seed"],
            "head_leaks": trained.description["leaks"],
            "leaks": leaks.counts(),
        },
    )


def is_transductive(features: StoredFeatures, trained: TrainedHead) -> bool:
    """Say whether rows of this manifest are standardised by what the manifest itself holds."""
    standardiser = trained.standardiser
    if not standardiser.is_grouped:
        return False
    return not set(features.groups(standardiser.over)) <= set(standardiser.groups)


def label_indices(manifest: Manifest, trained: TrainedHead) -> np.ndarray:
    """Return a head's class index of each row, `UNLABELLED` where it has none, shape (N,).

    Raises:
        ManifestError: If a label is unknown to the head.
    """
    if trained.task not in manifest.table.columns:
        names = pd.Series("", index=manifest.table.index, dtype="str")
    else:
        names = class_names(manifest, trained.task, trained.label_map)
    return class_indices(manifest, names, trained.classes, trained.task)
