"""In which phases the head of descriptors is trained, and what each step of one does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.heads.descriptors_config import BAG_LOSS, BATCHES, JOINT, ONE, DescriptorsConfig
from pipeline.heads.phase import Phase

CONTENT, DESCRIPTOR = "content", "descriptor"  # the branches
BAG, STAGE1, STAGE2, ALTERNATING = "words", "content", "descriptors", "alternating"  # and joint


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a step does.

    Attributes:
        transcribes: Whether it learns to say the transcript and nothing else, stage 1's task.
        answers: Whether it learns to describe, name the emotion and transcribe, stage 2's.
        trains: The branches that gradients reach, and whose z are drawn; the others are frozen.
    """

    transcribes: bool
    answers: bool
    trains: tuple[str, ...]


def phases_of(config: DescriptorsConfig, default: Phase) -> list[Phase]:
    """Return the phases of training: of bags of words alone first, where there is one.

    Args:
        config: Of the head.
        default: What the section `train` describes: stage 2, or the joint phase.
    """
    first = replace(
        default,
        name=BAG,
        num_steps=max(config.bag_steps, 1),
        batch_size=config.bag_batch_size,
        select_by=BAG_LOSS,
    )
    return [first] * (config.bag_steps > 0) + _stages_of(config, default)


def _stages_of(config: DescriptorsConfig, default: Phase) -> list[Phase]:
    if config.stages == JOINT:
        return [replace(default, name=JOINT)]
    if config.alternate == BATCHES:
        num_steps = config.stage1_steps + default.num_steps
        return [replace(default, name=ALTERNATING, num_steps=num_steps)]
    stage1 = replace(
        default,
        name=STAGE1,
        num_steps=max(config.stage1_steps, 1),
        batch_size=config.stage1_batch_size,
        optimiser=replace(default.optimiser, learning_rate=config.stage1_learning_rate),
        select_by=config.stage1_select_by,
    )
    pair = [stage1] * config.has_stage1 + [replace(default, name=STAGE2)]
    return [
        replace(phase, name=f"{phase.name} {number}") if number > 1 else phase
        for number in range(1, config.rounds + 1)
        for phase in pair
    ]


def trained_in(config: DescriptorsConfig, phase: Phase) -> tuple[str, ...]:
    """Return the branches that a phase trains, in whichever of its steps."""
    stage = phase.name.partition(" ")[0]
    if config.branches == ONE or stage == STAGE1:
        return (CONTENT,)
    return (DESCRIPTOR,) if stage == STAGE2 else (CONTENT, DESCRIPTOR)


def answers_in(phase: Phase) -> bool:
    """Say whether any step of a phase does stage 2's task."""
    return phase.name.partition(" ")[0] != STAGE1


def is_of_bags(phase: Phase) -> bool:
    """Say whether a phase asks no language model: soft tokens alone say bags of words."""
    return phase.name == BAG


def turn_of(config: DescriptorsConfig, phase: Phase, step: int, *, has_texts: bool = True) -> Turn:
    """Return what a step of a phase does.

    Args:
        config: Of the head.
        phase: The phase under way.
        step: From 0.
        has_texts: Whether any clip of its batch has a text; without one nothing of stage 1 is done
            again in stage 2.
    """
    stage = phase.name.partition(" ")[0]
    every = trained_in(config, phase)
    last = every[-1:]  # the descriptor branch, where there is one
    if stage in (JOINT, BAG):
        return Turn(transcribes=True, answers=True, trains=every)
    if stage == STAGE1 or (stage == ALTERNATING and step % 2 == 0):
        return Turn(transcribes=True, answers=False, trains=every[:1])
    is_replay = (
        stage == STAGE2
        and config.has_stage1
        and has_texts
        and config.replay_every > 0
        and step % config.replay_every == config.replay_every - 1
    )
    if is_replay:
        # Of the adapters; a single branch is frozen nowhere.
        trains = every if config.branches == ONE else ()
        return Turn(transcribes=True, answers=False, trains=trains)
    return Turn(transcribes=False, answers=True, trains=last)


def branches_of(config: DescriptorsConfig) -> Sequence[str]:
    """Return the names of the branches that there are."""
    return (CONTENT,) if config.branches == ONE else (CONTENT, DESCRIPTOR)
