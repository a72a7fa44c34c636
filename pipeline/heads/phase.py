"""A phase of training: how long, how fast, on which batches, and by what its result is chosen."""

import math
from dataclasses import dataclass
from typing import ClassVar

from pipeline.errors import ParamsError

SCHEDULES = ("cosine", "constant")
SAMPLERS = ("even", "pairs", "balanced")
LAST = "last"  # where dev is too small to choose by


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW (Loshchilov & Hutter 2019) and what surrounds it."""

    section: ClassVar[str] = "train.optimiser"
    learning_rate: float = 2e-3  # the paper's is 5e-4, held for 400,000 steps
    schedule: str = "cosine"  # after the warm-up: cosine to 0, or constant
    warmup_fraction: float = 0.05  # part of the steps over which the rate rises from 0
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.01  # on matrices; biases, norms and layer weights are left alone
    clip_norm: float = 1.0  # largest gradient norm; 0 does not clip
    ema_decay: float = 0.999  # of the averaged weights, which are what is kept

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ParamsError(
                f"{self.section}.schedule: {self.schedule!r} is not one of {list(SCHEDULES)}."
            )
        for name, low, high in (
            ("learning_rate", 0, math.inf),
            ("warmup_fraction", 0, 1),
            ("beta1", 0, 1),
            ("beta2", 0, 1),
            ("weight_decay", 0, math.inf),
            ("clip_norm", 0, math.inf),
            ("ema_decay", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ParamsError(
                    f"{self.section}.{name}: {value} is not between {low} and {high}."
                )


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training with an optimiser of its own.

    Attributes:
        name: For curves and checkpoints.
        num_steps: Optimiser steps.
        batch_size: Clips.
        optimiser: Its schedule runs over this phase.
        sampler: `"even"` draws as `train.balance` and `train.corpus_temperature` say; `"pairs"`
            draws clips two and two of one class, and `"balanced"` as many pairs of each.
        eval_every: Steps between looks at dev, after which states are kept.
        select_by: What is kept: the best on dev by ua, wa, wf1 or macro_f1, the lowest of a name
            that the head's `watch` gives, or the last.
        patience: Looks at dev without a better one before the phase ends; 0 never ends it.
        keep_best: Whether the next phase starts from what is kept, or from the last step.
    """

    name: str
    num_steps: int
    batch_size: int
    optimiser: OptimiserConfig
    sampler: str = "even"
    eval_every: int = 25
    select_by: str = LAST
    patience: int = 0
    keep_best: bool = True

    def __post_init__(self) -> None:
        assert self.sampler in SAMPLERS, self.sampler
        assert min(self.num_steps, self.batch_size, self.eval_every) > 0, self
