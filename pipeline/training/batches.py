"""The clips that are trained on, and the batch of each step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from pipeline.errors import ParamsError
from pipeline.evaluation.concordance import measure_numbers
from pipeline.evaluation.links import Link, fit_link, fit_shares
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.batch import Batch
from pipeline.heads.phase import Phase
from pipeline.manifests.numbers import Numbers
from pipeline.sources.source import Pool, Source
from pipeline.training.config import LoopConfig
from pipeline.training.draws import mixed_seed, mixup, noised
from pipeline.training.plans import Layout, plan_steps
from pipeline.training.targets import one_hot
from pipeline.training.weighting import Weighting


def measure_scores(
    scores: np.ndarray, labels: np.ndarray, numbers: Numbers | None, *, stretch: bool = True
) -> dict[str, float]:
    """Return by name how good scores of some clips are.

    Args:
        scores: Of the classes, or of the ends of a scale, shape (N, C).
        labels: Class indices, shape (N,).
        numbers: Their labels where these are numbers, else None.
        stretch: Whether predicted numbers are first given the mean and the spread of the labels.
    """
    if numbers is not None:
        link = fit_shares(scores, numbers.positions, stretch=stretch)
        return measure_numbers(numbers.values, numbers.scale.values(link.positions(scores)))
    predicted = scores.argmax(1)
    return {name: value(labels, predicted) for name, value in SELECTORS.items()}


@dataclass(frozen=True, kw_only=True)
class LabelledClips:
    """Clips with their classes, or numbers.

    Attributes:
        source: What a head sees of them.
        labels: Class indices, int64, shape (N,).
        numbers: Their labels where these are numbers, else None.
        stretch: Whether predicted numbers are given the mean and the spread of these labels.
    """

    source: Source
    labels: np.ndarray
    numbers: Numbers | None = None
    stretch: bool = True

    def shares(self, num_classes: int) -> np.ndarray:
        """Return each label as shares of the classes, or of the ends of a scale, (N, C)."""
        return one_hot(self.labels, num_classes) if self.numbers is None else self.numbers.shares

    def fit_link(self, name: str, scores: np.ndarray) -> Link:
        """Return the link of that name that fits a head's scores (N, C) of them."""
        if self.numbers is None:
            return fit_link(name, scores, self.labels)
        return fit_shares(scores, self.numbers.positions, stretch=self.stretch)

    def measure(self, scores: np.ndarray) -> dict[str, float]:
        """Return by name how good a head's scores (N, C) of them are, as `measure_scores`."""
        return measure_scores(scores, self.labels, self.numbers, stretch=self.stretch)


@dataclass(frozen=True, kw_only=True)
class TrainingClips(LabelledClips):
    """Clips that are trained on, and how.

    Attributes:
        speakers: The speaker of each, shape (N,), texts.
        targets: Share of each class in each label, float32, shape (N, C).
        weighting: How clips are drawn and counted.
    """

    speakers: np.ndarray
    targets: np.ndarray
    weighting: Weighting


class Batches:
    """What a head sees of its training clips, step by step."""

    def __init__(self, train: TrainingClips, config: LoopConfig, device: str) -> None:
        """Put targets and weights where the network is.

        Raises:
            ParamsError: If frames would have to be mixed up, or noise added to them.
        """
        if config.mixup and not train.source.is_mixable:
            raise ParamsError(
                f"{config.section}.mixup: found {config.mixup:g}, but frames of different "
                "lengths, and texts, cannot be mixed; set it to 0."
            )
        if config.noise and not train.source.is_mixable:
            raise ParamsError(
                f"{config.section}.noise: found {config.noise:g}, but noise is for layers, not for "
                "frames or texts; set it to 0."
            )
        self.config = config
        self._train = train
        self._device = device
        self._targets = torch.from_numpy(train.targets).to(device)
        self._weights = torch.from_numpy(train.weighting.weight).float().to(device)
        self._layout = Layout(
            classes=train.targets.argmax(1),
            lengths=train.source.lengths,
            shards=train.source.shards,
            pool_shards=config.pool_shards,
        )

    @property
    def num_classes(self) -> int:
        """C."""
        return self._targets.shape[1]

    def whole(self) -> Batch:
        """Return all clips at once; each counts as often as it would be drawn."""
        every = np.arange(self._train.source.num_clips)
        (batch,) = self._train.source.batches([[every]])
        draw = torch.from_numpy(self._train.weighting.draw)
        often = (draw * len(draw)).to(self._weights)
        return replace(batch, targets=self._targets, weights=self._weights * often)

    def of_phase(self, phase: Phase, index: int, *, first_step: int) -> Iterator[Batch]:
        """Yield the batches of a phase from one of its steps on, without end."""
        seed = phase_seed(self.config.seed, index)
        plan = plan_steps(phase, seed, self._train.weighting, self._layout, first_step=first_step)
        drawn: list[np.ndarray] = []

        def noted() -> Iterator[Pool]:
            for pool in plan:
                drawn.extend(pool)
                yield pool

        for step, batch in enumerate(self._train.source.batches(noted()), start=first_step):
            rows = torch.from_numpy(drawn.pop(0)).to(self._device)
            views, targets = batch.views, self._targets[rows]
            if self.config.mixup:
                views, targets = mixup(
                    views, targets, alpha=self.config.mixup, step=step, seed=seed
                )
            if self.config.noise:
                views = noised(views, deviation=self.config.noise, step=step, seed=seed)
            yield replace(batch, views=views, targets=targets, weights=self._weights[rows])


def phase_seed(seed: int, index: int) -> int:
    """Return the seed of a phase; the first has the training's own."""
    return seed if index == 0 else mixed_seed(seed, 6, index)
