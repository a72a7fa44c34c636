"""What fine-tuning takes, reckoned from the encoder's configuration alone, before it is loaded."""

from dataclasses import dataclass
from typing import Any

import torch

from pipeline.encoders.catalogue import outline_of
from pipeline.encoders.hub import is_local
from pipeline.encoders.loading import WHISPER, read_encoder_config
from pipeline.errors import EncoderError
from pipeline.finetuning.config import LORA, FinetuneConfig
from pipeline.finetuning.network import ATTENTION_WIDTH, classifier
from pipeline.finetuning.tuning import adapted_layers, chosen_blocks, of_section, require_alone
from pipeline.heads.attentive_pooling import AttentivePooling

FLOAT = 4  # bytes
# Of each trained number beside itself: its gradient, AdamW's two moments, its average, the best.
KEPT_BESIDE = 5


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What fine-tuning takes.

    Attributes:
        num_trained: Parameters that are trained, pooling and classifier among them.
        num_all: Parameters of the encoder.
        num_blocks: Blocks that are trained.
        weight_bytes: Memory of all weights, and of what stands beside the trained ones.
        activation_bytes: Memory of what a step keeps for its gradients, at most.
    """

    num_trained: int
    num_all: int
    num_blocks: int
    weight_bytes: int
    activation_bytes: int

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"{self.num_trained:,} trained parameters in {self.num_blocks} blocks and the head, of "
            f"{self.num_all:,} of the encoder; about {self.weight_bytes / 1e9:.2f} GB for weights, "
            f"gradients and optimiser, and at most {self.activation_bytes / 1e9:.2f} GB for what a "
            "step keeps of its blocks (reckoned, not measured)"
        )


def reckon(config: FinetuneConfig, num_classes: int) -> Cost:
    """Return what fine-tuning takes.

    With B clips of T frames, blocks of width D, inner width F and H heads, a block keeps for its
    gradients about B (T (12 D + 3 F) + 3 H T^2) numbers: inputs of its matrices and norms and their
    sums, the inner layer before and after its activation and its dropout, and scores, their softmax
    and its dropout. With checkpoints a block keeps its input, and one block at a time the rest.

    Args:
        config: Of fine-tuning.
        num_classes: C.

    Raises:
        EncoderError: If the encoder is not to be had, or has no blocks.
        ParamsError: If it has not so many, or no such layers to adapt.
    """
    from transformers import AutoModel

    with of_section():
        outline = outline_of(config.encoder)
        flags = read_encoder_config(config.encoder, is_folder=is_local(config.encoder))
    require_alone(config.encoder, flags.model_type)
    if outline.max_window_s is not None and config.max_s > outline.max_window_s:
        raise EncoderError(
            f"finetune.max_s: the encoder {config.encoder} takes {outline.max_window_s:g} seconds "
            f"at once, found {config.max_s:g}; set it to that or less."
        )
    is_whisper = flags.model_type == WHISPER
    with torch.device("meta"):
        model: Any = AutoModel.from_config(flags)
        model = model.encoder if is_whisper else model
        pooling = AttentivePooling(outline.dim, ATTENTION_WIDTH)
        layers = classifier(outline.dim, num_classes, config)
    blocks = chosen_blocks(model.layers if is_whisper else model.encoder.layers, config)
    head = _size(pooling) + _size(layers)
    if config.method == LORA:
        adapted = adapted_layers(model, blocks, flags.model_type, config).values()
        tuned = sum(config.lora_rank * (a.in_features + a.out_features) for a in adapted)
    else:
        tuned = sum(map(_size, blocks)) if config.freeze_front else _size(model)
    trained = head + tuned
    assert outline.frames_per_s is not None
    seconds = outline.max_window_s or config.max_s
    frames = round(seconds * outline.frames_per_s)
    inner = flags.encoder_ffn_dim if is_whisper else flags.intermediate_size
    heads = flags.encoder_attention_heads if is_whisper else flags.num_attention_heads
    whole = frames * (12 * outline.dim + 3 * inner) + 3 * heads * frames**2
    number = FLOAT if config.precision == "float32" else 2
    if config.gradient_checkpointing:
        kept = len(blocks) * frames * outline.dim * FLOAT + whole * number
    else:
        kept = len(blocks) * whole * number
    return Cost(
        num_trained=trained,
        num_all=_size(model),
        num_blocks=len(blocks),
        weight_bytes=FLOAT * (_size(model) + head + KEPT_BESIDE * trained),
        activation_bytes=config.batch_size * kept,
    )


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
