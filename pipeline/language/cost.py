"""What a frozen language model with adapters takes, reckoned from its sizes alone."""

from torch import nn

from pipeline.language.loading import NF4, LanguageModel

# A clip's tokens as they are reckoned: those that all prompts begin with, and a clip's own.
SHARED_TOKENS, OWN_TOKENS, ANSWER_TOKENS = 50, 70, 3
FLOAT, BFLOAT = 4, 2  # bytes
_NF4_BYTES = 0.5 + 4 / 64  # a half of each number, and a float of each 64
_LOGITS = 3  # logits, their logarithm of softmax, its gradient


def weight_bytes(model: LanguageModel, base_dtype: str) -> int:
    """Return the memory of a model's own weights, without adapters.

    Args:
        model: Its outline may do.
        base_dtype: Of them; nf4 is that of the blocks' matrices, the rest stays in two bytes.
    """
    own = {n: p for n, p in model.network.named_parameters() if "lora_" not in n}
    if base_dtype != NF4:
        return sum(p.numel() * p.element_size() for p in own.values())
    blocks = model.network.get_decoder().layers
    inside = {id(m.weight) for m in blocks.modules() if isinstance(m, nn.Linear)}
    return sum(round(p.numel() * (_NF4_BYTES if id(p) in inside else BFLOAT)) for p in own.values())


def activation_bytes(
    model: LanguageModel,
    *,
    num_clips: int,
    num_adapted: int,
    is_checkpointed: bool,
    own_tokens: int = OWN_TOKENS,
    answer_tokens: int = ANSWER_TOKENS,
) -> int:
    """Return what a step keeps for its gradients in a language model whose weights are frozen.

    A token keeps in each block of width D, inner width F and with a adapted layers about

        i (7 D + 3 F) + 8 D + 5 a D

    bytes, i those of a number: sums, queries, keys, values and what attention gives, the inner
    layer before and after its activation and its gate; two norms in float32; before each adapter
    its input in float32 and the mask of its dropout. With checkpoints a block keeps its input, and
    one block at a time the rest. Plain, what all prompts begin with is run once for a batch; with
    checkpoints for each clip. Logits are of answers alone, in float32.

    Args:
        model: Its outline may do.
        num_clips: B.
        num_adapted: a, how many layers of a block have adapters.
        is_checkpointed: Whether gradients are checkpointed.
        own_tokens: Of a clip, its answer's among them.
        answer_tokens: Of its answer.
    """
    sizes = model.network.config.get_text_config()
    width, inner = int(sizes.hidden_size), int(sizes.intermediate_size)
    num_blocks = int(sizes.num_hidden_layers)
    itemsize = model.embeddings.weight.element_size()
    whole = itemsize * (7 * width + 3 * inner)
    whole += (2 * FLOAT + (FLOAT + 1) * num_adapted) * width
    if is_checkpointed:
        tokens = num_clips * (SHARED_TOKENS + own_tokens)
        kept = tokens * (num_blocks * width * itemsize + whole)
    else:
        tokens = num_clips * own_tokens + SHARED_TOKENS
        kept = tokens * num_blocks * whole
    return kept + _LOGITS * FLOAT * num_clips * answer_tokens * int(sizes.vocab_size)
