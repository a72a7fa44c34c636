"""Which parameters of an encoder are trained, and the weights that come of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from pipeline.encoders.base import BlockEncoder
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.whisper import IN_TOWERS
from pipeline.errors import EncoderError, ParamsError
from pipeline.finetuning.config import LORA, FinetuneConfig

USUAL_TARGETS = ("q_proj", "v_proj")  # Hu et al. 2022, LoRA, section 4.2
# transformers runs WavLM's attention by a function that is given these layers' weights; an adapter
# stands in the way of a layer's call, and would never be asked.
NEVER_CALLED = {"wavlm": ("k_proj", "q_proj", "v_proj", "out_proj")}
TARGETS_OF = {
    "wavlm": ("intermediate_dense", "output_dense"),
    "wav2vec2-bert": ("linear_q", "linear_v"),
}


def open_tunable(spelling: str, *, device: str) -> BlockEncoder:
    """Load an encoder in float32, to be trained.

    Raises:
        EncoderError: If it cannot be loaded, or has no blocks to train.
    """
    with of_section():
        encoder = open_encoder(spelling, compute_dtype="float32", device=device)
    config = getattr(getattr(encoder, "model", None), "config", None)
    if not isinstance(encoder, BlockEncoder) or getattr(config, "add_adapter", False):
        raise _untunable(spelling)
    require_alone(spelling, str(encoder.identity["family"]))
    return encoder


def require_alone(spelling: str, family: str) -> None:
    """Refuse an encoder inside a larger model, whose folder would have to hold that too.

    Raises:
        EncoderError: If the family is one of those.
    """
    if family in IN_TOWERS:
        raise _untunable(spelling)


def _untunable(spelling: str) -> EncoderError:
    return EncoderError(
        f"finetune.encoder: {spelling} cannot be fine-tuned, wanted a HuBERT or one of its kin or "
        "a Whisper, without layers behind its blocks; name another."
    )


@contextmanager
def of_section() -> Iterator[None]:
    """Name the section `finetune` in what is wrong with an encoder, where `extract` is meant."""
    try:
        yield
    except EncoderError as error:
        raise EncoderError(str(error).replace("extract.encoder", "finetune.encoder")) from error


def chosen_blocks(blocks: Sequence[nn.Module], config: FinetuneConfig) -> list[nn.Module]:
    """Return the blocks that are trained, or adapted.

    Raises:
        ParamsError: If there are not so many.
    """
    if config.num_blocks > len(blocks):
        raise ParamsError(
            f"finetune.num_blocks: {config.num_blocks}, but the encoder {config.encoder} has "
            f"{len(blocks)} blocks; take at most so many, or 0 for all."
        )
    return list(blocks[-config.num_blocks :] if config.num_blocks else blocks)


def trained_parameters(
    model: nn.Module, blocks: Sequence[nn.Module], family: str, config: FinetuneConfig
) -> list[str]:
    """Return the names of the parameters to train; for `lora` the adapters are put in.

    Args:
        model: The encoder's, changed in place by adapters.
        blocks: Of `chosen_blocks`.
        family: Its model type.
        config: Which parameters, and what adapters are like.

    Raises:
        ParamsError: If a target of adapters is no layer of a block.
    """
    if config.method == LORA:
        _put_adapters(model, adapted_layers(model, blocks, family, config), config)
        return [name for name, _ in model.named_parameters() if "lora_" in name]
    mine = {id(p) for block in blocks for p in block.parameters()}
    return [
        name
        for name, p in model.named_parameters()
        # Drawn at random where a checkpoint lacks it, and used in pre-training only.
        if not name.endswith("masked_spec_embed") and (id(p) in mine or not config.freeze_front)
    ]


def adapted_layers(
    model: nn.Module, blocks: Sequence[nn.Module], family: str, config: FinetuneConfig
) -> dict[str, nn.Linear]:
    """Return the linear layers that get an adapter, by name.

    Raises:
        ParamsError: If a target is no such layer, or an adapter would change nothing there.
    """
    targets = config.lora_targets or TARGETS_OF.get(family, USUAL_TARGETS)
    inside = {id(module) for block in blocks for module in block.modules()}
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) in inside
    }
    never = NEVER_CALLED.get(family, ())
    usable = sorted({name.rpartition(".")[2] for name in linear} - set(never))
    for target in targets:
        if target in never:
            raise ParamsError(
                f"finetune.lora_targets: {target!r} of a {family} is read past its layer, so an "
                f"adapter would change nothing; take some of {usable}, or method 'blocks'."
            )
        if target not in usable:
            raise ParamsError(
                f"finetune.lora_targets: {target!r} is no linear layer of a block, wanted some "
                f"of {usable}."
            )
    return {n: module for n, module in linear.items() if n.rpartition(".")[2] in targets}


def tuned_weights(model: nn.Module, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's own weights that training has changed, adapters merged, on the CPU.

    W + alpha / rank B A, Hu et al. 2022, section 4.1.

    Args:
        model: The encoder's.
        trained: Its trained parameters by name.

    Returns:
        By the name in a model that nobody wrapped.
    """
    found = dict(trained)
    if any("lora_" in name for name in trained):
        from peft.tuners.lora import LoraLayer

        adapted: dict[str, Any] = {
            name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)
        }
        found = {
            f"{name}.weight": layer.get_base_layer().weight + layer.get_delta_weight("default")
            for name, layer in adapted.items()
        }
    # `PerClip` wraps convolutions under this name.
    return {
        name.replace(".inner.", "."): weight.detach().cpu().clone()
        for name, weight in found.items()
    }


def _put_adapters(
    model: nn.Module, layers: Mapping[str, nn.Linear], config: FinetuneConfig
) -> None:
    peft = _peft()
    adapters = peft.LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(layers),
        bias="none",
    )
    peft.inject_adapter_in_model(adapters, model)


def _peft() -> Any:
    from importlib import import_module

    try:
        return import_module("peft")
    except ImportError as error:
        raise ParamsError(
            f"finetune.method: 'lora' needs the package peft, which cannot be imported ({error}); "
            "pip install 'genser[lora]'."
        ) from error
