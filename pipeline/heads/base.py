"""The contract between heads and the commands that train and score them.

A head declares what it reads and its training phases, gives named losses from a batch, and gives
class scores. `genser train` and `genser score` know nothing else of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import FeatureStoreError
from pipeline.store.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a head sees of some clips.

    Attributes:
        layers: Features of the `layers` view, standardised, float32, shape (B, L, D).
        targets: Share of each class in each clip's label, float32, shape (B, C), rows sum to 1;
            None where clips are scored.
        weights: How much each clip counts in the loss, mean about 1, shape (B,); None is 1 each.
    """

    def weighted_mean(self, losses: Tensor) -> Tensor:
        """Return the mean of losses (B,), each counted as much as its clip."""
        return losses.mean() if self.weights is None else (losses * self.weights).mean()

    layers: Tensor
    targets: Tensor | None = None
    weights: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureShape:
    """The shape of stored features and the part that each row plays.

    Attributes:
        num_layers: L.
        dim: D.
        last_row: The row that is x1, the encoder's last output.
        input_row: The row that is the encoder's input; None where there is none.
    """

    num_layers: int
    dim: int
    last_row: int
    input_row: int | None

    def condition_rows(self, *, use_input: bool) -> list[int]:
        """Return the rows that precede the last one, with or without the encoder's input."""
        skipped = {self.last_row} | (set() if use_input else {self.input_row})
        return [row for row in range(self.num_layers) if row not in skipped]


def feature_shape(recipe: Recipe, array_shape: Sequence[int]) -> FeatureShape:
    """Return the shape and the row roles of features that a recipe made.

    Args:
        recipe: Of a `layers` view, extracted or ingested.
        array_shape: (N, L, D).

    Raises:
        FeatureStoreError: If the recipe is of neither kind.
    """
    _, num_layers, dim = array_shape
    if recipe.get("source") == "audio":
        # Encoders without blocks (filterbanks, functionals) have no input of theirs in row 0.
        has_input = str(recipe.get("layer_convention", "input")).startswith("input")
        return FeatureShape(
            num_layers=num_layers,
            dim=dim,
            last_row=num_layers - 1,
            input_row=0 if has_input else None,
        )
    if recipe.get("source") == "table":
        last = int(recipe["last_layer"])
        return FeatureShape(num_layers=num_layers, dim=dim, last_row=last, input_row=None)
    raise FeatureStoreError(f"recipe: source {recipe.get('source')!r} is not 'audio' or 'table'.")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training.

    Attributes:
        name: For curves and checkpoints.
        num_steps: Optimiser steps.
    """

    name: str
    num_steps: int


class Head(nn.Module, ABC):
    """A small network on stored features; see the module's docstring.

    Attributes:
        views: Views of the store that it reads.
        columns: Manifest columns that it reads beside the labels.
        fits_at_once: Whether `fit` takes the place of steps.
    """

    views: ClassVar[tuple[str, ...]] = ("layers",)
    columns: ClassVar[tuple[str, ...]] = ()
    fits_at_once: ClassVar[bool] = False

    def phases(self, num_steps: int) -> list[Phase]:
        """Return the phases that share `num_steps`; one, unless a head says otherwise."""
        return [Phase(name="train", num_steps=num_steps)]

    def trainable(self, phase: Phase) -> list[nn.Parameter]:
        """Return what is trained in a phase; everything, unless a head says otherwise."""
        del phase
        return list(self.parameters())

    def fit(self, batch: Batch, groups: np.ndarray, *, seed: int) -> None:
        """Take everything from the training rows at once, where `fits_at_once`.

        Args:
            batch: All training rows, with their targets.
            groups: The speaker of each row, shape (N,).
            seed: The training seed.
        """
        raise NotImplementedError

    @abstractmethod
    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return named losses, scalars whose sum is minimised.

        Args:
            batch: Clips with their targets.
            phase: The phase under way.
            progress: Part of the phase that is done, from 0 to 1.
            generator: The source of every random number, on the CPU.
        """

    @abstractmethod
    def scores(self, batch: Batch, config: SamplerConfig) -> Tensor:
        """Return class scores, the higher the likelier, shape (B, C)."""

    @abstractmethod
    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Return the scores that a head gives when each class is so many times as frequent.

        Args:
            scores: Of `scores`, shape (B, C).
            factors: How many times each class's posterior is multiplied, above 0, shape (C,); one
                over the shares of the training rows makes every class equally frequent.
            temperature: By which scores are divided before they are probabilities.
        """
