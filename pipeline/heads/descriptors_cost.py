"""What a step of the head of descriptors keeps, reckoned from sizes alone."""

from typing import TYPE_CHECKING

from pipeline.heads.descriptors_config import DescriptorsConfig
from pipeline.heads.descriptors_stages import CONTENT, STAGE1, branches_of, is_of_bags, trained_in
from pipeline.heads.needs import FeatureShape
from pipeline.heads.phase import Phase

if TYPE_CHECKING:
    from pipeline.heads.descriptors import Descriptors

FRAMES = 500  # of a clip as they are reckoned: 10 s at 50 a second
ASKED = 30  # tokens of the question
DESCRIPTION, TRANSCRIPT = 40, 40  # tokens


def activation_bytes(
    head: "Descriptors", phase: Phase, *, itemsize: int, is_checkpointed: bool
) -> int:
    """Return what a step keeps for its gradients: of the branches it trains, and of the model.

    Of a clip with T frames of R layers, each D wide, a branch with H hidden numbers, Z dimensions,
    k neighbours and an adapter of A hidden numbers into E keeps about

        T (R D + 2 D + H) i + T (6 Z) 4 + T/k ((k Z + A + E) i + 2 E 4)

    bytes, i those of a number: the layers, inputs of norms and matrices; mean, variance, noise and
    their products in float32.

    Args:
        head: Its outline may do.
        phase: Its batch size counts.
        itemsize: Bytes of a number in the branches.
        is_checkpointed: Whether the language model's gradients are checkpointed.
    """
    config = head.config
    trained = trained_in(config, phase)
    width = head.model.embeddings.embedding_dim
    kept = (
        phase.batch_size * len(trained) * branch_bytes(config, head.shape, width, itemsize=itemsize)
    )
    if is_of_bags(phase):
        return kept
    soft = -(-FRAMES // config.neighbours)
    is_first = phase.name.startswith(STAGE1)
    heard = (CONTENT,) if is_first else branches_of(config)
    answer = TRANSCRIPT if is_first or config.transcribe else 0
    answer += DESCRIPTION if config.describe and not is_first else 0
    return kept + head.language_bytes(
        num_clips=phase.batch_size,
        is_checkpointed=is_checkpointed,
        own_tokens=soft * len(heard) + ASKED + answer,
        answer_tokens=answer,
    )


def branch_bytes(
    config: DescriptorsConfig, shape: FeatureShape, embedding_width: int, *, itemsize: int
) -> int:
    """Return what a branch keeps of a clip; see `activation_bytes`.

    Args:
        config: Of the head.
        shape: Of the frames.
        embedding_width: E.
        itemsize: Bytes of a number in the branch.
    """
    frames = itemsize * (shape.num_layers * shape.dim + 2 * shape.dim + config.hidden)
    frames += 4 * 6 * config.width
    tokens = itemsize * (
        config.neighbours * config.width + config.projector_hidden + embedding_width
    )
    soft = FRAMES // config.neighbours
    return FRAMES * frames + soft * (tokens + 4 * 2 * embedding_width)
