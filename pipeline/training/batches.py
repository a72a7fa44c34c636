"""Training rows in memory, and the batch of each step."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.heads.base import Batch
from pipeline.heads.standardiser import Standardiser
from pipeline.training.config import TrainConfig
from pipeline.training.optimisation import batch_rows, drawn_rows, mixup
from pipeline.training.weighting import Weighting


@dataclass(frozen=True, kw_only=True)
class LabelledFeatures:
    """Features of labelled clips, in memory.

    Attributes:
        features: Any float type, shape (N, L, D).
        labels: Class indices, int64, shape (N,).
        groups: What each is standardised with, shape (N,), where the standardiser is grouped.
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TrainingFeatures(LabelledFeatures):
    """Features of the clips that are trained on, and how.

    Attributes:
        speakers: The speaker of each, shape (N,), texts.
        targets: Share of each class in each label, float32, shape (N, C).
        weighting: How rows are drawn and counted.
    """

    speakers: np.ndarray
    targets: np.ndarray
    weighting: Weighting


class Batches:
    """What a head sees of its training rows.

    Attributes:
        speakers: The speaker of each row, shape (N,).
    """

    def __init__(
        self, train: TrainingFeatures, standardiser: Standardiser, config: TrainConfig, device: str
    ) -> None:
        """Put the rows where the network is: they are read once, batches are made by indexing."""
        self.config = config
        self.device = device
        self.standardiser = standardiser
        self.speakers = train.speakers
        self._layers = torch.from_numpy(train.features).to(device)
        self._targets = torch.from_numpy(train.targets).to(device)
        self._weights = torch.from_numpy(train.weighting.weight).float().to(device)
        self._draw = torch.from_numpy(train.weighting.draw)
        self._is_even = train.weighting.is_even
        self._places = standardiser.places(train.groups)

    def whole(self) -> Batch:
        """Return all rows; each counts as often as it would be drawn."""
        often = (self._draw * len(self._draw)).to(self._weights)
        return Batch(
            layers=self.standardiser(self._layers, self._places),
            targets=self._targets,
            weights=self._weights * often,
        )

    def of_step(self, step: int) -> Batch:
        """Return the batch of a step, a function of the seed and its number alone."""
        size, seed = self.config.batch_size, self.config.seed
        if self._is_even:
            rows = batch_rows(step, len(self._layers), size, seed)
        else:
            rows = drawn_rows(step, self._draw, size, seed)
        rows = rows.to(self.device)
        places = None if self._places is None else self._places[rows]
        layers, targets = self.standardiser(self._layers[rows], places), self._targets[rows]
        if self.config.mixup:
            layers, targets = mixup(layers, targets, alpha=self.config.mixup, step=step, seed=seed)
        return Batch(layers=layers, targets=targets, weights=self._weights[rows])
