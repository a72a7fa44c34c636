"""LoRA adapters on a frozen language model (Hu et al. 2022), through peft."""

from collections.abc import Sequence

from torch import nn

from pipeline.dropout import Dropout
from pipeline.errors import EncoderError
from pipeline.language.loading import LanguageModel, attention

_MARK = "lora_"  # within the name of each parameter that peft adds


def add_adapters(
    model: LanguageModel,
    *,
    rank: int,
    alpha: int,
    dropout: float,
    targets: Sequence[str],
    where: str,
) -> dict[str, nn.Parameter]:
    """Put W x + (alpha / rank) B A x in place of W x, and return A and B by name, float32.

    The model is changed in place, so it must be this head's alone. B begins at 0: nothing changes
    until it is trained.

    Args:
        model: Frozen.
        rank: Of A and B.
        alpha: Their scale is alpha over rank.
        dropout: On what A sees, in training.
        targets: Ends of the names of the layers that get them.
        where: The section that names them, for messages.

    Raises:
        EncoderError: If peft is not installed, or the model has no layer of such a name.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise EncoderError(
            f"{where}: adapters need peft; install it with: pip install 'genser[llm]'."
        ) from error
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=[*targets])
    try:
        inject_adapter_in_model(config, model.network)
    except ValueError as error:
        raise EncoderError(
            f"{where}.lora_targets: {model.spelling} has no layers of the names {list(targets)}; "
            "wanted the ends of names of its linear layers, such as q_proj."
        ) from error
    for module in model.network.modules():
        if dropout and hasattr(module, "lora_dropout"):
            # peft has one dropout for each name that an adapter has; here there is one adapter.
            for name in module.lora_dropout:
                module.lora_dropout[name] = Dropout(dropout)
    found = adapters_of(model)
    for parameter in found.values():
        # Of a bfloat16 base they would be bfloat16 too, and small steps would be rounded away.
        parameter.data = parameter.data.float()
    return found


def adapters_of(model: LanguageModel) -> dict[str, nn.Parameter]:
    """Return the parameters of a model's adapters by name."""
    return {n: p for n, p in model.network.named_parameters() if _MARK in n}


def set_training(model: LanguageModel, *, mode: bool) -> None:
    """Turn dropout of the adapters on or off; the base's own stays off. Attention is what suits.

    The blocks themselves say that they train: transformers checkpoints gradients only then.
    """
    for name, module in model.network.named_modules():
        is_leaf = not any(True for _ in module.children())
        is_block = isinstance(module, nn.Module) and hasattr(module, "gradient_checkpointing")
        module.training = mode and (("lora_dropout" in name and is_leaf) or is_block)
    model.network.set_attn_implementation(attention(is_trained=mode))
