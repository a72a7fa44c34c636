"""Clips of a manifest as a head sees them: standardised batches in the order of a plan.

A plan is a sequence of pools, and a pool a sequence of batches, each the positions of its clips
among the source's. What a pool needs is brought into memory at once, so a plan that keeps a pool to
a few shards bounds memory; which plan it is changes nothing in what a batch holds.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.dataset import StoredFeatures
from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.needs import Need
from pipeline.heads.standardiser import Standardiser
from pipeline.store.views import LAYERS

READ_AT_ONCE = 256  # clips of dense views that a standardiser sees
FRAMES_AT_ONCE = 32  # clips whose frames are put side by side

Pool = Sequence[np.ndarray]
# By need, then position: frames (T, R, D), codes (T, R), or layers (L, D).
Frames = Mapping[str, Mapping[int, np.ndarray]]


class _Dense(NamedTuple):
    """A dense need of a source's clips, (M, L, D), perhaps among others, and the place of each."""

    values: Tensor
    places: Tensor

    @classmethod
    def read(cls, features: StoredFeatures, rows: np.ndarray, need: Need, device: str) -> "_Dense":
        found, places = features.dense(rows, need.view, need.codes_as, need.layers)
        if device != "cpu":  # where memory is dearer, there is nothing but these clips
            found, places = found[places], np.arange(len(rows))
        return cls(torch.from_numpy(found).to(device), torch.from_numpy(places).to(device))

    def of(self, chosen: Tensor) -> Tensor:
        return self.values[self.places[chosen]]


class Source(ABC):
    """Some clips, of whatever they are read; training and scoring know no more of them.

    Attributes:
        num_clips: N.
        lengths: How long each clip is, int64, shape (N,), by which batches are made of clips of
            like length; zeros where all are alike.
        shards: Clips of one shard are read together, shape (N,).
        is_mixable: Whether two clips can be added up, as mixup does.
    """

    num_clips: int
    lengths: np.ndarray
    shards: np.ndarray
    is_mixable: bool

    @abstractmethod
    def batches(self, plan: Iterable[Pool]) -> Iterator[Batch]:
        """Yield the batches of a plan, one pool after another, without targets."""

    def scan(self, at_once: int) -> list[Pool]:
        """Return the plan that goes through all clips once, in batches of at most `at_once`.

        Where they have lengths, clips of one shard share a pool, and those of like length a batch.
        Shards of which few clips are wanted share a pool too, so that batches are full.
        """
        if not self.lengths.any():
            return [[part] for part in cut(np.arange(self.num_clips), at_once)]
        _, shards, sizes = np.unique(self.shards, return_inverse=True, return_counts=True)
        pool_of = ((np.cumsum(sizes) - sizes) // at_once)[shards]
        order = np.lexsort((np.arange(self.num_clips), self.lengths, pool_of))
        pools = np.split(order, np.flatnonzero(np.diff(pool_of[order])) + 1)
        return [cut(pool, at_once) for pool in pools]


class StoredSource(Source):
    """Some rows of a manifest with stored features.

    Dense views lie in memory, on the device, unless the kind of source reads them pool by pool.

    Attributes:
        features: Of the manifest.
        rows: Which of its rows, shape (N,); each must have features.
        needs: What is read of them.
        num_clips: N.
        lengths: Frames of each clip, summed over the ragged needs, and characters of its texts,
            int64, shape (N,); zeros where there are neither.
        shards: The shard that each clip's frames are read from, shape (N,); zeros in memory.
        is_mixable: Of layers; frames of two clips are not of the same moment, nor two texts.
    """

    holds_layers = True

    def __init__(
        self,
        features: StoredFeatures,
        rows: np.ndarray,
        needs: Sequence[Need],
        columns: Sequence[str],
        *,
        device: str,
    ) -> None:
        self.features = features
        self.rows = rows
        self.needs = tuple(needs)
        self.num_clips = len(rows)
        self._device = device
        self._standardisers: dict[str, Standardiser] = {}
        self._places: dict[str, Tensor | None] = {}
        self._dense = {
            need.name: _Dense.read(features, rows, need, device)
            for need in needs
            if need.kind == LAYERS and self.holds_layers
        }
        self._ragged = [need for need in needs if need.kind != LAYERS]
        self._names = features.texts("utterance_id", rows)
        self._texts = {column: features.texts(column, rows) for column in columns}
        self.lengths = np.zeros(len(rows), np.int64)
        for need in self._ragged:
            self.lengths += features.num_frames(rows, need.view)
        for texts in self._texts.values():
            # One more, so that a head that reads texts has lengths whatever they are.
            self.lengths += np.array([len(text) + 1 for text in texts], dtype=np.int64)
        self.shards = np.zeros(len(rows), np.int64)
        self.is_mixable = not self.lengths.any()
        self._prepare()

    def use(
        self,
        standardisers: Mapping[str, Standardiser],
        groups: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Standardise every batch from here on; those of groups must know the clips' groups.

        Args:
            standardisers: By need.
            groups: Names of the clips' groups by `over`, where they are known already.
        """
        self._standardisers = {need: one.to(self._device) for need, one in standardisers.items()}
        grouped = {need: one for need, one in standardisers.items() if one.is_grouped}
        if groups is None:
            overs = {one.over for one in grouped.values()}
            groups = {over: self.features.groups(over)[self.rows] for over in overs}
        self._places = {need: one.places(groups[one.over]) for need, one in grouped.items()}

    def parts(self, need: Need, positions: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the features of clips as they are stored, in portions of shape (N, L, D).

        Of frames, N counts those of the portion's clips together.
        """
        if need.kind == LAYERS:
            dense = self._dense.get(need.name)
            for portion in cut(positions, READ_AT_ONCE):
                if dense is None:
                    yield self._read_layers(portion, need)
                else:
                    yield dense.of(torch.from_numpy(portion)).cpu().numpy()
            return
        wanted = np.isin(np.arange(self.num_clips), positions)
        plan = [[part[wanted[part]]] for pool in self.scan(FRAMES_AT_ONCE) for part in pool]
        for (part,), frames in self._pools([pool for pool in plan if len(pool[0])]):
            yield np.concatenate([frames[need.name][int(i)] for i in part])

    def batches(self, plan: Iterable[Pool]) -> Iterator[Batch]:
        """Yield the batches of a plan, one pool after another, without targets.

        Raises:
            FeatureStoreError: If a file is damaged.
        """
        for pool, frames in self._pools(plan):
            for positions in pool:
                yield self._batch(positions, frames)

    @abstractmethod
    def _prepare(self) -> None:
        """Get ready to give frames, once everything else is in place."""

    @abstractmethod
    def _pools(self, plan: Iterable[Pool]) -> Iterator[tuple[Pool, Frames]]:
        """Yield each pool with the frames of its clips."""

    def _batch(self, positions: np.ndarray, frames: Frames) -> Batch:
        chosen = torch.from_numpy(positions).to(self._device)
        views: dict[str, Tensor | Ragged] = {}
        for need in self.needs:
            if need.kind == LAYERS:
                layers = self._layers(need.name, positions, chosen, frames)
                views[need.name] = self._standardised(need.name, layers, chosen)
        for need in self._ragged:
            found = padded([frames[need.name][int(i)] for i in positions], self._device)
            views[need.name] = self._standardised(need.name, found, chosen)
        texts = {c: [values[int(i)] for i in positions] for c, values in self._texts.items()}
        return Batch(views=views, texts=texts, names=[self._names[int(i)] for i in positions])

    def _layers(self, need: str, positions: np.ndarray, chosen: Tensor, pool: Frames) -> Tensor:
        """Return the layers of clips, (B, L, D), of those held, or of the pool's."""
        if need in self._dense:
            return self._dense[need].of(chosen)
        found = np.stack([pool[need][int(i)] for i in positions])
        return torch.from_numpy(found).to(self._device)

    def _read_layers(self, positions: np.ndarray, need: Need) -> np.ndarray:
        """Read the layers of clips from the store, (N, L, D)."""
        return self.features.read(self.rows[positions], need.view, need.codes_as, need.layers)

    def _standardised(self, need: str, view: Tensor | Ragged, chosen: Tensor) -> Tensor | Ragged:
        places = self._places.get(need)
        mine = None if places is None else places[chosen]
        return standardised(view, self._standardisers.get(need), mine)


def standardised(
    view: Tensor | Ragged, standardiser: Standardiser | None, places: Tensor | None = None
) -> Tensor | Ragged:
    """Return a view of a batch as a head sees it: codes as they are, all else float32."""
    if isinstance(view, Ragged):
        if not view.values.is_floating_point():
            return view
        if standardiser is None:
            return Ragged(view.values.float(), view.lengths)
        return standardiser.frames(view, places)
    layers: Tensor = view.float() if standardiser is None else standardiser(view, places)
    return layers


def padded(clips: Sequence[np.ndarray], device: str) -> Ragged:
    """Return frames (T, R, D), codes (T, R) or samples (T,) side by side, zeros beyond each."""
    lengths = torch.tensor([len(clip) for clip in clips])
    # Embeddings are looked up by int64.
    kind = clips[0].dtype if np.issubdtype(clips[0].dtype, np.floating) else np.int64
    values = np.zeros((len(clips), int(lengths.max()), *clips[0].shape[1:]), kind)
    for row, clip in zip(values, clips, strict=True):
        row[: len(clip)] = clip
    return Ragged(torch.from_numpy(values).to(device), lengths.to(device))


def of_layers(features: np.ndarray, need: Need) -> np.ndarray:
    """Return the layers that a need reads of features (N, L, D)."""
    return features if need.layers is None else features[:, list(need.layers)]


def cut(positions: np.ndarray, at_once: int) -> list[np.ndarray]:
    """Return positions in parts of at most `at_once`."""
    return [positions[start : start + at_once] for start in range(0, len(positions), at_once)]
