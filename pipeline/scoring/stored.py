"""What a head says of rows of a manifest as a table of predictions, with what is stamped on it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.audio.outcomes import OK
from pipeline.dataset import StoredFeatures
from pipeline.files import fingerprint
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.leaks import find_leaks
from pipeline.scoring.number_predictions import assemble_numbers
from pipeline.scoring.predictions import (
    CONTAMINATED,
    HEAD_CORPORA,
    Predictions,
    assemble_predictions,
)
from pipeline.sources.inference import Extras
from pipeline.store.recipe import trained_on


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a head says of some clips.

    Attributes:
        scores: Shape (N, C), float32.
        probabilities: Calibrated, shape (N, C), float64; of numbers the shares of the ends.
        extras: What it says besides, by column.
    """

    scores: np.ndarray
    probabilities: np.ndarray
    extras: Extras


def stored_predictions(
    features: StoredFeatures,
    rows: np.ndarray,
    found: Scored | None,
    trained: TrainedHead,
    stamps: Mapping[str, Any],
    *,
    classes: Sequence[str],
    labels: Sequence[str | None] | np.ndarray,
) -> Predictions:
    """Return what was found of rows of a manifest; a row without features keeps its reason.

    Args:
        features: Of the manifest.
        rows: Which rows, in this order.
        found: Of those that have features; None where there is none.
        trained: The head that said it.
        stamps: How it was scored.
        classes: In score order.
        labels: The class of each row, None where it has none; or its number, float64, NaN where it
            has none.
    """
    usable = features.has_features[rows]
    scores = np.full((len(rows), len(classes)), np.nan, np.float32)
    probabilities = scores.astype(np.float64)
    extras: dict[str, pa.Array] = {}
    if found is not None:
        scores[usable], probabilities[usable] = found.scores, found.probabilities
        extras = {name: _column(values, usable) for name, values in found.extras.items()}
    manifest = features.manifest
    table = manifest.table.iloc[rows]
    outcomes, messages = features.outcomes.iloc[rows], features.messages.iloc[rows]
    leaks = find_leaks(manifest.table, features.audio_digests)
    metadata = {
        "task": trained.task,
        "head": trained.digest,
        "head_kind": trained.record.kind,
        "recipes": {view: fingerprint(recipe) for view, recipe in features.recipes.items()},
        **stamps,
        "transductive": is_transductive(features, trained),
        "seed": trained.record.seed,
        HEAD_CORPORA: sorted(trained.record.corpora),
        "head_leaks": dict(trained.record.leaks),
        "leaks": leaks.counts(),
        **_texts_read(features, trained, rows),
        **_contaminated(features, rows),
    }
    ids = table["utterance_id"].tolist()
    splits = [split or None for split in table["split"]]
    errors = [
        None if outcome == OK else f"{outcome}: {message}"
        for outcome, message in zip(outcomes, messages, strict=True)
    ]
    if isinstance(labels, np.ndarray):
        scale = trained.record.scale
        assert scale is not None
        return assemble_numbers(
            utterance_ids=ids,
            splits=splits,
            labels=labels,
            predicted=trained.numbers(scores),
            errors=errors,
            metadata={**metadata, "scale": asdict(scale)},
            extras=extras,
        )
    return assemble_predictions(
        utterance_ids=ids,
        splits=splits,
        labels=labels,
        scores=scores,
        probabilities=probabilities,
        errors=errors,
        classes=classes,
        metadata=metadata,
        extras=extras,
    )


def is_transductive(features: StoredFeatures, trained: TrainedHead) -> bool:
    """Say whether rows of this manifest are standardised by what the manifest itself holds."""
    return any(
        not set(features.groups(one.over)) <= set(one.groups)
        for one in trained.standardisers.values()
        if one.is_grouped
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
