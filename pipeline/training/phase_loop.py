"""One phase of training: its steps, its looks at dev, and everything that moves meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import HeadError
from pipeline.evaluation.concordance import NUMBER_SCORES, RISING
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch
from pipeline.heads.phase import LAST, Phase
from pipeline.sources.inference import autocast, score_source, watch_source
from pipeline.training.batches import Batches, LabelledClips, phase_seed
from pipeline.training.checkpoints import NO_STATE, TENSORS, shapes_of
from pipeline.training.config import LoopConfig
from pipeline.training.draws import seed_dropout, step_generator
from pipeline.training.optimisation import learning_rate, make_optimiser, update_average

WORSE = 2.0  # times the loss that a phase begins with, from which it has not been learnt
EXPLODED = 1000.0  # times the loss that a phase begins with, or 1 where that is less


class PhaseLoop:
    """Everything that moves while a phase is trained.

    Attributes:
        phase: The phase.
        step: Steps taken in it.
        best: What `kept` gave where dev was best, averaged weights.
        best_scores: What it scored on dev, (N, C), where dev was scored in this process.
        best_step: The step of the phase that it is of.
        curves: One entry per look at dev, of this phase and those before.
    """

    def __init__(
        self,
        head: Head,
        phase: Phase,
        index: int,
        *,
        batches: Batches,
        dev: LabelledClips,
        config: LoopConfig,
        device: str,
        curves: list[dict[str, Any]],
        steps_before: int,
        is_only: bool,
    ) -> None:
        self.phase = phase
        self.index = index
        self.step = 0
        self.curves = curves
        self._steps_before = steps_before
        self._is_only = is_only
        self._head = head
        self._batches = batches
        self._dev = dev
        self._config = config
        self._device = device
        self._seed = phase_seed(config.seed, index)
        self._trained = head.enter(phase)
        strange = sorted(set(self._trained) - set(head.kept()))
        assert not strange, f"the head trains {strange[:3]}, which it does not keep"
        factors = {name: head.rate_factor(name) for name in self._trained}
        self._optimiser = make_optimiser(self._trained, phase.optimiser, factors)
        self._average = {name: p.detach().clone() for name, p in self._trained.items()}
        self.best = _copied(head.kept())
        self.best_scores: np.ndarray | None = None
        self.best_step = 0
        self._best_value = -np.inf
        self._first_loss: float | None = None
        self._taken: list[dict[str, Tensor]] = []  # losses of the steps since the last look

    @property
    def has_looked(self) -> bool:
        """Whether no step was taken since the last look at dev."""
        return not self._taken

    @property
    def is_stalled(self) -> bool:
        """Whether dev has not been better for as many looks as the phase has patience."""
        looks_since = (self.step - self.best_step) // self.phase.eval_every
        return bool(self.phase.patience) and looks_since >= self.phase.patience

    @property
    def complaint(self) -> str:
        """What is wrong with how the phase ended, "" of one that is sound.

        Where a loss has a ceiling, as behind a frozen model's last norm, it never explodes.
        """
        first, last = self._first_loss, self.curves[-1]["train_loss"] if self.curves else 0.0
        if first is None or not 0 < WORSE * first < last:
            return ""
        return (
            f"{self._config.section}: diverged: the loss ended at {last:.3g}, which began at "
            f"{first:.3g}; lower {self._config.section}.optimiser.learning_rate."
        )

    def run(self, after_step: Callable[["PhaseLoop"], None]) -> None:
        """Take steps until the phase is done or dev has stopped getting better.

        Args:
            after_step: Called after each step, and the look at dev where it was time for one.

        Raises:
            HeadError: If training diverges.
        """
        if self.step >= self.phase.num_steps or self.is_stalled:
            return
        batches = self._batches.of_phase(self.phase, self.index, first_step=self.step)
        every, last = self.phase.eval_every, self.phase.num_steps
        with closing(batches):  # type: ignore[type-var]
            while self.step < last and not self.is_stalled:
                self._head.train()
                _freeze_still(self._head)
                until = min((self.step // every + 1) * every, last)
                while self.step < until:
                    self._taken.append(self._take_step(next(batches)))
                    self.step += 1
                    if self.step == until:
                        self._judge()
                    after_step(self)

    def _judge(self) -> None:
        """Hold the losses since the last look to what they were, then look at dev."""
        taken, self._taken = self._taken, []
        # A head may take turns: each loss is the mean over the steps that had it.
        losses = {
            name: torch.stack([one[name] for one in taken if name in one]).mean().item()
            for name in dict.fromkeys(name for one in taken for name in one)
        }
        totals = torch.stack([torch.stack(list(one.values())).sum() for one in taken])
        self._require_sound(totals.cpu().double().numpy(), losses)
        self._look(totals.mean().item(), losses)

    def _require_sound(self, totals: np.ndarray, losses: dict[str, float]) -> None:
        """Refuse to go on from a loss that is no number, or far above where the phase began."""
        self._first_loss = float(totals[0]) if self._first_loss is None else self._first_loss
        limit = EXPLODED * max(1.0, abs(self._first_loss))
        wrong = np.flatnonzero(~(np.abs(totals) < limit))
        if len(wrong):
            step = self._steps_before + self.step - len(totals) + int(wrong[0]) + 1
            parts = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
            raise HeadError(
                f"{self._config.section}: diverged in step {step}: found a loss of "
                f"{totals[wrong[0]]:.3g} (mean since the last look: {parts}), which began at "
                f"{self._first_loss:.3g}; lower {self._config.section}.optimiser.learning_rate or "
                f"set {self._config.section}.precision to float32."
            )

    def _take_step(self, batch: Batch) -> dict[str, Tensor]:
        phase = self.phase
        seed_dropout(self.step, self._seed)
        rate = learning_rate(self.step, phase.num_steps, phase.optimiser)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)
        with autocast(self._device, self._config.precision):
            losses = self._head.loss(
                batch,
                phase=phase,
                progress=self.step / phase.num_steps,
                generator=step_generator(self.step, self._seed),
            )
        total = torch.stack(list(losses.values())).sum()
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        if phase.optimiser.clip_norm:
            torch.nn.utils.clip_grad_norm_(self._trained.values(), phase.optimiser.clip_norm)
        self._optimiser.step()
        update_average(
            self._average, self._trained, step=self.step, decay=phase.optimiser.ema_decay
        )
        return {name: value.detach() for name, value in losses.items()}

    def _look(self, loss: float, losses: dict[str, float]) -> None:
        """Judge the averaged weights on dev, note it, and keep them if they are the best."""
        phase = self.phase
        rate = learning_rate(self.step - 1, phase.num_steps, phase.optimiser)
        entry: dict[str, Any] = {
            "step": self._steps_before + self.step,
            "train_loss": loss,
            "learning_rate": rate,
        }
        if not self._is_only:
            entry["phase"] = phase.name
        if len(losses) > 1:
            entry |= {f"loss.{name}": value for name, value in losses.items()}
        with self._averaged():
            targets = self._dev.shares(self._batches.num_classes)
            values = watch_source(
                self._head,
                self._dev.source,
                torch.from_numpy(targets),
                phase,
                device=self._device,
                precision=self._config.precision,
            )
            scores = None
            if not values or phase.select_by in (*SELECTORS, *NUMBER_SCORES):
                named, scores = dev_scores(self._head, self._dev, self._config, self._device)
                values |= named
            value = 0.0 if phase.select_by == LAST else self._worth(values)
            if value > self._best_value or phase.select_by == LAST:
                self._best_value = value
                self.best_step = self.step
                self.best, self.best_scores = _copied(self._head.kept()), scores
        self.curves.append({**entry, **{f"dev_{name}": v for name, v in values.items()}})

    def _worth(self, values: dict[str, float]) -> float:
        """Return what the phase is selected by, the higher the better."""
        name = self.phase.select_by
        if name not in values:
            raise HeadError(
                f"phase {self.phase.name!r}: selected by {name!r}, wanted one of "
                f"{[*values, LAST]}; mend the head's phases."
            )
        return values[name] if name in (*SELECTORS, *RISING) else -values[name]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Give the head its averaged weights for the length of a block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, parameter in self._trained.items():
            parameter.data, self._average[name] = self._average[name], parameter.data

    def state(self) -> dict[str, Any]:
        """Return everything that a run needs to go on from here."""
        return {
            "phase": self.index,
            "step": self.step,
            "steps_before": self._steps_before,
            "head": self._head.kept(),
            "average": self._average,
            "optimiser": self._optimiser.state_dict(),
            "best": self.best,
            "best_step": self.best_step,
            "best_value": self._best_value,
            "curves": self.curves,
            "first_loss": self._first_loss,
            "taken": self._taken,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of this phase.

        Raises:
            HeadError: If its tensors are of other names or shapes.
        """
        mine = (self._head.kept(), self._average, self.best)
        if any(shapes_of(state[k]) != shapes_of(v) for k, v in zip(TENSORS, mine, strict=True)):
            raise HeadError(NO_STATE)
        try:
            self._optimiser.load_state_dict(state["optimiser"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise HeadError(NO_STATE) from error
        self._head.restore(state["head"])
        self.step = state["step"]
        self._average = state["average"]
        self.best = state["best"]
        self.best_step = state["best_step"]
        self._best_value = state["best_value"]
        self._first_loss = state["first_loss"]
        self._taken = state["taken"]


def dev_scores(
    head: Head, dev: LabelledClips, config: LoopConfig, device: str
) -> tuple[dict[str, float], np.ndarray]:
    """Return how good a head is on dev, by every measure, and its scores there, shape (N, C)."""
    said = score_source(
        head, dev.source, head.dev_scoring(), device=device, precision=config.precision
    )
    return dev.measure(said.scores), said.scores


def _freeze_still(head: Head) -> None:
    """Put modules whose every parameter is frozen into evaluation mode: no dropout in them."""
    for module in head.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def _copied(kept: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in kept.items()}
