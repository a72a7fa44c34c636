"""Training a head from features in memory: the loop, selection on dev, and its checkpoints."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.diffusion.sampler import SamplerConfig
from pipeline.errors import HeadError
from pipeline.evaluation.calibration import fit_temperature
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.base import Head, Phase
from pipeline.heads.inference import autocast, score_features
from pipeline.heads.standardiser import Standardiser
from pipeline.progress import Reporter
from pipeline.training.batches import Batches, LabelledFeatures, TrainingFeatures
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import LAST, TrainConfig
from pipeline.training.optimisation import (
    learning_rate,
    make_optimiser,
    seed_dropout,
    step_generator,
    update_average,
)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A finished training.

    Attributes:
        head: With the averaged weights that were best on dev.
        temperature: Fitted on dev.
        best_step: The step they are of.
        dev: Every selector's value on dev, at that step.
        curves: One row per look at dev: step, train_loss, learning_rate, dev_ua, ...
    """

    head: Head
    temperature: float
    best_step: int
    dev: dict[str, float]
    curves: pd.DataFrame


def train_head(
    head: Head,
    standardiser: Standardiser,
    train: TrainingFeatures,
    dev: LabelledFeatures,
    config: TrainConfig,
    *,
    checkpoints: Checkpoints | None,
    device: str,
    reporter: Reporter,
) -> Fit:
    """Train until the steps are done or dev has stopped getting better.

    Each step is a function of the seed and its number, and a checkpoint holds all that moves; so a
    run that goes on from one ends with the weights of a run that nobody stopped.

    Args:
        head: Untrained.
        standardiser: Fitted on the training rows.
        train: Rows to fit.
        dev: Rows to select on.
        config: What changes a number.
        checkpoints: Where to keep and find the state; None keeps none.
        device: A torch device.
        reporter: Hears of progress.

    Raises:
        HeadError: If the loss is not finite.
    """
    loop = _Loop(head, standardiser, train, dev, config, device)
    if head.fits_at_once:
        loop.fit_at_once()
        return loop.finish()
    state = checkpoints.load(device) if checkpoints is not None else None
    if state is not None:
        loop.restore(state)
        reporter.say(f"going on from the checkpoint at step {loop.step}")
    reporter.begin(config.num_steps)
    reporter.advance(loop.step)
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda):
        while loop.step < config.num_steps and not loop.is_stalled:
            until = min(loop.step + config.eval_every, config.num_steps)
            done = until - loop.step
            loop.run(until)
            reporter.advance(done)
            if checkpoints is not None:
                checkpoints.save(loop.state())
    if loop.is_stalled:
        reporter.say(f"stopped at step {loop.step}: dev has not improved for {config.patience}")
    return loop.finish()


class _Loop:
    """Everything that moves while a head is trained."""

    def __init__(
        self,
        head: Head,
        standardiser: Standardiser,
        train: TrainingFeatures,
        dev: LabelledFeatures,
        config: TrainConfig,
        device: str,
    ) -> None:
        self.config = config
        self.device = device
        self.head = head.to(device)
        self.average = copy.deepcopy(self.head).eval()
        self.standardiser = standardiser.to(device)
        self.batches = Batches(train, self.standardiser, config, device)
        self.dev = dev
        self.phases = head.phases(config.num_steps)
        self.phase = self.phases[0]
        if not head.fits_at_once:
            self.optimiser = make_optimiser(head.trainable(self.phase), config.optimiser)
        self.step = 0
        self.best: dict[str, Tensor] = copy.deepcopy(self.average.state_dict())
        self.best_step = 0
        self.best_value = -1.0
        self.curves: list[dict[str, float]] = []

    @property
    def is_stalled(self) -> bool:
        patience = self.config.patience
        looks_since = (self.step - self.best_step) // self.config.eval_every
        return bool(patience) and looks_since >= patience

    def fit_at_once(self) -> None:
        """Fit a head that needs no steps."""
        self.average.fit(self.batches.whole(), self.batches.speakers, seed=self.config.seed)
        self.best = copy.deepcopy(self.average.state_dict())
        named = {f"dev_{name}": value for name, value in self._look_at_dev().items()}
        self.curves.append({"step": 0, "train_loss": np.nan, "learning_rate": np.nan, **named})

    def run(self, until: int) -> None:
        """Take steps, then look at dev."""
        self.head.train()
        losses = []
        while self.step < until:
            self._enter_phase(*self._phase_at(self.step))
            losses.append(self._take_step())
            self.step += 1
        loss = torch.stack(losses).mean().item()
        if not np.isfinite(loss):
            raise HeadError(
                f"training: the loss is {loss} after step {self.step}; lower "
                "train.optimiser.learning_rate or set train.precision to float32."
            )
        values = self._look_at_dev()
        rate = learning_rate(self.step - 1, self.config.num_steps, self.config.optimiser)
        named = {f"dev_{name}": value for name, value in values.items()}
        self.curves.append({"step": self.step, "train_loss": loss, "learning_rate": rate, **named})
        value = values.get(self.config.select_by, 0.0)
        if value > self.best_value or self.config.select_by == LAST:
            self.best_value = value
            self.best_step = self.step
            self.best = copy.deepcopy(self.average.state_dict())

    def _take_step(self) -> Tensor:
        config = self.config
        seed_dropout(self.step, config.seed)
        rate = learning_rate(self.step, config.num_steps, config.optimiser)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self.batches.of_step(self.step)
        _, progress = self._phase_at(self.step)
        with autocast(self.device, config.precision):
            losses = self.head.loss(
                batch,
                phase=self.phase,
                progress=progress,
                generator=step_generator(self.step, config.seed),
            )
        total = torch.stack(list(losses.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        if config.optimiser.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.head.parameters(), config.optimiser.clip_norm)
        self.optimiser.step()
        update_average(self.average, self.head, step=self.step, decay=config.optimiser.ema_decay)
        return total.detach()

    def _phase_at(self, step: int) -> tuple[Phase, float]:
        begun = 0
        for phase in self.phases:
            if step < begun + phase.num_steps:
                return phase, (step - begun) / phase.num_steps
            begun += phase.num_steps
        return self.phases[-1], 1.0

    def _enter_phase(self, phase: Phase, progress: float) -> None:
        if phase != self.phase and progress == 0:
            self.optimiser = make_optimiser(self.head.trainable(phase), self.config.optimiser)
        self.phase = phase

    def _look_at_dev(self) -> dict[str, float]:
        predicted = self._dev_scores().argmax(1)
        return {name: value(self.dev.labels, predicted) for name, value in SELECTORS.items()}

    def _dev_scores(self) -> np.ndarray:
        return score_features(
            self.average,
            self.standardiser,
            self.dev.features,
            self.dev.groups,
            SamplerConfig(num_steps=self.config.dev_num_steps),
            device=self.device,
            precision=self.config.precision,
        )

    def state(self) -> dict[str, Any]:
        """Return everything that a run needs to go on from here."""
        return {
            "step": self.step,
            "head": self.head.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "best_step": self.best_step,
            "best_value": self.best_value,
            "curves": self.curves,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.step = state["step"]
        self.phase, _ = self._phase_at(max(self.step - 1, 0))
        self.optimiser = make_optimiser(self.head.trainable(self.phase), self.config.optimiser)
        self.head.load_state_dict(state["head"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.best = state["best"]
        self.best_step = state["best_step"]
        self.best_value = state["best_value"]
        self.curves = state["curves"]

    def finish(self) -> Fit:
        """Take the weights that were best on dev, and fit the temperature there."""
        self.average.load_state_dict(self.best)
        scores = self._dev_scores()
        predicted = scores.argmax(1)
        return Fit(
            head=self.average,
            temperature=fit_temperature(scores, self.dev.labels),
            best_step=self.best_step,
            dev={name: value(self.dev.labels, predicted) for name, value in SELECTORS.items()},
            curves=pd.DataFrame(self.curves).astype({"step": "int64"}),
        )
