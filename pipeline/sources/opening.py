"""Opening a source: which kind it is, what it reads, and its standardisers."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline.dataset import StoredFeatures
from pipeline.errors import FeatureStoreError
from pipeline.heads.needs import FeatureShape, Need, chosen, feature_shape, pooled_shape
from pipeline.heads.standardiser import CORPUS, FEW_CLIPS, Standardiser
from pipeline.manifests.texts import TEXT, require_texts
from pipeline.sources.in_memory import InMemory
from pipeline.sources.source import READ_AT_ONCE, StoredSource
from pipeline.sources.streamed import Drawn, Streamed
from pipeline.store.views import CODES, FRAMES, LAYERS

FRAMES_IN = ("store", "memory")


def views_of(needs: Sequence[Need]) -> tuple[str, ...]:
    """Return the views that needs name, each once."""
    return tuple(dict.fromkeys(need.view for need in needs))


def shapes_of(features: StoredFeatures, needs: Sequence[Need]) -> dict[str, FeatureShape]:
    """Return the shape of what each need reads, by its name.

    Raises:
        FeatureStoreError: If a view is of another kind than the need.
        ParamsError: If a view lacks a layer.
    """
    shapes = {}
    for need in needs:
        kind = features.kind(need.view)
        is_pooled = kind == CODES and need.kind == LAYERS
        if kind != need.kind and not is_pooled:
            raise FeatureStoreError(
                f"view {need.view!r}: found {kind}, wanted {need.kind} for the head's "
                f"{need.name!r}; name another view in the head's parameters."
            )
        whole = feature_shape(features.recipes[need.view], features.shape(need.view))
        if is_pooled:
            whole = pooled_shape(whole, need.codes_as)
        shapes[need.name] = chosen(whole, need)
    return shapes


def open_source(
    features: StoredFeatures,
    rows: np.ndarray,
    needs: Sequence[Need],
    columns: Sequence[str],
    *,
    device: str,
    frames_in: str = "store",
    held_bytes: float = math.inf,
) -> StoredSource:
    """Open rows of a manifest for a head.

    Args:
        features: Of the manifest.
        rows: Which rows, in this order; each must have features.
        needs: What the head reads.
        columns: Manifest columns that it reads.
        device: A torch device.
        frames_in: Where frames are kept: `"store"` streams them, `"memory"` holds them all. Codes
            alone are a thousandth of their frames, and always held.
        held_bytes: The most that layers may take in memory. Where they take more, and the head
            reads nothing else, each batch is read when it is its turn, and holds the same.

    Raises:
        FeatureStoreError: If a store is damaged.
        ManifestError: If texts are read, and the manifest has none.
    """
    if TEXT in columns:
        require_texts(features.manifest.path, features.manifest.table)
    kind: type[StoredSource] = Streamed if _is_streamed(needs, frames_in) else InMemory
    if (
        held_bytes < math.inf
        and not columns
        and all(need.kind == LAYERS for need in needs)
        and bytes_of_layers(features, len(rows), needs) > held_bytes
    ):
        kind = Drawn
    return kind(features, rows, needs, columns, device=device)


def bytes_in_memory(
    features: StoredFeatures,
    rows: np.ndarray,
    needs: Sequence[Need],
    *,
    frames_in: str,
    pool_shards: int,
    held_bytes: float = math.inf,
    batch_size: int = 0,
) -> int:
    """Return the most that features of training rows take in memory at once; opens no corpus.

    Layers lie there whole, or two batches of them where that is more than `held_bytes`. Of streamed
    frames it is two pools of the largest shards.

    Args:
        features: Of the manifest.
        rows: The training rows.
        needs: What the head reads.
        frames_in: `train.frames_in`.
        pool_shards: `train.pool_shards`.
        held_bytes: As of `open_source`.
        batch_size: Clips of a step.
    """
    is_streamed = _is_streamed(needs, frames_in)
    total = bytes_of_layers(features, len(rows), needs)
    if total > held_bytes and all(need.kind == LAYERS for need in needs):
        total = bytes_of_layers(features, min(2 * batch_size, len(rows)), needs)
    for need in needs:
        if need.kind == LAYERS:
            continue
        each = _bytes_of_one(features, need)
        lengths = features.num_frames(rows, need.view)
        _, shards = np.unique(features.shards(rows, need.view), return_inverse=True)
        by_shard = np.sort(np.bincount(shards, weights=lengths))[::-1]
        held = by_shard[: 2 * pool_shards] if is_streamed else by_shard
        total += int(held.sum()) * each
    return total


def half_of_memory() -> float:
    """Return half of the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2


def bytes_of_layers(features: StoredFeatures, num_clips: int, needs: Sequence[Need]) -> int:
    """Return what the layers of so many clips take."""
    return num_clips * sum(_bytes_of_one(features, need) for need in needs if need.kind == LAYERS)


def _bytes_of_one(features: StoredFeatures, need: Need) -> int:
    """Return what a need takes of a clip, or of one of its frames."""
    shape = shapes_of(features, [need])[need.name]
    item = np.dtype(features.recipes[need.view]["stored_dtype"]).itemsize
    # A code is one number for each frame; codes that are pooled become float32.
    width = 1 if need.kind == CODES else shape.dim
    is_pooled = need.kind == LAYERS and features.kind(need.view) == CODES
    return shape.num_layers * width * (4 if is_pooled else item)


def _is_streamed(needs: Sequence[Need], frames_in: str) -> bool:
    return frames_in == "store" and any(need.kind == FRAMES for need in needs)


class Fits:
    """Standardisers that trainings on the same rows have in common; those of one set of rows."""

    def __init__(self) -> None:
        self._rows = np.empty(0, np.int64)
        self._known: dict[tuple[object, ...], Standardiser] = {}

    def standardisers(
        self,
        source: StoredSource,
        clips: np.ndarray,
        shapes: Mapping[str, FeatureShape],
        *,
        kind: str,
        over: str,
    ) -> dict[str, Standardiser]:
        """Return a standardiser for each need that wants one, fitted where it is not known yet.

        Args:
            source: The training rows.
            clips: Which of its clips, ascending: augmented copies take no part. Of other rows than
                last time, what is known is let go.
            shapes: Of the needs.
            kind: `train.standardise`.
            over: `train.standardise_over`.

        Raises:
            FeatureStoreError: If a store is damaged.
        """
        rows = source.rows[clips]
        if not np.array_equal(rows, self._rows):
            self._rows, self._known = rows, {}
        # Clips in another order add up to other last digits.
        order = source.lengths.tobytes(), source.shards.tobytes()
        found = {}
        for need in source.needs:
            if need.standardise:
                key = (need, kind, over, *(() if need.kind == LAYERS else order))
                if key not in self._known:
                    shape = shapes[need.name]
                    one = Standardiser(shape.num_layers, shape.dim, kind=kind, over=over)
                    self._known[key] = _fitted(one, source, clips, need)
                found[need.name] = self._known[key]
        return found


def _fitted(
    standardiser: Standardiser, source: StoredSource, clips: np.ndarray, need: Need
) -> Standardiser:
    """Return a standardiser of a need with the numbers of a source's clips, and their corpora."""
    standardiser.fit(source.parts(need, clips))
    if standardiser.over != CORPUS:
        return standardiser
    corpora = source.features.groups(CORPUS)[source.rows[clips]]
    groups = {name: clips[corpora == name] for name in sorted(set(corpora))}
    return standardiser.extended(
        (name, source.parts(need, positions))
        for name, positions in groups.items()
        if len(positions) >= FEW_CLIPS
    )


def with_groups(
    standardisers: Mapping[str, Standardiser],
    features: StoredFeatures,
    rows: np.ndarray,
    needs: Sequence[Need],
) -> dict[str, Standardiser]:
    """Return standardisers with the numbers of groups that they have not met.

    Those of a corpus that was not trained on, and of every speaker, are taken from all rows of it
    that the manifest has, labels unseen.

    Args:
        standardisers: Of a head, by need.
        features: Of the manifest.
        rows: Which rows are to be standardised.
        needs: Of the head.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    result = dict(standardisers)
    usable = features.has_features
    for need in needs:
        standardiser = standardisers.get(need.name)
        if standardiser is None or not standardiser.is_grouped:
            continue
        names = features.groups(standardiser.over)
        unknown = sorted(set(names[rows]) - set(standardiser.groups))
        groups = {name: np.flatnonzero((names == name) & usable) for name in unknown}
        result[need.name] = standardiser.extended(
            (name, _parts(features, members, need))
            for name, members in groups.items()
            if len(members) >= FEW_CLIPS
        )
    return result


def _parts(features: StoredFeatures, rows: np.ndarray, need: Need) -> Iterator[np.ndarray]:
    """Yield the features of rows as a standardiser takes them: all clips, or frames in portions."""
    if need.kind == LAYERS:
        found, places = features.dense(rows, need.view, need.codes_as, need.layers)
        yield found[places]
        return
    ordered = rows[np.argsort(features.shards(rows, need.view), kind="stable")]
    for start in range(0, len(ordered), READ_AT_ONCE):
        portion = ordered[start : start + READ_AT_ONCE]
        yield np.concatenate(features.read_frames(portion, need.view, need.layers))
