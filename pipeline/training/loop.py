"""Training a head phase by phase, and going on where a killed run was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.errors import HeadError
from pipeline.evaluation.chance import chance_of
from pipeline.evaluation.concordance import CCC
from pipeline.evaluation.links import Link
from pipeline.heads.base import Head
from pipeline.heads.phase import Phase
from pipeline.progress import Reporter
from pipeline.training.batches import Batches, LabelledClips, TrainingClips
from pipeline.training.checkpoints import NO_STATE, Checkpoints, is_state
from pipeline.training.config import LoopConfig
from pipeline.training.phase_loop import PhaseLoop, dev_scores


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a training has come to.

    Attributes:
        head: With the averaged weights that the last phase selected.
        link: From scores to probabilities, fitted on dev.
        best_step: The step they are of, counted over all phases.
        dev: Every measure's value on dev, at that step.
        curves: One row per look at dev: step, train_loss, learning_rate, dev_ua, ...; the phase
            where there are several, and each loss where there are several.
    """

    head: Head
    link: Link
    best_step: int
    dev: dict[str, float]
    curves: pd.DataFrame


def train_head(
    head: Head,
    train: TrainingClips,
    dev: LabelledClips,
    config: LoopConfig,
    *,
    checkpoints: Checkpoints | None,
    device: str,
    reporter: Reporter,
) -> Selection:
    """Train until the phases are done; each ends when its steps are, or dev has stopped gaining.

    Each step is a function of the seed and its number, and a checkpoint holds all that moves; so a
    run that goes on from one ends with the weights of a run that nobody stopped.

    Args:
        head: Untrained.
        train: Clips to train on.
        dev: Clips to select by.
        config: What changes a number.
        checkpoints: Where to keep and find the state; None keeps none.
        device: A torch device.
        reporter: Hears of progress.

    Raises:
        HeadError: If training diverges, or the checkpoint is of another form.
    """
    head.to(device)
    for base in head.bases:
        base.to(device)
    batches = Batches(train, config, device)
    if head.fits_at_once:
        head.fit(batches.whole(), train.speakers, seed=config.seed)
        return _selection(head, dev, config, device, reporter, best_step=0, curves=[])
    phases = head.phases(config.phase)
    state = _state(checkpoints, phases, device, reporter)
    reporter.begin(sum(phase.num_steps for phase in phases))
    curves: list[dict[str, Any]] = [] if state is None else state["curves"]
    if state is not None:
        reporter.say(
            f"going on from the checkpoint at step {state['steps_before'] + state['step']}"
        )
        reporter.advance(sum(p.num_steps for p in phases[: state["phase"]]) + state["step"])

    def after_step(loop: PhaseLoop) -> None:
        reporter.advance(1)
        if checkpoints is not None and checkpoints.is_due(has_looked=loop.has_looked):
            checkpoints.save(loop.state())

    best_step, steps_before = 0, 0 if state is None else state["steps_before"]
    scores: np.ndarray | None = None
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda):
        for index, phase in enumerate(phases):
            if state is not None and index < state["phase"]:
                continue
            is_resumed = state is not None and index == state["phase"]
            loop = PhaseLoop(
                head,
                phase,
                index,
                batches=batches,
                dev=dev,
                config=config,
                device=device,
                curves=curves,
                steps_before=steps_before,
                is_only=len(phases) == 1,
            )
            if is_resumed:
                assert state is not None
                loop.restore(state)
            loop.run(after_step)
            if loop.is_stalled:
                reporter.say(
                    f"stopped at step {curves[-1]['step']}: dev has not improved for "
                    f"{phase.patience}"
                )
            if loop.complaint:
                reporter.say(loop.complaint)
            best_step, scores = steps_before + loop.best_step, loop.best_scores
            steps_before += loop.step
            if phase.keep_best or index == len(phases) - 1:
                head.restore(loop.best)
    return _selection(
        head, dev, config, device, reporter, best_step=best_step, curves=curves, scores=scores
    )


def _state(
    checkpoints: Checkpoints | None, phases: Sequence[Phase], device: str, reporter: Reporter
) -> dict[str, Any] | None:
    """Return the state to go on from; None of another training's, which is said, and of none.

    Raises:
        HeadError: If it is sealed as this training's, and cannot be.
    """
    if checkpoints is None:
        return None
    state = checkpoints.load(device)
    if state is None and checkpoints.is_there:
        reporter.say(
            "the checkpoint is of other parameters, features or rows, or damaged: training starts "
            "from nothing"
        )
    if state is not None and not is_state(state, phases):
        raise HeadError(f"{checkpoints.folder}: {NO_STATE}")
    return state


def _selection(
    head: Head,
    dev: LabelledClips,
    config: LoopConfig,
    device: str,
    reporter: Reporter,
    *,
    best_step: int,
    curves: list[dict[str, Any]],
    scores: np.ndarray | None = None,
) -> Selection:
    """Fit the link on dev, and say so where the head does no better there than guesses.

    `scores` are those of dev where the look that chose the head is remembered; a resumed run's is
    not.
    """
    if scores is None:
        _, scores = dev_scores(head, dev, config, device)
    values = dev.measure(scores)
    chance, bound = chance_of(dev.labels)
    if dev.numbers is not None:
        if values[CCC] <= 0:
            reporter.say(
                f"dev: CCC {values[CCC]:.3f} of {len(dev.labels)} clips is not above 0: it cannot "
                "be told from always saying the mean."
            )
    elif values["ua"] <= bound < 1:
        reporter.say(
            f"dev: UA {values['ua']:.3f} of {len(dev.labels)} clips is at chance (guesses reach "
            f"{chance:.3f}, and up to {bound:.3f} by luck): it cannot be told from guessing."
        )
    if not curves:
        named = {f"dev_{name}": value for name, value in values.items()}
        curves = [{"step": 0, "train_loss": np.nan, "learning_rate": np.nan, **named}]
    return Selection(
        head=head,
        link=dev.fit_link(head.link, scores),
        best_step=best_step,
        dev=values,
        curves=pd.DataFrame(curves).astype({"step": "int64"}),
    )
