"""A head's parameters and the memory that its training takes, for a person."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.heads.cost import Cost
    from pipeline.heads.needs import Shapes
    from pipeline.training.config import TrainConfig


def cost_facts(config: "TrainConfig", shapes: "Shapes", num_classes: int) -> dict[str, Any]:
    """Return parameters and, where the head's kind is reckoned, memory; no weight is read.

    Args:
        config: The section `train`.
        shapes: Of the head's features.
        num_classes: C.

    Raises:
        EncoderError: If a checkpoint of the head is of a strange kind.
    """
    cost = reckoned(config, shapes, num_classes)
    if isinstance(cost, str):
        return {"parameters": cost}
    facts: dict[str, Any] = {"parameters": _number(cost.num)}
    if cost.parts:
        phases = cost.num_trained.items()
        facts["parameters"] = {
            **{name: _number(part.num) for name, part in cost.parts.items()},
            **{f"trained in {name}": _number(num) for name, num in phases},
        }
    is_checkpointed = getattr(config.head_config, "gradient_checkpointing", False)
    memory = _memory(cost, is_checkpointed=is_checkpointed)
    return facts | ({"memory": memory} if memory else {})


def reckoned(config: "TrainConfig", shapes: "Shapes", num_classes: int) -> "Cost | str":
    """Return what a head is and takes, or in words what it takes to know."""
    from pipeline.heads.catalogue import head_kind
    from pipeline.heads.cost import reckon, wanting
    from pipeline.training.optimisation import PRECISIONS

    kind = head_kind(config.head).head
    if absent := wanting(kind, config.head_config):
        verb = "is" if len(absent) == 1 else "are"
        return (
            f"unknown until {' and '.join(absent)} {verb} at hand (config.json is enough: a folder "
            "that holds it, or 'hf download OWNER/NAME config.json --revision COMMIT')"
        )
    return reckon(
        kind,
        shapes,
        num_classes,
        config.head_config,
        phase=config.phase,
        itemsize=PRECISIONS[config.precision].itemsize,
    )


def training_memory(config: "TrainConfig", shapes: "Shapes", num_classes: int) -> str:
    """Return in words what training takes beside features; "" where it is not reckoned."""
    cost = reckoned(config, shapes, num_classes)
    if isinstance(cost, str):
        return f"the memory of the model is {cost}"
    is_checkpointed = getattr(config.head_config, "gradient_checkpointing", False)
    total = cost.total_bytes(is_checkpointed=is_checkpointed)
    return "" if total is None else f"the model takes about {_size(total)} (reckoned)"


def _memory(cost: "Cost", *, is_checkpointed: bool) -> Mapping[str, str]:
    """Return the memory of training by what takes it, as set and the other way."""
    if cost.activation_bytes is None or cost.checkpointed_bytes is None:
        return {}
    frozen = sum(part.weight_bytes for part in cost.parts.values() if part.is_frozen)
    kept = {False: cost.activation_bytes, True: cost.checkpointed_bytes}
    ways = {False: "without checkpointing", True: "with gradient checkpointing"}
    order = (is_checkpointed, not is_checkpointed)
    trained = cost.beside_bytes + cost.weight_bytes - frozen
    return {
        **({"frozen": _size(frozen)} if frozen else {}),
        "trained, with gradients, optimiser and averages": _size(trained),
        **{f"activations {ways[way]}": _size(kept[way]) for way in order},
        **{
            f"in all {ways[way]}": _size(cost.total_bytes(is_checkpointed=way) or 0)
            for way in order
        },
    }


def _number(number: int) -> str:
    return f"{number:,} ({number / 1e6:.1f} M)"


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 5e8 else f"{number / 1e6:.1f} MB"
