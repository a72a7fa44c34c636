"""What EmoQ is made of and what a step of it keeps, reckoned from sizes alone."""

from typing import TYPE_CHECKING, Any

from pipeline.heads.cost import Part
from pipeline.heads.phase import Phase

if TYPE_CHECKING:
    from pipeline.heads.emoq import EmoQ

FRAMES = 500  # of a clip as they are reckoned: 10 s at 50 a second
WORDS = 50  # tokens of its transcript in the former


def parts_of(head: "EmoQ") -> dict[str, Part]:
    """Return the language model, its adapters, what hears, the projector and stage 1's MLP."""
    listens = "former" if head.config.has_former else "pooling"
    return head.parts_with(
        {
            listens: getattr(head, "listen", None),
            "projector": getattr(head, "project", None),
            "auxiliary": head.auxiliary,
        }
    )


def activation_bytes(
    head: "EmoQ", phase: Phase, *, itemsize: int, is_checkpointed: bool, in_words: bool
) -> int:
    """Return what a step keeps for its gradients: of the former, and where it answers of the model.

    Of a clip with T frames of width D and S words the former of width W, inner width F, H heads, N
    queries and L blocks, of which one in c looks at frames, keeps about

        T (2 D + W) + L ((N + S) (9 W + 2 F) + 3 H (N + S)^2) + L/c (2 T W + 3 H N T)

    numbers: inputs of its matrices and norms, and scores of attention, their softmax and dropout.

    Args:
        head: Its outline may do.
        phase: Its batch size counts.
        itemsize: Bytes of a number in the former.
        is_checkpointed: Whether the language model's gradients are checkpointed.
        in_words: Whether the phase answers in words.
    """
    kept = 0
    if head.config.hears:
        kept += phase.batch_size * itemsize * _heard_by(head)
    if in_words:
        kept += head.language_bytes(num_clips=phase.batch_size, is_checkpointed=is_checkpointed)
    return kept


def _heard_by(head: "EmoQ") -> int:
    """Return the numbers that a clip keeps in what hears it."""
    listen: Any = head.listen
    if not head.config.has_former:
        return 2 * FRAMES * int(listen.map[0].normalized_shape[0])
    sizes = listen.network.config
    queries = len(listen.queries)
    width, inner = int(sizes.hidden_size), int(sizes.intermediate_size)
    heads, num_blocks = int(sizes.num_attention_heads), int(sizes.num_hidden_layers)
    crossing = -(-num_blocks // int(sizes.cross_attention_frequency))
    seen = queries + WORDS * head.config.reads
    dim = int(listen.project[0].normalized_shape[0])
    return (
        FRAMES * (2 * dim + width)
        + num_blocks * (seen * (9 * width + 2 * inner) + 3 * heads * seen**2)
        + crossing * (2 * FRAMES * width + 3 * heads * queries * FRAMES)
    )
